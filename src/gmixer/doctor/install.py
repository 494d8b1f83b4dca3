"""The installation: gmixer itself, the packages it needs, Pillow's codecs, and the extras if they are installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from gmixer.doctor.finding import Outcome, failed, ok, warning

if TYPE_CHECKING:
    from packaging.requirements import Requirement

REINSTALL = "install gmixer again: pip install --force-reinstall gmixer, or . in a checkout"

# Pillow's name of a codec → the format that it reads.
CODECS = {"jpg": "JPEG", "zlib": "PNG", "webp": "WebP", "avif": "AVIF", "libtiff": "TIFF in most compressions"}
NOT_INSTALLED = "is not installed"
COMMON_CODECS = {"jpg", "zlib"}  # most photos have these formats


def gmixer() -> Outcome:
    """The version, its folder, and whether this Python is new enough."""
    import platform
    from pathlib import Path

    import gmixer

    version, python = gmixer.__version__, platform.python_version()
    where = Path(gmixer.__file__).parent
    fact = f"{version} in {where}, Python {python}"
    try:
        installed = metadata.metadata("gmixer")
    except metadata.PackageNotFoundError:
        return warning(f"{fact}; it is not installed, so its package requirements are unknown", REINSTALL)
    wanted = installed["Requires-Python"] or ""
    if not _meets(python, wanted):
        return failed(f"{fact}; wanted {wanted}", f"install it in a Python {wanted}")
    if installed["Version"] != version:
        other = f"; but version {installed['Version']} is installed"
        return warning(fact + other, f"remove the other gmixer from PYTHONPATH and the working folder, or {REINSTALL}")
    return ok(fact)


def packages() -> Outcome:
    """The versions of the packages that gmixer needs, against the bounds in its metadata."""
    have, wrong = [], []
    for need in _requirements(""):
        try:
            version = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            version = NOT_INSTALLED
        have.append(f"{need.name} {version}")
        if not _meets(version, str(need.specifier)):
            wrong.append(need)
    if wrong:
        names = {need.name for need in wrong}
        shown = ", ".join(fact for fact in have if fact.split()[0] in names)
        wanted = " ".join(f"'{need.name}{need.specifier}'" for need in wrong)
        return failed(f"{shown}; wanted {', '.join(f'{n.name} {n.specifier}' for n in wrong)}", f"pip install {wanted}")
    return ok(", ".join(have))


def codecs() -> Outcome:
    """The formats that the installed Pillow decodes."""
    from PIL import features

    have = [name for name in CODECS if features.check(name)]
    shown = ", ".join(f"{CODECS[name].split()[0]} ({name} {features.version(name)})" for name in have)
    if len(have) == len(CODECS):
        return ok(shown)
    lacking = [name for name in CODECS if name not in have]
    fact = f"Pillow cannot read {', '.join(CODECS[name] for name in lacking)}; it reads {shown or 'no other format'}"
    remedy = "install Pillow's own wheel, which has them all: pip install --force-reinstall --only-binary :all: pillow"
    return failed(fact, remedy) if COMMON_CODECS & set(lacking) else warning(fact, remedy)


def more_formats() -> Outcome:
    """The extras `heif` and `jxl`: installed, too old, or not needed. Their packages are not imported."""
    from gmixer.images.extras import EXTRAS

    facts, missing, old = [], [], {}
    for extra in EXTRAS.values():
        try:
            version = metadata.version(extra.package)
        except metadata.PackageNotFoundError:
            facts.append(f"{extra.format_name} needs {extra.package}, which {NOT_INSTALLED}")
            missing.append(extra.name)
            continue
        facts.append(f"{extra.format_name} ({extra.package} {version})")
        for need in _requirements(extra.name):
            if need.name == extra.package and not _meets(version, str(need.specifier)):
                old[extra.name] = f"{need.name} {need.specifier}"
    shown = "; ".join(facts)
    if old:
        return warning(f"{shown}; wanted {', '.join(old.values())}", f"pip install --upgrade 'gmixer[{','.join(old)}]'")
    return ok(shown, f"to read them: pip install 'gmixer[{','.join(missing)}]'") if missing else ok(shown)


def pytorch() -> Outcome:
    """The extra `torch`: installed, too old, or not needed. It is not imported, because that takes seconds."""
    purpose = "create_model, save_model and runtime='torch'"
    versions = {}
    for need in _requirements("torch"):
        try:
            versions[need] = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            continue
    shown = ", ".join(f"{need.name} {version}" for need, version in versions.items())
    if not any(need.name == "torch" for need in versions):
        return ok(f"not installed; only {purpose} need it", "to use them: pip install 'gmixer[torch]'")
    old = [need for need, version in versions.items() if not _meets(version, str(need.specifier))]
    if old:
        wanted = ", ".join(f"{need.name} {need.specifier}" for need in old)
        return warning(f"{shown}; {purpose} want {wanted}", "pip install --upgrade 'gmixer[torch]'")
    return ok(f"{shown}, for {purpose}")


def _requirements(extra: str) -> Iterator[Requirement]:
    """The requirements of gmixer without extras (""), or of one extra. None if gmixer is not installed."""
    from packaging.requirements import Requirement  # a dependency of huggingface_hub

    try:
        lines = metadata.requires("gmixer") or []
    except metadata.PackageNotFoundError:
        return
    for need in map(Requirement, lines):
        applies = need.marker is None or need.marker.evaluate({"extra": extra})
        if applies and bool(extra) == ("extra" in str(need.marker)):
            yield need


def _meets(version: str, specifier: str) -> bool:
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:  # such as NOT_INSTALLED
        return False
