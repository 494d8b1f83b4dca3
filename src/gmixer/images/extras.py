"""The formats that packages outside Pillow read: gmixer's extras `heif` and `jxl`. Nothing of them is imported here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NamedTuple

from gmixer.errors import ImageError


class Extra(NamedTuple):
    """format_name: as users know it. package: that reads it. modules: that its import needs, besides Pillow."""

    name: str
    format_name: str
    package: str
    modules: tuple[str, ...]

    def is_installed(self) -> bool:
        return all(_folder(module) for module in self.modules)


EXTRAS = {  # by the format's name in sniff
    "HEIF": Extra("heif", "HEIC", "pillow-heif", ("pillow_heif",)),
    "JPEG XL": Extra("jxl", "JPEG XL", "pillow-jxl-plugin", ("pillow_jxl", "packaging")),
}


def check_installed(image_format: str, *, source: str) -> None:
    """Raises ImageError "unsupported" if the package for that format is missing. image_format: one of EXTRAS."""
    extra = EXTRAS[image_format]
    if not extra.is_installed():
        way_out = f"pip install 'gmixer[{extra.name}]'"
        reason = f"is {extra.format_name}, for which gmixer needs {extra.package}: {way_out}"
        raise ImageError("unsupported", reason, source)


@contextmanager
def package_works(image_format: str, *, source: str) -> Iterator[None]:
    """Around the use of the package for that format. An import that fails becomes ImageError "unsupported"."""
    try:
        yield
    except ImportError as error:
        extra = EXTRAS[image_format]
        reason = f"is {extra.format_name}, and {extra.package} is installed but cannot be imported: install it again"
        raise ImageError("unsupported", reason, source) from error


def folders() -> list[str]:
    """Where the installed packages lie, for a process that looks in no other place."""
    found = [_folder(module) for extra in EXTRAS.values() for module in extra.modules]
    return [os.path.dirname(folder) for folder in found if folder]


def _folder(module: str) -> str | None:
    """Of a package that need not be imported yet; None if it is not installed."""
    spec = find_spec(module)
    return next(iter(spec.submodule_search_locations or ()), None) if spec else None
