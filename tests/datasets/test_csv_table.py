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
    for train, test in (("Training", "PublicTest"), ("train", "test")):
        told = table(tmp_path, "path,label,Usage\n" + rows.format(train, test, train))
        assert open_images(told, split="val").read(0) == image(1)
    partly = open_images(table(tmp_path, "path,label,set\n" + rows.format("train", "9", "test")))
    assert len(partly) == 3 and "'9' beside train" in " ".join(partly.notes)
    folds = open_images(table(tmp_path, "path,label,fold\n" + rows.format("1", "2", "1")))
    assert len(folds) == 3 and "fold is not read" in " ".join(folds.notes)
    boolean = open_images(table(tmp_path, "path,label,is_valid\n" + rows.format("True", "False", "True")))
    assert len(boolean) == 3 and "is_valid is not read" in " ".join(boolean.notes)
    assert not open_images(table(tmp_path, "path,label,set\n" + rows.format("A", "A", "B"))).notes
    assert len(open_images(table(tmp_path, "path,label,set\n" + rows.format("test", "val", "test")))) == 3


@pytest.mark.parametrize("column", ["path", "FileName", "img", "image_name"])
def test_the_column_of_paths_has_several_names(column: str, tmp_path: Path) -> None:
    assert len(open_images(table(tmp_path, f"{column},label\nin/0.png,b\nin/1.png,a\n"))) == 2


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_path_in_another_unicode_form_leads_to_the_file(form: str, other: str, tmp_path: Path) -> None:
    write(tmp_path, {unicodedata.normalize(form, f"café/{i}.png"): image(i) for i in range(2)})
    text = unicodedata.normalize(other, "path,label\ncafé/0.png,a\ncafé/1.png,b\n")
    images = open_images(table(tmp_path, text))
    assert [images.read(i) for i in range(2)] == [image(0), image(1)] and not images.notes


def test_some_missing_files_are_told_and_cost_their_own_rows(tmp_path: Path) -> None:
    images = open_images(table(tmp_path, "path,label\nin/0.png,a\nin/nope.png,b\nin/2.png,b\n"))
    assert images.notes == ("1 file is named but missing (in/nope.png): the number of images includes missing files",)
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


TEXT = "path,label\nin/0.png,Dörrobst\nin/1.png,日本\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding_delimiter_and_line_end(encoding: str, delimiter: str, end: str, tmp_path: Path) -> None:
    file = table(tmp_path, "")
    file.write_bytes(TEXT.replace(",", delimiter).replace("\n", end).encode(encoding))
    images = open_images(file)
    assert images.classes == ("Dörrobst", "日本") and images.read(1) == image(1)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_an_encoding_without_a_mark(encoding: str, tmp_path: Path) -> None:
    file = table(tmp_path, "")
    long = "".join(f"in/{i % 4}.png,{'日本' if i > 50 else 'cat'}\n" for i in range(99))
    file.write_bytes(f"path,label\n{long}".encode(encoding))
    assert open_images(file).classes == ("cat", "日本")


@pytest.mark.parametrize("encoding", ["cp1252", "shift-jis", "gb2312"])
def test_a_code_page_is_said(encoding: str, tmp_path: Path) -> None:
    text = TEXT.replace("日本", "é") if encoding == "cp1252" else TEXT.replace("ö", "o")
    (tmp_path / "table.csv").write_bytes(text.encode(encoding))
    with pytest.raises(InputError, match=r"table\.csv is not UTF-8: line [23] has the byte 0x.*wanted UTF-8 or UTF-16"):
        open_images(tmp_path / "table.csv")


@pytest.mark.parametrize(
    "data", [b"PK\0\0,\n", b"\0\1\2", bytes(600), b"\x93NUMPY\1\0v\0{'a'}", b"\xff\xfe\0\xd8,\0", b"\xff\xfea"]
)
def test_what_only_looks_like_a_text(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(data)
    with pytest.raises(InputError, match="wanted"):
        open_images(tmp_path / "table.csv")


def test_excel_names_its_delimiter_in_a_line_and_pads_the_end(tmp_path: Path) -> None:
    file = table(tmp_path, "sep=;\r\npath;label\r\nin/0.png;a,b\r\nin/1.png;c\r\n;\r\n")
    assert open_images(file).classes == ("a,b", "c")


def test_a_header_may_hold_other_delimiters(tmp_path: Path) -> None:
    file = table(tmp_path, 'path;label;"width, height, depth"\nin/0.png;a;"4,4"\nin/1.png;b;"4,4"\n')
    assert open_images(file).classes == ("a", "b")


def test_a_cell_of_any_length_beside_them(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    file = table(tmp_path, f"path,label,polygon\nin/0.png,a,{'x' * 200_000}\nin/1.png,b,\n")
    assert open_images(file).classes == ("a", "b")
    assert csv.field_size_limit() == before


def test_paths_as_other_systems_write_them(tmp_path: Path) -> None:
    names = ["caf\u00e9.png", "u\u0308.png", " lead.png", "back\\slash.png", "in/deep/x.png"]
    write(tmp_path, {name: image(i) for i, name in enumerate(names)})
    cells = ["cafe\u0301.png", "\u00fc.png", " lead.png", "back\\slash.png", " .\\in\\deep\\x.png "]
    images = open_images(
        table(tmp_path, "\n".join(["path,label", *(f"{cell},{i % 2}" for i, cell in enumerate(cells))]))
    )
    assert [images.read(i) for i in range(5)] == [image(i) for i in range(5)]
    assert images.notes == ()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("https://example.org/x.png", "is a URL"),
        ("file:///data/x.png", "is a URL"),
        ("C:\\data\\x.png", "is a path of Windows, with a drive"),
        ("\\\\server\\x.png", "is a path of Windows"),
        ("photos.tar::x.png", "is a member of an archive"),
    ],
)
def test_a_path_that_is_no_file_of_this_machine_is_named(path: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "photos.tar").touch()
    with pytest.raises(InputError, match=f"none exists; .* {words}.*a table names files"):
        open_images(table(tmp_path, f"path,label\n{path},a\n{path}2,b\n"))
    images = open_images(table(tmp_path, f"path,label\nin/0.png,a\n{path},b\n"))
    assert words in images.notes[0]
    assert images.read(0) == image(0)
    with pytest.raises(ImageError, match=words):
        images.read(1)
