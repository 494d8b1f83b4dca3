"""folder.py: image folders."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from gmixer.datasets import open_held_out, open_images, open_split
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
    for word in ("2 files are no images", "cat/notes.txt", "loose.png", "1 folder holds", "old"):
        assert word in notes


def test_a_file_that_is_called_like_an_image_fails_when_it_is_read(tmp_path: Path) -> None:
    folders(tmp_path, {"cat": 2, "dog": 2})
    broken = {"cat/page.JPG": b"<html>", "dog/empty.jpg": b"", "dog/phone.heic": b"", "dog/._0.png": b"\0\5\x16\7"}
    write(tmp_path, broken)
    (tmp_path / "cat/broken.webp").symlink_to("absent")
    (tmp_path / "cat/elsewhere").symlink_to(tmp_path / "dog")
    images = open_images(tmp_path)
    assert len(images) == 8 and not any("._" in images.name(i) for i in range(8))
    assert images.notes == ("1 file is no image and left out (cat/elsewhere)",)
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


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Training", "Testing"),
        ("seg_train", "seg_test"),
        ("TRAIN", "eval"),
        ("train2017", "val2017"),
        ("1 train", "dev"),
    ],
)
def test_a_word_within_a_name_in_any_case_tells_a_split(train: str, val: str, tmp_path: Path) -> None:
    """`kaggle/Training/glioma` and `kaggle/Testing/glioma`: the classes are not Training and Testing."""
    folders(tmp_path / train, {"glioma": 3, "meningioma": 2})
    folders(tmp_path / val, {"glioma": 1, "meningioma": 1})
    split = open_split(tmp_path)
    assert not split.is_drawn and (len(split.train), len(split.val)) == (5, 2)
    assert split.train.classes == split.val.classes == ("glioma", "meningioma")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            {"A/x": 1, "A/y": 1, "B/x": 1, "B/y": 1},
            ["A, B hold the same folders (x, y)", "--val-folder NAME", "rename"],
        ),
        ({"trainset/x": 1, "trainset/y": 1, "testset/X": 1, "testset/y": 1, "pred": 1}, ["testset, trainset"]),
        ({"in/A/x": 1, "in/A/y": 1, "in/B/x": 1, "in/B/y": 1}, ["A, B hold the same folders"]),
        ({"train/x": 1, "train/y": 1, "holdout/x": 1, "holdout/y": 1}, ["holdout", "--val-folder NAME"]),
        ({"cat/train": 1, "cat/test": 1, "dog/train": 1, "dog/test": 1}, ["above the classes", "test/cat"]),
        ({"trainA": 1, "trainB": 1, "testA": 1}, ["testA, trainA, trainB", "look like splits"]),
        (
            {"TrainImages/x": 1, "TrainImages/y": 1, "TestImages": 1},
            ["TestImages, TrainImages", "pass {root}/TrainImages alone"],
        ),
        ({f"{s}set/{c}": 1 for s in ("train", "val") for c in "xy"}, ["trainset, valset", "--val-folder NAME"]),
        ({"train/x": 1, "train/y": 1, "val": 1}, ["{root}/val holds no images in folders", "pass {root}/train alone"]),
        ({"cars_train": 1, "cars_test": 1, "kit": 0}, ["cars_test, cars_train", "no images in folders inside"]),
        ({"a/a/x": 1, "a/a/y": 1, "a-test/a-test/x": 1, "a-test/a-test/y": 1}, ["a-test", "--val-folder NAME"]),
        ({"x": 1, "y": 1, "copy/x": 1, "copy/y": 1}, ["copy", "those beside it (x, y)", "{root}/copy alone"]),
        ({"x": 1, "set/train/x": 1, "set/val/x": 1}, ["{root}/set holds splits (train, val)", "pass {root}/set"]),
        ({f"{c}/{kind}": 1 for c in "xy" for kind in ("images", "masks")}, ["move masks out"]),
        ({"images": 1, "annotations/trimaps": 1}, ["images beside annotations", "CSV table"]),
        ({"JPEGImages": 1, "SegmentationClass": 1}, ["JPEGImages beside SegmentationClass"]),
        ({"ham_images_part_1": 1, "ham_images_part_2": 1}, ["parts of one set", "CSV table"]),
        ({"images_001/images": 1, "images_002/images": 1}, ["parts of one set"]),
        ({"fold1": 1, "fold2": 1, "fold3": 1}, ["parts of one set"]),
        ({f"{s}/{site}/{c}": 1 for s in ("train", "val") for site in "12" for c in "xy"}, ["further down"]),
    ],
)
def test_folders_that_look_like_splits_never_become_classes(
    counts: dict[str, int], words: list[str], tmp_path: Path
) -> None:
    folders(tmp_path, counts)
    for open_it in (open_split, open_held_out):
        with pytest.raises(InputError) as error:
            open_it(tmp_path)
        assert all(word.format(root=tmp_path) in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    "counts",
    [
        {"bullet train": 4, "test tube": 4, "cat": 4},  # words within the names of classes
        {"train/2020": 4, "bus/2020": 4, "car/2021": 4},  # one folder in each class
        {"a/images": 4, "b/images": 4, "c/images": 4},  # as in tiny-ImageNet
        {"class 1": 4, "class 2": 4, "images 3": 4},
        {"c0": 4, "c1": 4, "c2": 4},
        {"mask": 4, "no_mask": 4},
        {"images": 4, "drawings": 4},
        {"testudo": 4, "trains": 4},
        {"cat": 4, "cat/old": 1, "cat/new": 1, "dog": 4, "dog/old": 1, "dog/new": 1},  # most images are not in these
    ],
)
def test_classes_that_only_look_like_splits(counts: dict[str, int], tmp_path: Path) -> None:
    names = sorted({name.partition("/")[0] for name in counts})
    images = open_images(folders(tmp_path, counts))
    assert images.classes == tuple(names) and not images.notes


def test_the_classes_are_named_where_they_may_be_further_down(tmp_path: Path) -> None:
    images = open_images(folders(tmp_path, {"a/abbey": 2, "a/airport": 2, "b/bar": 2, "b/beach": 2}))
    assert images.classes == ("a", "b")
    assert images.notes == ("the classes are the folders a, b, not the folders in them (a/abbey, a/airport, b/bar …)",)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"food/images/pie": 1, "food/images/soup": 1, "food/meta": 0}, "pass {root}/food/images, if these"),
        ({"2750/crop": 1, "2750/sea": 1}, "pass {root}/2750, if these"),
        (
            {"d/set/train/x": 1, "d/set/test": 1, "d/set/val": 1, "notes": 0},
            "{root}/d/set (test, train, val)",
        ),
        ({"train/images": 1, "train/labels": 0}, "all images of {root}/train lie in its folder images"),
        ({"train/x": 1, "train/y": 1, "val/images": 1}, "all images of {root}/val lie in its folder images"),
    ],
)
def test_the_way_to_classes_elsewhere_is_named(counts: dict[str, int], said: str, tmp_path: Path) -> None:
    folders(tmp_path, counts)
    with pytest.raises(InputError) as error:
        open_split(tmp_path)
    assert said.format(root=tmp_path) in str(error.value)


@pytest.mark.parametrize("inner", ["", "archive", "archive/archive"])
def test_a_folder_around_the_splits_and_what_macos_leaves_do_not_count(inner: str, tmp_path: Path) -> None:
    """As Kaggle's archives unpack: `seg_train/seg_train/cat`, with unlabelled images in seg_pred."""
    for split in ("seg_train", "seg_test"):
        folders(tmp_path / "root" / inner / split / split, {"a": 2, "b": 1})
    folders(tmp_path / "root" / inner, {"seg_pred/seg_pred": 2})
    folders(tmp_path / "root", {"__MACOSX/seg_train": 1, "@eaDir": 1})
    split = open_split(tmp_path / "root")
    assert (len(split.train), len(split.val)) == (3, 3) and split.train.classes == ("a", "b")
    assert any("seg_pred" in note and "left out" in note for note in split.train.notes)


