"""text_file.py: the encodings of text files."""

from __future__ import annotations

from pathlib import Path

import pytest

from gmixer.errors import InputError
from gmixer.evaluate.sets import open_set
from gmixer.labels import imagenet_1k
from gmixer.sources.text_file import decoded, is_text, lines_in, read_text
from gmixer.train import read_recipe
from labelled import image, write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("text", ["path,label\n", "a\tb\r\n" * 200])
def test_unicode_in_every_form(encoding: str, text: str) -> None:
    assert is_text(text.encode(encoding)[:512])
    assert decoded(text.encode(encoding), "here") == text


def test_the_line_of_the_first_byte_that_is_no_utf8() -> None:
    with pytest.raises(InputError, match=r"here is not UTF-8: line 2 has the byte 0xe9, which is é in Windows-1252"):
        decoded("a\né\n".encode("latin-1"), "here")


def test_what_is_no_text() -> None:
    for head in (bytes(9), b"\0\1\2", b"\x7fELF\2\1\1\0", b"\x93NUMPY\1\0v\0{'descr'"):
        assert not is_text(head)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path, words in {tmp_path / "nowhere": "no such file", tmp_path: "is a folder"}.items():
        with pytest.raises(InputError, match=f"{words}.*; wanted a text file"):
            read_text(str(path))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_recipe_and_the_labels_of_real_in_every_form(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[schedule]\nepochs = 7\n", encoding=encoding)
    assert read_recipe(tmp_path / "mine.toml").schedule.epochs == 7
    write(tmp_path, {"val/n01440764/ILSVRC2012_val_00000001.JPEG": image(0)})
    (tmp_path / "real.json").write_text("[[5, 6]]", encoding=encoding)
    found = open_set(tmp_path / "val", imagenet_1k(), "real", real_labels=tmp_path / "real.json")
    assert found.correct == [[5, 6]]


def test_a_reader_that_stops_early_leaves_the_file_open(tmp_path: Path) -> None:
    path = write(tmp_path, {"a.txt": b"one\ntwo\n"}) / "a.txt"
    with path.open("rb", buffering=0) as file:
        lines = lines_in(file, "a.txt")
        assert next(lines) == "one\n"
        lines.close()
        assert not file.closed
