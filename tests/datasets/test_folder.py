"""folder.py: image folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gmixer.datasets import open_images, open_split
from gmixer.errors import ImageError, InputError
from labelled import folders, image, write


def test_classes_are_the_folders_in_sorted_order_and_images_may_lie_deeper(tmp_path: Path) -> None:
    write(tmp_path, {"b/x/1.png": image(1), "a-b/2.dat": image(2), "a/3.png": image(3), "Z/4": image(4)})
    images = open_images(tmp_path)
    assert images.classes == ("Z", "a", "a-b", "b")
    found = {images.name(i): (images.labels[i], images.read(i)) for i in range(len(images))}
    assert found == {
        f"{tmp_path}/b/x/1.png": (3, image(1)),
        f"{tmp_path}/a-b/2.dat": (2, image(2)),
        f"{tmp_path}/a/3.png": (1, image(3)),
        f"{tmp_path}/Z/4": (0, image(4)),
    }


def test_what_is_no_image_is_counted_and_named(tmp_path: Path) -> None:
    folders(tmp_path, {"cat": 2, "dog": 2})
    write(tmp_path, {"cat/notes.txt": b"hello", "dog/empty.jpg": b"", "loose.png": image(9), "old/x.xml": b"<a/>"})
    images = open_images(tmp_path)
    assert len(images) == 5 and images.classes == ("cat", "dog")
    notes = " ".join(images.notes)
    for word in ("2 files are no images", "cat/notes.txt", "loose.png", "1 folders", "old"):
        assert word in notes


def test_a_file_that_is_called_like_an_image_fails_when_it_is_read(tmp_path: Path) -> None:
    folders(tmp_path, {"cat": 2, "dog": 2})
    broken = {"cat/page.JPG": b"<html>", "dog/empty.jpg": b"", "dog/phone.heic": b"", "dog/._0.png": b"\0\5\x16\7"}
    write(tmp_path, broken)
    (tmp_path / "cat/broken.webp").symlink_to("absent")
    (tmp_path / "cat/elsewhere").symlink_to(tmp_path / "dog")
    images = open_images(tmp_path)
    assert len(images) == 8 and not any("._" in images.name(i) for i in range(8))
    assert images.notes == ("1 files are no images and left out (cat/elsewhere)",)
    read = {images.key(i): i for i in range(8)}
    assert images.read(read["dog/empty.jpg"]) == b""
    with pytest.raises(ImageError, match="is a link to a file that does not exist"):
        images.read(read["cat/broken.webp"])


def test_a_class_may_be_a_link_to_a_folder(tmp_path: Path) -> None:
    folders(tmp_path / "all", {"cat": 1, "dog": 1, "eel": 1})
    some = tmp_path / "some"
    some.mkdir()
    for name in ("cat", "eel"):
        (some / name).symlink_to(tmp_path / "all" / name)
    assert open_images(some).classes == ("cat", "eel")


@pytest.mark.parametrize("val", ["val", "valid", "validation", "test", "Val"])
def test_train_and_val_are_parts_and_count_the_same_classes(val: str, tmp_path: Path) -> None:
    folders(tmp_path / "train", {"ant": 2, "bee": 3, "cow": 1})
    folders(tmp_path / val, {"bee": 1, "cow": 2})
    train, held_out = open_images(tmp_path, split="train"), open_images(tmp_path, split="val")
    assert train.classes == held_out.classes == ("ant", "bee", "cow")
    assert train.labels.tolist() == [0, 0, 1, 1, 1, 2]
    assert held_out.labels.tolist() == [1, 2, 2]
    assert held_out.name(0) == f"{tmp_path}/{val}/bee/0.png"


def test_test_images_are_left_out_where_there_are_val_images(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        folders(tmp_path / part, {"a": 1, "b": 1})
    images = open_images(tmp_path, split="val")
    assert f"{os.sep}val{os.sep}" in images.name(0) and len(images) == 2
    assert any("test" in note for note in images.notes)


def test_a_class_may_be_called_val(tmp_path: Path) -> None:
    assert open_images(folders(tmp_path, {"val": 1, "cut": 1})).classes == ("cut", "val")


def test_a_train_folder_alone_is_split(tmp_path: Path) -> None:
    folders(tmp_path / "train", {"a": 20, "b": 20})
    split = open_split(tmp_path)
    assert split.is_drawn and len(split.train) + len(split.val) == 40


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, ["no images", "a folder for each class"]),
        ({"cat": 3}, ["only the class cat", "two"]),
        ({"train/a": 1, "train/b": 1, "val/c": 1}, ["val split alone", "class c"]),
        ({"train/a": 1, "train/b": 1, "val/a": 1, "extra/a": 1}, ["extra", "classes or splits"]),
        ({"train/a": 1, "train/b": 1, "val/a": 1, "valid/a": 1}, ["val and valid"]),
    ],
)
def test_what_is_wrong_is_said_at_opening(counts: dict[str, int], words: list[str], tmp_path: Path) -> None:
    folders(tmp_path, counts)
    with pytest.raises(InputError) as error:
        open_images(tmp_path, split="train")
    for word in words:
        assert word in str(error.value)
