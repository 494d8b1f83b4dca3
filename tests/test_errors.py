"""errors.require: a missing package becomes the error with the pip command. words_of: what an error says in words."""

from __future__ import annotations

import json
import struct
import zipfile

import pytest

from gmixer.errors import ImageError, MissingExtraError, require, require_torch, words_of


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


def raised(code: str) -> Exception:
    with pytest.raises(Exception) as caught:
        exec(code, {"struct": struct, "json": json})
    return caught.value


@pytest.mark.parametrize(
    "code",
    [
        "''[0]",
        "[][0]",
        "{}['architecture']",
        "None.x",
        "int('x')",
        "a, b = 1,",
        "b'\\xff'.decode()",
        "struct.unpack('I', b'')",
        "len(5)",
        "1 / 0",
        "assert False",
        "open('a\\0b')",
        "raise OSError",
        "def f(): f()\nf()",
        "json.loads('[' * 10**5)",
    ],
)
def test_python_has_no_say(code: str) -> None:
    assert words_of(raised(code), "it is damaged") == "it is damaged"


def test_systems_and_libraries_have() -> None:
    assert words_of(raised("open('/no/such')"), "") == "No such file or directory"
    assert words_of(raised("json.loads('{\\n a')"), "") == "line 2 is no valid JSON"
    assert words_of(zipfile.BadZipFile("File is not\na zip file."), "") == "File is not a zip file"
    assert words_of(EOFError("Compressed file ended"), "") == "Compressed file ended"
    assert words_of(ImageError("empty", "is empty", "a.jpg"), "") == "a.jpg: is empty"
