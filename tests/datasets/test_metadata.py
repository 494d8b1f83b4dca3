"""metadata.py: images beside a metadata file, as Hugging Face's imagefolder has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datasets
from gmixer.datasets import open_images, open_split
from gmixer.errors import InputError
from labelled import folders, image, write

Row = dict[str, object]


def csv(rows: list[Row]) -> bytes:
    return "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]).encode()


def jsonl(rows: list[Row]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def parquet(rows: list[Row]) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return bytes(out.getvalue())


WRITERS: dict[str, Callable[[list[Row]], bytes]] = {"csv": csv, "jsonl": jsonl, "parquet": parquet}


def labelled(numbers: range, *, folder: str = "") -> tuple[dict[str, bytes], list[Row]]:
    """Images by path, and their rows: even numbers are cats."""
    rows: list[Row] = [{"file_name": f"{folder}{n}.png", "label": "dog" if n % 2 else "cat"} for n in numbers]
    return {str(row["file_name"]): image(n) for n, row in zip(numbers, rows, strict=True)}, rows


@pytest.mark.parametrize("ending", WRITERS)
def test_the_labels_are_in_the_file_and_others_are_named(ending: str, tmp_path: Path) -> None:
    files, rows = labelled(range(6))
    nested, more = labelled(range(6, 8), folder="deep/er/")
    write(tmp_path, files | nested | {"unlisted.png": image(9)})
    write(tmp_path, {f"metadata.{ending}": WRITERS[ending](rows + more)})
    images = open_images(tmp_path)
    assert images.classes == ("cat", "dog") and images.labels.tolist() == [0, 1] * 4
    assert [images.read(i) for i in range(8)] == [image(n) for n in range(8)]
    assert any("1 image is in no row" in note and "unlisted.png" in note for note in images.notes)


@pytest.mark.parametrize("name", ["Metadata.CSV", "METADATA.csv", "Metadata.JSONL", "metadata.PARQUET"])
def test_its_name_counts_in_any_case(name: str, tmp_path: Path) -> None:
    files, rows = labelled(range(6))
    write(tmp_path, files | {name: WRITERS[name.rpartition(".")[2].lower()](rows)})
    assert open_images(tmp_path).labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize("source", [".", "./metadata.csv", "metadata.csv"])
def test_files_that_are_all_missing_are_sought_in_a_folder_with_a_name(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"metadata.csv": csv(labelled(range(3))[1])})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"none exists; wanted paths that start from {tmp_path}$"):
        open_images(source)


@pytest.mark.parametrize("ending", WRITERS)
def test_each_split_has_its_own(ending: str, tmp_path: Path) -> None:
    for split, numbers in (("train", range(6)), ("Testing", range(6, 8))):
        files, rows = labelled(numbers)
        write(tmp_path / split, files | {f"metadata.{ending}": WRITERS[ending](rows)})
    split = open_split(tmp_path)
    assert not split.is_drawn and [split.val.read(i) for i in range(2)] == [image(6), image(7)]
    assert split.train.classes == split.val.classes == ("cat", "dog") and split.val.labels.tolist() == [0, 1]


def test_the_same_images_as_hugging_face_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for split, numbers in (("train", range(6)), ("test", range(6, 8))):
        files, rows = labelled(numbers, folder="in/")
        write(tmp_path / "data" / split, files | {"metadata.csv": csv(rows)})
    ours, theirs = (open_split(source) for source in (tmp_path / "data", f"hf:{tmp_path}/data"))
    for mine, other in ((ours.train, theirs.train), (ours.val, theirs.val)):
        assert mine.labels.tolist() == other.labels.tolist() and mine.classes == other.classes
        assert [mine.read(i) for i in range(len(mine))] == [other.read(i) for i in range(len(other))]


def test_one_file_above_the_splits(tmp_path: Path) -> None:
    (train, rows), (val, more) = labelled(range(6), folder="train/"), labelled(range(6, 8), folder="val/")
    write(tmp_path, train | val | {"metadata.csv": csv(rows + more)})
    split = open_split(tmp_path)
    assert not split.is_drawn and (len(split.train), len(split.val)) == (6, 2)


def test_a_column_split(tmp_path: Path) -> None:
    files, rows = labelled(range(6), folder="images/")
    rows = [row | {"split": "dev" if n > 3 else "training"} for n, row in enumerate(rows)]
    split = open_split(write(tmp_path, files | {"metadata.jsonl": jsonl(rows)}))
    assert (len(split.train), len(split.val)) == (4, 2)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_images_of_a_split_that_is_left_out_are_in_a_row(ending: str, tmp_path: Path) -> None:
    files, rows = labelled(range(6), folder="images/")
    rows = [row | {"split": ("train", "train", "val", "val", "test", "test")[n]} for n, row in enumerate(rows)]
    write(tmp_path, files | {f"metadata.{ending}": {"csv": csv, "jsonl": jsonl, "parquet": parquet}[ending](rows)})
    assert open_split(tmp_path).train.notes == ("the test split is left out: val is measured",)


def test_a_folder_around_it_does_not_count(tmp_path: Path) -> None:
    files, rows = labelled(range(6))
    write(tmp_path / "data", files | {"metadata.csv": csv(rows)})
    assert open_images(tmp_path).classes == open_images(tmp_path / "data").classes


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("first", "second", "classes"), [(0.0, 1, None), ("0", "1", None), (False, True, ("False", "True"))]
)
def test_labels_mean_the_same_as_in_other_tables(
    first: object, second: object, classes: tuple[str, ...] | None, encoding: str, tmp_path: Path
) -> None:
    files, rows = labelled(range(3))
    rows = [row | {"label": value} for row, value in zip(rows, (first, second, None), strict=True)]
    images = open_images(write(tmp_path, files | {"metadata.jsonl": jsonl(rows).decode().encode(encoding)}))
    assert images.classes == classes and images.labels.tolist() == [0, 1, -1]


def test_captions_leave_the_classes_to_the_folders(tmp_path: Path) -> None:
    folders(tmp_path, {"cat": 2, "dog": 2})
    write(tmp_path, {"metadata.csv": b"file_name,text\ncat/0.png,asleep\n"})
    images = open_images(tmp_path)
    assert images.classes == ("cat", "dog") and any("metadata.csv" in note for note in images.notes)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"metadata.csv": b"file_name,text\n0.png,a\n"}, ["metadata.csv", "file_name, text", "label"]),
        ({"metadata.jsonl": b'{"file_name": "0.png", "label": 1}\n{broken\n'}, ["line 2", "no JSON object"]),
        ({"metadata.jsonl": b"[1]\n"}, ["line 1", "no JSON object"]),
        ({"metadata.jsonl": b"\n"}, ["no rows"]),
        ({"metadata.jsonl": b"\xff\xfe{"}, ["cut short"]),
        ({"metadata.parquet": b"PAR1"}, ["metadata.parquet", "complete Parquet"]),
        ({"metadata.csv": b"file_name,label\n1.png,a\n", "metadata.jsonl": b"{}"}, ["one of them"]),
        ({"metadata.csv": b"file_name,label\nx.png,a\ny.png,b\n"}, ["none exists"]),
    ],
)
def test_a_file_that_does_not_tell(files: dict[str, bytes], said: list[str], tmp_path: Path) -> None:
    write(tmp_path, files | {"0.png": image(0)})
    with pytest.raises(InputError) as error:
        open_images(tmp_path)
    assert all(word in str(error.value) for word in said), error.value
