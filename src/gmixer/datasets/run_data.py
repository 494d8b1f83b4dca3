"""data.json in the folder of a training run: a checksum of the run's data, so that the same data is known again.

The smallest hashes of its names tell data that is nearly the same.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.class_index import align_classes
from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.holdout import split as drawn_split
from gmixer.datasets.labeled_images import LabeledImages, Subset
from gmixer.datasets.splits import counted
from gmixer.errors import ImageError, InputError
from gmixer.options import DEFAULT_READING

MODEL = "model"  # the names in the folder of a run (train/run_dir.py)
RECIPE = "recipe.toml"
DATA = "data.json"
FORMAT = 2  # of data.json: of its keys and its checksums
SAMPLED = 64  # this many images have their bytes in the checksum
NAMES = 1_000  # of each split, so many names are kept as hashes: the smallest ones, which are a random sample


@dataclass(frozen=True)
class RunData:
    """The data of a finished run. train, val: the `identity` of its splits.

    val_fraction: the share that was held out if the data had no split. num_classes: of the recipe; None: by the labels.
    val_folder: the folder that was held out by --val-folder. names: the `sketch` of each split; empty in older runs.
    range: of the Reading of the run's images.
    """

    folder: Path
    train: dict[str, Any]
    val: dict[str, Any]
    val_fraction: float
    num_classes: int | None
    val_folder: str | None = None
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    range: str = DEFAULT_READING.range

    def is_of(self, splits: Splits) -> bool:
        """Whether the run learned from these splits."""
        try:
            splits = align_classes(splits, None, self.num_classes)
        except InputError:
            return False
        both = {"train": self.train, "val": self.val}
        return splits.keys() == both.keys() and all(identity(splits[name]) == both[name] for name in splits)

    def held_out(self, images: DatasetBase) -> NDArray[np.int64] | None:
        """The numbers of the images that the run held out. None if these are not the images that it was given.

        Raises InputError if the run learned from all of them.
        """
        try:
            images = align_classes({"whole": images}, None, self.num_classes)["whole"]
        except InputError:  # no run can learn from these labels
            return None
        if len(images) == self.train["images"] and identity(images) == self.train:
            raise InputError(
                f"the model learned from these images of {images.source} ({self.folder / DATA}), so its accuracy on "
                "them says nothing of other images; wanted images that it has not seen, or --all to measure these"
            )
        if len(images) != self.train["images"] + self.val["images"]:
            return None
        train, val = drawn_split(images, self.val_fraction)
        is_same = identity(Subset(images, val)) == self.val and identity(Subset(images, train)) == self.train
        return val if is_same else None

    def resemblance(self, images: LabeledImages) -> str | None:
        """A note if many of the images have the names of images that the run learned from; None otherwise."""
        learned, held_out = set(self.names.get("train", ())), set(self.names.get("val", ()))
        if not learned:
            return None
        ours = _hashes(images)
        is_sample = self.train["images"] > len(learned)
        compared = [name for name in ours if name <= max(learned)] if is_sample else ours
        known = [name for name in compared if name in learned and name not in held_out]
        if not known or (2 * len(known) < len(compared) and 2 * len(set(known)) < len(learned)):
            return None
        count = round(len(known) * len(ours) / len(compared))
        about = "about " if is_sample else ""
        return (
            f"{about}{count:,} of these {counted(len(ours), 'image')} have the names of images that the model learned "
            f"from ({self.folder}), and are measured, too"
        )


def run_of(weights: Path) -> RunData | None:
    """The data of the run that saved these weights into its folder; None where no run's folder is around them."""
    model = weights.resolve().parent  # the run's own, or one beside it, such as its conversion to int8
    try:
        data = json.loads((model.parent / DATA).read_text(encoding="utf-8"))
        recipe = tomllib.loads((model.parent / RECIPE).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            return None
        train, val = ({key: data[part][key] for key in ("images", "sha256", "classes")} for part in ("train", "val"))
        val_fraction, num_classes = float(recipe["data"]["val_fraction"]), recipe["model"]["num_classes"] or None
        val_folder = str(recipe["data"].get("val_folder", "")) or None
        names = {part: tuple(str(hashes).split()) for part, hashes in data.get("names", {}).items()}
        value_range = str(data.get("reading", {}).get("range", DEFAULT_READING.range))
        return RunData(model.parent, train, val, val_fraction, num_classes, val_folder, names, value_range)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # not a run's folder, or a damaged one
        return None


def sketch(images: LabeledImages) -> str:
    """The smallest hashes of its names: up to NAMES. Two data sets with the same names have the same ones."""
    return " ".join(sorted(set(_hashes(images)))[:NAMES])


def _hashes(images: LabeledImages) -> list[str]:
    keys = (unicodedata.normalize("NFC", images.key(i)) for i in range(len(images)))
    return [hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=6).hexdigest() for key in keys]


def identity(images: LabeledImages) -> dict[str, Any]:
    """Names within the source, labels, and the bytes of some images: the data may move, but not change."""
    digest = hashlib.sha256()
    for i, label in enumerate(images.labels.tolist()):
        key = unicodedata.normalize("NFC", images.key(i))
        digest.update(f"{key}\0{label}\n".encode(errors="surrogateescape"))
    for i in np.unique(np.linspace(0, len(images) - 1, SAMPLED).astype(int)).tolist() if len(images) else ():
        try:
            digest.update(images.read(i))
        except ImageError as error:
            digest.update(error.kind.encode())
    if images.soft is not None:
        digest.update(images.soft.index.tobytes())
        digest.update(images.soft.probability.tobytes())
    classes = None if images.classes is None else list(images.classes)
    return {"images": len(images), "sha256": digest.hexdigest(), "classes": classes}
