"""opening.py: what a source is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datasets
from gmixer.datasets import described, open_held_out, open_images, open_split
from gmixer.errors import ImageError, InputError
from gmixer.options import Limits, Reading
from labelled import folders, image, write


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jpg", image(0), ["is one image"]),
        ("a.bin", b"\0\1\2", ["neither a table nor a tar"]),
        ("a.csv", b"", ["empty"]),
        ("a.zip", b"PK\x03\x04....", ["packed (zip)"]),
        ("a.xlsx", b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", ["Excel", "CSV UTF-8"]),
        ("a.json", b' [{"path": "a.jpg", "label": "cat"}]', ["is JSON", "metadata.jsonl"]),
        ("a.jsonl", b'\xef\xbb\xbf{"path": "a.jpg", "label": "cat"}', ["is JSON", "metadata.jsonl"]),
    ],
)
def test_files_that_hold_no_labelled_images(name: str, content: bytes, words: list[str], tmp_path: Path) -> None:
    write(tmp_path, {name: content})
    with pytest.raises(InputError) as error:
        open_images(tmp_path / name)
    for word in [name, "wanted", *words]:
        assert word in str(error.value)


@pytest.mark.parametrize("source", ["nowhere", "nowhere/*.tar", "nowhere/{00..02}.tar", "nowhere-{3..1}.tar"])
def test_nothing_there(source: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wanted"):
        open_images(tmp_path / source)


def test_parts_must_be_chosen_from(tmp_path: Path) -> None:
    for part in ("train", "val"):
        folders(tmp_path / part, {"a": 1, "b": 1})
    with pytest.raises(InputError, match="pass split='val'"):
        open_images(tmp_path)
    with pytest.raises(InputError, match="split is 'test'"):
        open_images(tmp_path, split="test")  # type: ignore[arg-type]
    assert len(open_images(tmp_path / "val")) == 2


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_split_without_labels_is_left_out_and_named(split: str, tmp_path: Path) -> None:
    folders(tmp_path, {".": 40})
    cells = [f"{i}.png,{'' if i > 29 else 'ab'[i % 2]},{split if i > 29 else 'train'}" for i in range(40)]
    write(tmp_path, {"a.csv": "\n".join(["path,label,split", *cells]).encode()})
    drawn = open_split(tmp_path / "a.csv")
    assert drawn.is_drawn and len(drawn.train) + len(drawn.val) == 30
    assert any("10 images" in note and "30.png" in note for note in drawn.train.notes)


def test_measured_on_is_the_val_part_or_all(tmp_path: Path) -> None:
    folders(tmp_path / "train", {"a": 3, "b": 3})
    folders(tmp_path / "val", {"a": 2})
    assert open_held_out(tmp_path).labels.tolist() == [0, 0]
    assert len(open_held_out(tmp_path / "train")) == 6
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(
        InputError, match="holds the folder val alone, to be measured on; wanted a folder or a split to train on"
    ):
        open_split(tmp_path, classes=["a", "b"])


@pytest.mark.parametrize(
    ("counts", "val_folder", "called"),
    [
        ({"train/a": 3, "train/b": 3, "Testing/a": 2}, None, "Testing"),
        ({"big/a": 3, "big/b": 3, "data_small/a": 2, "data_small/b": 1}, "data_small", "data_small"),
    ],
)
def test_the_folder_that_is_measured_is_told(
    counts: dict[str, int], val_folder: str | None, called: str, tmp_path: Path
) -> None:
    folders(tmp_path, counts)
    split = open_split(tmp_path, val_folder=val_folder)
    assert split.val_called == called
    first = described(split.train, split.val, val_called=split.val_called)[0]
    assert f" to learn from, {len(split.val)} held out ({called}); " in first
    measured = open_held_out(tmp_path, val_folder=val_folder)
    assert f"measured: {len(split.val)} images in {called}" in measured.notes


@pytest.mark.parametrize(
    ("counts", "val_folder", "words"),
    [
        ({"test/a": 2, "test/b": 2}, None, "holds the folder test alone"),
        (
            {"Training/a": 2, "Training/b": 2, "Testing/a": 1, "Testing/b": 1},
            "Training",
            r"the folder Training alone, to be measured on \(left out, beside the splits: Testing\); wanted a folder",
        ),
    ],
)
def test_a_folder_alone_is_called_by_its_own_name(
    counts: dict[str, int], val_folder: str | None, words: str, tmp_path: Path
) -> None:
    folders(tmp_path, counts)
    with pytest.raises(InputError, match=words):
        open_split(tmp_path, val_folder=val_folder)


def test_every_format_is_read_with_the_limits_of_the_reading(tmp_path: Path) -> None:
    data = [image(i) for i in range(2)]
    write(tmp_path / "folder", {"a/0.png": data[0], "b/1.png": data[1]})
    write(tmp_path, {"table.csv": b"path,label\nfolder/a/0.png,a\nfolder/b/1.png,b\n"})
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for i, name in enumerate(("0.png", "0.cls", "1.png", "1.cls")):
            content = (data[0], b"0", data[1], b"1")[i]
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    for name, values in {"bytes": data, "paths": ["folder/a/0.png", "folder/b/1.png"]}.items():
        pq.write_table(pa.table({"image": values, "label": [0, 1]}), tmp_path / f"{name}.parquet")
    features = datasets.Features({"image": datasets.Value("binary"), "label": datasets.Value("int64")})
    rows = datasets.Dataset.from_dict({"image": data, "label": [0, 1]}, features=features)
    rows.save_to_disk(tmp_path / "saved")
    small = Reading(limits=Limits(max_bytes=len(data[1]) - 1))
    for source in ("folder", "table.csv", "a.tar", "bytes.parquet", "paths.parquet", "saved"):
        assert open_images(tmp_path / source).read(1) == data[1]
        for images in (open_images(tmp_path / source, small), open_held_out(tmp_path / source, small)):
            with pytest.raises(ImageError, match="the limit is") as caught:
                images.read(1)
            assert (caught.value.kind, caught.value.source) == ("too_large", images.name(1))


def test_files_beside_folders_are_not_guessed_about(tmp_path: Path) -> None:
    folders(tmp_path, {"a": 1, "b": 1})
    write(tmp_path, {"x.parquet": b"PAR1...."})
    with pytest.raises(InputError, match=r"1 parquet file beside the folders a, b.*/\*\.parquet"):
        open_images(tmp_path)


def test_folders_and_tables_of_paths_need_no_extra(tmp_path: Path) -> None:
    folders(tmp_path, {"a": 1, "b": 1})
    (tmp_path / "t.csv").write_text("path,label\na/0.png,a\nb/0.png,b\n")
    program = f"""
import sys
from gmixer.datasets import open_images
for source in {str(tmp_path)!r}, {str(tmp_path / "t.csv")!r}:
    assert len(open_images(source).read(1)) > 20
assert not {{"pyarrow", "datasets", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
