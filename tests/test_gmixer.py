"""The public interface: a short list of names, and an import that takes little time."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import timm

import gmixer


def home(package: object, name: str) -> str | None:
    return getattr(getattr(package, name), "__module__", None)


def test_public_names() -> None:
    assert set(gmixer.__all__) == {name for name in dir(gmixer) if not name.startswith("_")}
    assert len(gmixer.__all__) == len(set(gmixer.__all__))
    timms_queries = {name for name in dir(timm) if home(timm, name) == "timm.models._registry"}
    assert {name for name in gmixer.__all__ if home(gmixer, name) == "gmixer.timm_compat.registry"} == timms_queries
    assert len(set(gmixer.__all__) - timms_queries) <= 24
    for name in gmixer.__all__:
        assert getattr(gmixer, name) is not None
    assert not hasattr(gmixer, "no_such_name")


def test_import_is_light() -> None:
    heavy = ("numpy", "PIL", "torch", "safetensors", "rich", "typer")
    program = f"import gmixer, sys; print([name for name in {heavy!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_classifying_loads_what_it_needs_and_no_more(jpeg: Path) -> None:
    """Each of these takes 2 ms or more of the time to the first answer."""
    unneeded = ("concurrent.futures", "decimal", "email", "hashlib", "http", "importlib.resources", "rich", "ssl")
    unneeded += ("random", "statistics", "tarfile", "tempfile", "typer", "zipfile")
    unneeded += (
        "gmixer.timm_compat.transforms",
        "gmixer.isolation.workers",
        "gmixer.sources.web",
        "gmixer.results.rollup",
    )
    assert all(find_spec(name) for name in unneeded), "a module of this list was renamed"
    program = f"""
import sys, gmixer
gmixer.load("gmixer_8_64").classify({str(jpeg)!r})
print([name for name in {unneeded!r} if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_classifying_needs_no_torch(jpeg) -> None:  # type: ignore[no-untyped-def]
    program = f"""
import sys
sys.modules.update(torch=None, torchvision=None, timm=None)  # importing any of them now fails
import gmixer
print(len(gmixer.load("gmixer_8_64").classify({str(jpeg)!r})))
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "5"


def test_torch_is_asked_for_by_name() -> None:
    program = """
import sys
sys.modules.update(torch=None)  # as if it were not installed
import gmixer
assert gmixer.list_models("gmixer*")
try:
    gmixer.create_model("gmixer_24_224")
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "gmixer.create_model needs torch: pip install 'gmixer[torch]'"


def test_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert gmixer.__version__ == version("gmixer")
