"""hub.py: data sets by way of Hugging Face's library, without a network."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

import datasets
from gmixer.datasets import UNKNOWN, huggingface, open_images, open_split
from gmixer.errors import ImageError, InputError, MissingExtraError
from labelled import folders, image


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def data(numbers: range) -> Any:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["zebra", "ape"])})
    images = [{"bytes": image(n), "path": None} for n in numbers]
    return datasets.Dataset.from_dict({"image": images, "label": [n % 2 for n in numbers]}, features=features)


def test_a_folder_that_was_saved(tmp_path: Path) -> None:
    data(range(12)).select(range(2, 12)).save_to_disk(tmp_path / "saved")
    images = open_images(tmp_path / "saved")
    assert images.classes == ("zebra", "ape")
    assert images.labels.tolist() == [0, 1] * 5
    for copy in (images, pickle.loads(pickle.dumps(images))):
        assert [copy.read(i) for i in range(10)] == [image(n) for n in range(2, 12)]
    assert images.name(3).startswith(f"{tmp_path}/saved::") and images.name(3).endswith("[3]")


def test_a_column_called_label_counts_before_another_with_names(tmp_path: Path) -> None:
    quality = data(range(4)).rename_column("label", "quality")
    quality.add_column("label", ["cat", "dog"] * 2).save_to_disk(tmp_path / "saved")
    assert open_images(tmp_path / "saved").classes == ("cat", "dog")


def test_a_column_split_and_names_of_its_own_mean_the_same_as_in_parquet(tmp_path: Path) -> None:
    rows = data(range(12)).rename_columns({"image": "photo", "label": "species"})
    rows = rows.add_column("split", ["train"] * 8 + ["dev"] * 4)
    rows.save_to_disk(tmp_path / "saved")
    rows.to_parquet(tmp_path / "rows.parquet")
    for source in (tmp_path / "saved", tmp_path / "rows.parquet"):
        split = open_split(source)
        assert not split.is_drawn and (len(split.train), len(split.val)) == (8, 4)
        assert split.train.classes == ("zebra", "ape") and split.val.read(0) == image(8)


def test_its_splits_are_the_parts(tmp_path: Path) -> None:
    splits = {"train": data(range(8)), "validation": data(range(8, 12)), "extra": data(range(2))}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    split = open_split(tmp_path / "saved")
    assert not split.is_drawn and (len(split.train), len(split.val)) == (8, 4)
    assert split.val.read(1) == image(9)
    assert any("extra" in note for note in split.val.notes)


def test_the_words_of_its_splits_are_known(tmp_path: Path) -> None:
    splits = {"training": data(range(8)), "testing": data(range(8, 12)), "train_small": data(range(2))}
    datasets.DatasetDict({name: splits[name] for name in ("training", "testing")}).save_to_disk(tmp_path / "a")
    assert (len(open_split(tmp_path / "a").train), len(open_split(tmp_path / "a").val)) == (8, 4)
    splits["train"] = splits.pop("training")
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "b")
    split = open_split(tmp_path / "b")
    assert len(split.train) == 8 and any("train_small" in note for note in split.train.notes)


def test_two_splits_for_one_part_are_one_too_many(tmp_path: Path) -> None:
    splits = {"train": data(range(8)), "val": data(range(4)), "validation": data(range(4))}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    with pytest.raises(InputError, match="has the splits val and validation, both for val; wanted one of them"):
        open_split(tmp_path / "saved")


def test_a_column_of_paths_is_read_where_they_lead(tmp_path: Path) -> None:
    folder = folders(tmp_path / "photos", {"cat": 2, "dog": 2})
    paths = sorted(map(str, folder.rglob("*.png")))
    datasets.Dataset.from_dict({"image": [*paths, "/nowhere.png"], "label": [0, 0, 1, 1, 1]}).save_to_disk(
        tmp_path / "s"
    )
    images = open_images(tmp_path / "s")
    assert [images.read(i) for i in range(4)] == [Path(path).read_bytes() for path in paths]
    with pytest.raises(ImageError, match="no such file"):
        images.read(4)


def test_an_image_is_called_as_its_row_calls_it(tmp_path: Path) -> None:
    folders(tmp_path / "photos/train", {"cat": 1, "dog": 1})
    folders(tmp_path / "photos/test", {"cat": 1, "dog": 1})
    images = open_split(f"hf:{tmp_path}/photos").train
    assert images.name(1).startswith(f"hf:{tmp_path}/photos::train[1]::")
    assert images.name(1).endswith("/dog/0.png")
    chosen = data(range(6)).map(lambda row, i: {"image": {"bytes": image(i), "path": f"{i}.png"}}, with_indices=True)
    chosen.cast_column("image", datasets.Image()).select([4, 1]).save_to_disk(tmp_path / "chosen")
    some = open_images(tmp_path / "chosen")
    assert [some.name(i).rpartition("::")[2] for i in range(2)] == ["4.png", "1.png"]


def test_a_name_goes_to_load_dataset(tmp_path: Path) -> None:
    folders(tmp_path / "photos/train", {"cat": 3, "dog": 2})
    folders(tmp_path / "photos/test", {"cat": 1})
    split = open_split(f"hf:{tmp_path}/photos")  # its imagefolder builder
    assert split.train.classes == ("cat", "dog")
    assert sorted(split.train.labels.tolist()) == [0, 0, 0, 1, 1]
    assert split.val.labels.tolist() == [0]
    assert split.val.read(0) == image(0)


def test_a_configuration_stands_behind_a_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load_dataset(*arguments: object) -> Any:
        asked.append(arguments)
        return data(range(4))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    open_images("hf:org/name:full_size")
    open_images("hf:org/name")
    assert asked == [("org/name", "full_size"), ("org/name", None)]


def test_images_without_a_label(tmp_path: Path) -> None:
    hidden = data(range(4)).to_dict()
    hidden["label"] = [0, None, -1, 1]
    datasets.Dataset.from_dict(hidden, features=data(range(1)).features).save_to_disk(tmp_path / "saved")
    assert open_images(tmp_path / "saved").labels.tolist() == [0, UNKNOWN, UNKNOWN, 1]


def test_a_name_that_cannot_be_had() -> None:
    with pytest.raises(InputError, match=r"hf:no-such-org/no-such-name: .*; wanted a data set"):
        open_images("hf:no-such-org/no-such-name")


def test_a_hub_that_cannot_be_reached_costs_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library's tries, which take half a minute; its cache counts."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface, "why_unreachable", lambda: "the Hub cannot be reached: its name does not resolve")
    with pytest.raises(InputError, match=r"^hf:no-such-org/no-such-name: the Hub cannot be reached: its name does not"):
        open_images("hf:no-such-org/no-such-name")
    monkeypatch.setattr(datasets, "load_dataset", lambda *arguments: data(range(4)))
    assert len(open_images("hf:org/name")) == 4
    assert datasets.config.HF_HUB_OFFLINE is False


def test_a_folder_that_is_no_longer_whole(tmp_path: Path) -> None:
    data(range(4)).save_to_disk(tmp_path / "saved")
    next((tmp_path / "saved").glob("*.arrow")).unlink()
    with pytest.raises(InputError, match="complete folder written by save_to_disk"):
        open_images(tmp_path / "saved")


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"datasets: pip install 'gmixer\[train\]'"):
        open_images("hf:org/name")
