"""numbering.py: names → class indices."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from gmixer.datasets import UNKNOWN, imagenet_indices, open_images, same_classes
from gmixer.errors import InputError
from gmixer.labels import imagenet_1k
from labelled import folders, image, write

NAMES = [label.name for label in imagenet_1k()]
SYNSETS = [label.synset for label in imagenet_1k()]


def test_synsets_have_their_place_in_imagenet() -> None:
    indices = imagenet_indices(["n02123045", "n01440764"])
    assert indices is not None and indices.tolist() == [281, 0]
    assert imagenet_indices(["n02123045", "cat"]) is None
    assert imagenet_indices([]) is None


def test_the_thousand_names_count_in_their_order_though_some_differ() -> None:
    for names in (NAMES, [f"{name}2" if i % 200 == 0 else name for i, name in enumerate(NAMES)]):
        indices = imagenet_indices(names)
        assert indices is not None and indices.tolist() == list(range(1000))
    assert imagenet_indices(sorted(NAMES)) is None


@pytest.mark.parametrize("classes", [NAMES, SYNSETS])
def test_folders_of_synsets_count_as_the_model_does(classes: list[str], tmp_path: Path) -> None:
    folders(tmp_path, {"n01440764": 1, "n02123045": 2})
    assert open_images(tmp_path).labels.tolist() == [0, 1, 1]
    images = open_images(tmp_path, classes=classes)
    assert images.labels.tolist() == [0, 281, 281]
    assert images.classes == tuple(classes)


def test_a_model_s_classes_in_its_order(tmp_path: Path) -> None:
    folders(tmp_path, {"cat": 1, "dog": 1})
    assert open_images(tmp_path, classes=["dog", "eel", "cat"]).labels.tolist() == [2, 0]
    with pytest.raises(InputError, match="the class cat"):
        open_images(tmp_path, classes=["dog", "eel"])
    with pytest.raises(InputError, match="the class cat"):  # which of the two?
        open_images(tmp_path, classes=["dog", "cat", "cat"])


def test_a_name_in_other_letters_is_named(tmp_path: Path) -> None:
    folders(tmp_path, {"train/Cat": 1, "train/dog": 1, "val/cat": 1})
    with pytest.raises(InputError, match="'cat' and 'Cat' differ by capital letters"):
        open_images(tmp_path, split="val")


def test_names_are_the_same_in_every_unicode_form() -> None:
    apart = unicodedata.normalize("NFD", "café")
    assert same_classes(["café", "dog"], [apart, "dog"]) and not same_classes(["cafe", "dog"], [apart, "dog"])


def test_one_class_is_enough_to_measure_on(tmp_path: Path) -> None:
    assert open_images(folders(tmp_path, {"cat": 2}), classes=["ant", "cat"]).labels.tolist() == [1, 1]


def test_numbers_as_names_are_the_classes_of_a_model_without_names(tmp_path: Path) -> None:
    """A model of a table of numbers, measured on folders 1, 2, …"""
    folders(tmp_path, {"1": 1, "02": 1, "10": 1})
    images = open_images(tmp_path, classes=[f"class {i}" for i in range(11)])
    assert sorted(images.labels.tolist()) == [1, 2, 10]
    with pytest.raises(InputError, match="10"):
        open_images(tmp_path, classes=[f"class {i}" for i in range(10)])


def test_numbers_must_be_among_the_model_s(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": image(i) for i in range(3)})
    (tmp_path / "a.csv").write_text("path,label\n0.png,1\n1.png,\n2.png,0\n")
    images = open_images(tmp_path / "a.csv", classes=["ant", "bee"])
    assert images.labels.tolist() == [1, UNKNOWN, 0] and images.classes == ("ant", "bee")
    with pytest.raises(InputError, match="label 1; wanted at most 0"):
        open_images(tmp_path / "a.csv", classes=["ant"])


def numbers_in_a_table(root: Path, labels: Sequence[object]) -> Path:
    write(root, {f"{i}.png": image(i) for i in range(len(labels))})
    lines = ["path,label", *(f"{i}.png,{label}" for i, label in enumerate(labels))]
    (root / "a.csv").write_text("\n".join(lines) + "\n")
    return root / "a.csv"


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([90210, 10001, 60601], ("10001", "60601", "90210"), [2, 0, 1]),
        (["02134", "90210", "02134"], ("02134", "90210"), [0, 1, 0]),
        (["90210.0", "10001.0", ""], ("10001", "90210"), [1, 0, UNKNOWN]),
        ([10**9, 7, -1], ("7", "1000000000"), [1, 0, UNKNOWN]),
        ([2**63, 7, 2**200], ("7", str(2**63), str(2**200)), [1, 0, 2]),
        ([0, 100, 3], None, [0, 100, 3]),  # few numbers without an image: still class indices
        ([1, 2, 3], None, [1, 2, 3]),
    ],
)
def test_sparse_numbers_are_names(
    labels: list[object], classes: tuple[str, ...] | None, expected: list[int], tmp_path: Path
) -> None:
    images = open_images(numbers_in_a_table(tmp_path, labels))
    assert images.classes == classes and images.labels.tolist() == expected
    assert all("is the name of a class" in note for note in images.notes)


def test_sparse_numbers_have_a_way_to_be_indices(tmp_path: Path) -> None:
    file = numbers_in_a_table(tmp_path, [500, 0, 999])
    assert open_images(file).classes == ("0", "500", "999")
    assert open_images(file, num_classes=1000).labels.tolist() == [500, 0, 999]
    with pytest.raises(InputError, match=r"label 999, but model\.num_classes is 999"):
        open_images(file, num_classes=999)
    assert open_images(file, classes=[f"class {i}" for i in range(1000)]).labels.tolist() == [500, 0, 999]


def test_a_model_of_sparse_numbers_measures_them_in_every_spelling(tmp_path: Path) -> None:
    model = open_images(numbers_in_a_table(tmp_path / "a", ["02134", "90210", "10001"])).classes
    assert model is not None
    for name, labels in {"b": [2134, 10001], "c": ["02134", "10001.0"]}.items():
        assert open_images(numbers_in_a_table(tmp_path / name, labels), classes=model).labels.tolist() == [0, 1]
    assert open_images(folders(tmp_path / "d", {"010001": 1, "2134": 1}), classes=model).labels.tolist() == [1, 0]
    with pytest.raises(InputError, match="the class 1000000000;"):
        open_images(numbers_in_a_table(tmp_path / "e", [10**9, 2134]), classes=model)


def test_sparse_numbers_of_both_splits_are_the_same_classes(tmp_path: Path) -> None:
    file = numbers_in_a_table(tmp_path, ["90210,train", "10001,train", "10001,val", "90210,val"])
    file.write_text(file.read_text().replace("path,label", "path,label,split"))
    assert open_images(file, split="val").labels.tolist() == [0, 1]
    file.write_text(file.read_text() + "0.png,60601,val\n")
    with pytest.raises(InputError, match="val split alone the class 60601"):
        open_images(file, split="val")