@pytest.mark.parametrize("counts", [{".": 2}, {"images_1": 1, "images_2": 1}, {"images": 1, "masks": 1}])
def test_a_table_beside_the_images_is_named(counts: dict[str, int], tmp_path: Path) -> None:
    write(folders(tmp_path, counts), {"truth.csv": b"image_id,dx\n7,nv\n"})
    with pytest.raises(InputError) as error:
        open_split(tmp_path)
    assert str(error.value).endswith(f"If truth.csv lists the images, pass {tmp_path}/truth.csv")


def test_unlabelled_test_images_are_left_out_and_named(tmp_path: Path) -> None:
    folders(tmp_path, {"train/cat": 20, "train/dog": 20, "test1/test1": 3})
    split = open_split(tmp_path)
    assert split.is_drawn and len(split.train) + len(split.val) == 40
    assert any("test1" in note for note in split.train.notes)


@pytest.mark.parametrize("name", ["B", "B/", "./B", "{root}/B", "café"])
def test_the_user_tells_which_folder_is_held_out(name: str, tmp_path: Path) -> None:
    held_out = unicodedata.normalize("NFD", "café") if name == "café" else "B"
    folders(tmp_path, {"A/x": 3, "A/y": 3, f"{held_out}/x": 1, f"{held_out}/y": 1, "pred": 2})
    split = open_split(tmp_path, val_folder=name.format(root=tmp_path))
    assert not split.is_drawn and split.train.labels.tolist() == [0, 0, 0, 1, 1, 1] and len(split.val) == 2
    assert any("pred" in note for note in split.train.notes)
    assert len(open_held_out(tmp_path, val_folder=name.format(root=tmp_path))) == 2


