"""split.py: which images are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmixer.datasets import UNKNOWN, LabeledImages, open_images, open_split
from gmixer.datasets.holdout import drawn
from gmixer.errors import InputError
from labelled import folders, image, write

NAMES = st.lists(st.text(min_size=1, max_size=6), unique=True, min_size=1, max_size=30)


def held_out(names: list[str], fraction: float = 0.3) -> set[str]:
    """Of three classes, which follow from the name."""
    labels = np.array([sum(name.encode("utf-8", "surrogatepass")) % 3 for name in names])
    return {name for name, is_out in zip(names, drawn(names, labels, fraction), strict=True) if is_out}


@given(NAMES.map(lambda names: [name.encode("utf-8", "ignore").decode() + f"{i}" for i, name in enumerate(names)]))
def test_a_side_depends_on_the_name_alone(names: list[str]) -> None:
    whole = held_out(names)
    assert held_out(names[::-1]) == whole
    part = names[::2]
    moved = (whole ^ held_out(part)) & set(part)
    # Only what alone is left of a class to train on may have another side.
    assert len(moved) <= 3
    for name in moved:
        of_class = {other for other in part if sum(other.encode()) % 3 == sum(name.encode()) % 3}
        assert of_class - {name} <= held_out(part)


def test_adding_images_moves_no_other(tmp_path: Path) -> None:
    def names(images: LabeledImages) -> set[str]:
        return {images.name(i) for i in range(len(images))}

    folders(tmp_path, {"cat": 60, "dog": 60})
    before = open_split(tmp_path)
    write(tmp_path, {f"{c}/more-{i}.png": image(i) for c in ("ant", "cat", "eel") for i in range(40)})
    after = open_split(tmp_path)
    assert names(before.train) < names(after.train)
    assert names(before.val) < names(after.val)


def test_a_folder_that_was_moved_is_split_alike(tmp_path: Path) -> None:
    folders(tmp_path / "here", {"cat": 60, "dog": 60})
    here = open_split(tmp_path / "here").val
    before = [Path(here.name(i)).relative_to(tmp_path / "here") for i in range(len(here))]
    (tmp_path / "here").rename(tmp_path / "there")
    there = open_split(tmp_path / "there").val
    assert [Path(there.name(i)).relative_to(tmp_path / "there") for i in range(len(there))] == before


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_every_class_gives_its_share(fraction: float) -> None:
    keys = [f"{label}/{i}.jpg" for label in range(5) for i in range(2000)]
    labels = np.repeat(np.arange(5), 2000)
    out = drawn(keys, labels, fraction)
    shares = np.array([out[labels == label].mean() for label in range(5)])
    assert (np.abs(shares - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / 2000)).all()


def test_no_class_loses_all_its_images() -> None:
    keys = [f"{i}.jpg" for i in range(300)]
    out = drawn(keys, np.arange(300) // 2, 0.9)
    assert not out.reshape(-1, 2).all(axis=1).any()
    assert out.sum() == pytest.approx(150, abs=25)  # 0.9 of two images, but one stays


def test_what_has_no_label_is_trained_on() -> None:
    assert not drawn([f"{i}" for i in range(200)], np.full(200, UNKNOWN), 0.5).any()


def test_both_ways_in_give_the_same(tmp_path: Path) -> None:
    folders(tmp_path, {"cat": 20, "dog": 20})
    split = open_split(tmp_path, val_fraction=0.3)
    for name, part in (("train", split.train), ("val", split.val)):
        again = open_images(tmp_path, split=name, val_fraction=0.3)  # type: ignore[arg-type]
        assert [again.name(i) for i in range(len(again))] == [part.name(i) for i in range(len(part))]
        assert again.labels.tolist() == part.labels.tolist()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 20, float("nan")])
def test_a_fraction_that_is_none(fraction: float, tmp_path: Path) -> None:
    folders(tmp_path, {"cat": 2, "dog": 2})
    with pytest.raises(InputError, match=r"val_fraction is .*between 0 and 1"):
        open_split(tmp_path, val_fraction=fraction)


def test_too_few_images_to_hold_some_out(tmp_path: Path) -> None:
    folders(tmp_path, {"cat": 1, "dog": 1})
    with pytest.raises(InputError, match=r"2 images, and val_fraction=0\.001 leaves none for val"):
        open_split(tmp_path, val_fraction=0.001)
