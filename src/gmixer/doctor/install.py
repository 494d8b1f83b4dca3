"""What is installed: gmixer itself, the packages it stands on, Pillow's codecs, PyTorch where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from gmixer.doctor.finding import Outcome, failed, ok, warning

if TYPE_CHECKING:
    from packaging.requirements import Requirement

REINSTALL = "install gmixer anew: pip install --force-reinstall gmixer, or . in a checkout"

# Pillow's name of a codec → what cannot be read without it.
CODECS = {"jpg": "JPEG", "zlib": "PNG", "webp": "WebP", "avif": "AVIF", "libtiff": "TIFF in most compressions"}
NOT_INSTALLED = "is not installed"
COMMON_CODECS = {"jpg", "zlib"}  # without these most photographs cannot be read


def gmixer() -> Outcome:
    """The version, where it lies, and whether this Python is new enough for it."""
    import platform
    from pathlib import Path

    import gmixer

    version, python = gmixer.__version__, platform.python_version()
    where = Path(gmixer.__file__).parent
    fact = f"{version} in {where}, Python {python}"
    try:
        installed = metadata.metadata("gmixer")
    except metadata.PackageNotFoundError:
        return warning(f"{fact}; not installed, so nothing says which packages it needs", REINSTALL)
    wanted = installed["Requires-Python"] or ""
    if not _meets(python, wanted):
        return failed(f"{fact}; wanted {wanted}", f"install it in a Python {wanted}")
    if installed["Version"] != version:
        said = f"; but {installed['Version']} is what is installed"
        return warning(fact + said, f"take the other gmixer out of PYTHONPATH and the working folder, or {REINSTALL}")
    return ok(fact)


def packages() -> Outcome:
    """The versions of the packages that gmixer needs, against the bounds that its metadata gives."""
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
    """Which formats the installed Pillow decodes."""
    from PIL import features

    have = [name for name in CODECS if features.check(name)]
    shown = ", ".join(f"{CODECS[name].split()[0]} ({name} {features.version(name)})" for name in have)
    if len(have) == len(CODECS):
        return ok(shown)
    lacking = [name for name in CODECS if name not in have]
    fact = f"Pillow cannot read {', '.join(CODECS[name] for name in lacking)}; it reads {shown or 'none of the others'}"
    remedy = "take Pillow's own wheel, which has them all: pip install --force-reinstall --only-binary :all: pillow"
    return failed(fact, remedy) if COMMON_CODECS & set(lacking) else warning(fact, remedy)


def pytorch() -> Outcome:
    """The extra `torch`: there, new enough, or not needed. It is not imported, which would take seconds."""
    purpose = "create_model, save_model and runtime='torch'"
    versions = {}
    for need in _requirements("torch"):
        try:
            versions[need] = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            continue
    shown = ", ".join(f"{need.name} {version}" for need, version in versions.items())
    if not any(need.name == "torch" for need in versions):
        return ok(f"not installed; only {purpose} need it", "if you want these: pip install 'gmixer[torch]'")
    old = [need for need, version in versions.items() if not _meets(version, str(need.specifier))]
    if old:
        wanted = ", ".join(f"{need.name} {need.specifier}" for need in old)
        return warning(f"{shown}; {purpose} want {wanted}", "pip install --upgrade 'gmixer[torch]'")
    return ok(f"{shown}, for {purpose}")


def _requirements(extra: str) -> Iterator[Requirement]:
    """What gmixer needs without any extra (""), or on top of that for one. Nothing where it is not installed."""
    from packaging.requirements import Requirement  # huggingface_hub brings it

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
    except InvalidVersion:  # NOT_INSTALLED, for one
        return False