def test_of_several_folds_the_others_are_trained_on(tmp_path: Path) -> None:
    folders(tmp_path, {f"fold{i}/{c}": i for i in (1, 2, 3) for c in "xy"})
    split = open_split(tmp_path, val_folder="fold3")
    assert (len(split.train), len(split.val)) == (6, 6) and split.train.classes == ("x", "y")
    folders(tmp_path, {"train/x": 1, "train/y": 1})
    assert len(open_split(tmp_path, val_folder="fold3").train) == 2


def test_a_folder_to_hold_out_must_be_there(tmp_path: Path) -> None:
    folders(tmp_path, {"A/x": 1, "A/y": 1, "B/x": 1})
    with pytest.raises(InputError, match=r"holds no folder C; it holds A, B"):
        open_split(tmp_path, val_folder="C")
    write(tmp_path, {"t.csv": b"path,label\nA/x/0.png,x\nA/y/0.png,y\n"})
    with pytest.raises(InputError, match="is no folder"):
        open_split(tmp_path / "t.csv", val_folder="B")


def test_the_same_name_in_two_unicode_forms_is_one_class(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "café")
    folders(tmp_path / "train", {"café": 1, "dog": 1})
    folders(tmp_path / "val", {apart: 2, "dog": 1})
    split = open_split(tmp_path)
    assert split.train.classes == split.val.classes == ("café", "dog") and split.val.labels.tolist() == [0, 0, 1]
    whole = open_images(folders(tmp_path / "all", {"café": 1, apart: 2, "dog": 1}))
    assert whole.classes == ("café", "dog") and np.bincount(whole.labels).tolist() == [3, 1]
    assert [whole.read(i) for i in range(4)]
    known_apart = open_images(tmp_path / "train", classes=["dog", apart])
    assert known_apart.labels.tolist() == [1, 0]


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
        ({"train/a": 1, "train/b": 1, "extra": 1}, ["train", "extra", "classes or splits", "--val-folder"]),
        ({"seg_train/a": 1, "seg_train/b": 1, "seg_pred": 1}, ["seg_train", "seg_pred", "classes or splits"]),
        ({"train": 1, "test": 1}, ["test, train", "no images in folders inside"]),
        ({"train1/a": 1, "train2/a": 1, "test/a": 1}, ["train1 and train2", "the same split"]),
        ({"train/a": 1, "train/b": 1, "val/a": 1, "valid/a": 1}, ["val and valid"]),
    ],
)
def test_what_is_wrong_is_said_at_opening(counts: dict[str, int], words: list[str], tmp_path: Path) -> None:
    folders(tmp_path, counts)
    with pytest.raises(InputError) as error:
        open_images(tmp_path, split="train")
    for word in words:
        assert word in str(error.value)


def test_a_class_with_a_split_s_word_and_folders_inside_is_asked_about(tmp_path: Path) -> None:
    folders(tmp_path, {"train station/a": 2, "train station/b": 2, "airport": 2})
    message = r"train station is named like a split and holds folders, unlike airport; wanted .*\. If they are classes"
    with pytest.raises(InputError, match=message):
        open_images(tmp_path)
