"""csv_table.py: paths and labels in a CSV file."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path

import pytest

from gmixer.datasets import UNKNOWN, open_images
from gmixer.errors import ImageError, InputError
from labelled import image, write


def table(root: Path, text: str, count: int = 4) -> Path:
    write(root, {f"in/{i}.png": image(i) for i in range(count)})
    (root / "table.csv").write_text(text, encoding="utf-8")
    return root / "table.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_the_delimiter_is_found_and_paths_start_from_the_table(delimiter: str, start: str, tmp_path: Path) -> None:
    lines = ["label,path", "dog,in/1.png", "cat,in/0.png", ""]
    images = open_images(table(tmp_path, start + "\n".join(lines).replace(",", delimiter)))
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [1, 0]
    assert [images.read(i) for i in range(2)] == [image(1), image(0)]
    assert images.name(1) == str(tmp_path / "in/0.png")


def test_names_may_hold_delimiters_in_quotes(tmp_path: Path) -> None:
    file = table(tmp_path, "")
    with open(file, "w", newline="") as out:
        csv.writer(out).writerows([["Path", "Label"], ["in/0.png", 'tabby, "tiger" cat'], ["in/1.png", "a;b|c"]])
    assert open_images(file).classes == ("a;b|c", 'tabby, "tiger" cat')


def test_whole_numbers_are_indices_and_nothing_is_unknown(tmp_path: Path) -> None:
    images = open_images(table(tmp_path, "path,label\nin/0.png,7\nin/1.png,\nin/2.png,0\nin/3.png,-1\n"))
    assert images.classes is None
    assert images.labels.tolist() == [7, UNKNOWN, 0, UNKNOWN]


def test_a_column_says_what_is_held_out(tmp_path: Path) -> None:
    file = table(tmp_path, "path,label,split\nin/0.png,b,train\nin/1.png,a,Validation\nin/2.png,a,train\n")
    train, val = open_images(file, split="train"), open_images(file, split="val")
    assert [train.read(i) for i in range(2)] == [image(0), image(2)]
    assert train.labels.tolist() == [1, 0] and val.labels.tolist() == [0]
    assert val.read(0) == image(1)


def test_a_column_of_another_name_counts_if_it_holds_splits_alone(tmp_path: Path) -> None:
    rows = "in/0.png,b,{}\nin/1.png,a,{}\nin/2.png,a,{}\n"
    told = table(tmp_path, "path,label,data set\n" + rows.format("Training", "test", "Training"))
    assert open_images(told, split="val").read(0) == image(1)
    assert len(open_images(table(tmp_path, "path,label,set\n" + rows.format("train", "9", "test")))) == 3
    assert len(open_images(table(tmp_path, "path,label,set\n" + rows.format("test", "val", "test")))) == 3


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_path_in_another_unicode_form_leads_to_the_file(form: str, other: str, tmp_path: Path) -> None:
    write(tmp_path, {unicodedata.normalize(form, f"café/{i}.png"): image(i) for i in range(2)})
    text = unicodedata.normalize(other, "path,label\ncafé/0.png,a\ncafé/1.png,b\n")
    images = open_images(table(tmp_path, text))
    assert [images.read(i) for i in range(2)] == [image(0), image(1)] and not images.notes


def test_some_missing_files_are_told_and_cost_their_own_rows(tmp_path: Path) -> None:
    images = open_images(table(tmp_path, "path,label\nin/0.png,a\nin/nope.png,b\nin/2.png,b\n"))
    assert images.notes == ("1 files are named but missing (in/nope.png)",)
    assert images.read(2) == image(2)
    with pytest.raises(ImageError) as error:
        images.read(1)
    assert error.value.kind == "missing"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("in/0.png,a\nin/1.png,b\n", ["in/0.png, a", "header row"]),
        ("path,kind\nin/0.png,a\n", ["path, kind", "label"]),
        ("path,label\n", ["no rows"]),
        ("path,label\nx.png,a\ny.png,b\n", ["x.png, y.png", "none exists"]),
        ("path,label\nin/0.png,a\n,b\n", ["row 1 has no path"]),
        ("path,label\nin/0.png,a,b\n", ["line 2 has 3 cells", "quotes"]),
        ('path,label\nin/0.png,"a\n', ["cannot be read as a table"]),
        ("path,label\nin/0.png,-7\nin/1.png,2\n", ["-7", "-1 for unknown"]),
        ("path,label\nin/0.png,a\nin/1.png,a\n", ["only the class a"]),
        ("path,label,split\nin/0.png,a,train\nin/1.png,b,later\n", ["row 1", "later"]),
        ("path,label,split\nin/0.png,a,train\nin/1.png,b,train\nin/1.png,c,val\n", ["val split alone", "class c"]),
        ("path,label,split\nin/0.png,3,train\nin/1.png,4,train\nin/1.png,5,val\n", ["val split alone", "class 5"]),
    ],
)
def test_what_is_wrong_is_said_at_opening(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        open_images(table(tmp_path, text), split="train")
    for word in words:
        assert word in str(error.value)


def test_a_table_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes("path,label\né.png,a\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        open_images(tmp_path / "table.csv")
