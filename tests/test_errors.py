"""errors.require: a missing package becomes the error with the pip command."""

from __future__ import annotations

import pytest

from gmixer.errors import MissingExtraError, require, require_torch


def missing(module: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {module!r}", name=module)


@pytest.mark.parametrize("module", ["pyarrow", "pyarrow.parquet"])
def test_a_missing_package_of_an_extra(module: str) -> None:
    with pytest.raises(MissingExtraError) as caught, require("a Parquet file", "train", ["datasets", "pyarrow"]):
        raise missing(module)
    assert str(caught.value) == "a Parquet file needs pyarrow: pip install 'gmixer[train]'"
    assert isinstance(caught.value, ImportError)


def test_a_package_of_no_extra() -> None:
    with pytest.raises(MissingExtraError) as caught, require("register_with_timm", None, ["timm"]):
        raise missing("timm")
    assert str(caught.value) == "register_with_timm needs timm: pip install timm"


@pytest.mark.parametrize("module", ["torchaudio", "gmixer.torch", "pyarrow"])
def test_another_module_stays_what_it_is(module: str) -> None:
    with pytest.raises(ModuleNotFoundError) as caught, require_torch("create_transform"):
        raise missing(module)
    assert not isinstance(caught.value, MissingExtraError)
