"""numbering.py: names → class indices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gmixer.datasets import UNKNOWN, imagenet_indices, open_images
from gmixer.datasets.label_values import numbered
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


def test_one_class_is_enough_to_measure_on(tmp_path: Path) -> None:
    assert open_images(folders(tmp_path, {"cat": 2}), classes=["ant", "cat"]).labels.tolist() == [1, 1]


def test_numbers_must_be_among_the_model_s(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": image(i) for i in range(3)})
    (tmp_path / "a.csv").write_text("path,label\n0.png,1\n1.png,\n2.png,0\n")
    images = open_images(tmp_path / "a.csv", classes=["ant", "bee"])
    assert images.labels.tolist() == [1, UNKNOWN, 0] and images.classes == ("ant", "bee")
    with pytest.raises(InputError, match="label 1; wanted at most 0"):
        open_images(tmp_path / "a.csv", classes=["ant"])


def test_unknown_among_names_is_no_class() -> None:
    labels, classes, _ = numbered(["b", "-1", "", "a"], "here")
    assert labels.tolist() == [1, UNKNOWN, UNKNOWN, 0] and classes == ("a", "b")


def test_names_are_numbered_in_sorted_order() -> None:
    labels, classes, _ = numbered(["b", None, "a", "b"], "here")
    assert labels.tolist() == [1, UNKNOWN, 0, 1] and classes == ("a", "b")
    assert labels.dtype == np.int64
