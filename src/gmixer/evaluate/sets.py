"""Data → images labelled with a model's class indices, and the rules of ImageNet's test sets.

N images, K classes of the model.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets import UNKNOWN, LabeledImages, RunData, open_held_out
from gmixer.errors import InputError
from gmixer.evaluate.published import SetName
from gmixer.evaluate.subsets import SUBSETS
from gmixer.labels.imagenet import Label, imagenet_1k
from gmixer.options import DEFAULT_READING, Reading
from gmixer.sources.text_file import read_text

_VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})")


@dataclass(frozen=True)
class TestSet:
    """numbers: of the images that count. correct: the correct classes of every image; None: its label. allowed: the
    classes that an answer may be; None: all.
    """

    images: LabeledImages
    numbers: NDArray[np.int64]
    correct: Sequence[Sequence[int]] | None = None
    allowed: NDArray[np.int64] | None = None


def open_set(
    source: str | os.PathLike[str],
    labels: Sequence[Label],
    of: SetName | None = None,
    *,
    real_labels: str | os.PathLike[str] | None = None,
    reading: Reading = DEFAULT_READING,
    val_folder: str | None = None,
    run: RunData | None = None,
) -> TestSet:
    """The val split of the data, or all images of data without splits. labels: the model's classes.

    Class names are matched with the model's by name or synset, never by their order. Names that are numbers, such as
    the folders of ImageNet-V2, are class indices.
    of: "a" and "r" allow only their own 200 classes as answers. "real" takes the labels of `real_labels`, the file
        real.json of "Are we done with ImageNet?" (arXiv 2006.07159). It lists the correct classes of each validation
        image; an image without a correct class does not count.

    reading: how image files are read. val_folder, run: see open_held_out.

    Raises InputError if data and classes do not fit, and if the model learned from all of the images.
    """
    if (of == "real") != (real_labels is not None):
        raise InputError('the set "real" and real_labels, the file real.json, go together')
    if of is not None and [label.synset for label in labels] != [label.synset for label in imagenet_1k()]:
        raise InputError(
            f"the set {of!r} is about ImageNet-1k's classes; the model has others: leave the set's name out"
        )
    classes = [label.synset or label.name for label in labels]
    images = open_held_out(source, reading, classes=classes, val_folder=val_folder, run=run)
    if of == "real":
        assert real_labels is not None
        correct = _real(images, Path(real_labels), len(labels))
        return TestSet(images, np.array([i for i, classes in enumerate(correct) if classes], np.int64), correct=correct)
    numbers = np.flatnonzero(images.labels != UNKNOWN)
    if not len(numbers):
        raise InputError(f"{os.fspath(source)} has no image with a label; wanted some to measure the answers by")
    if of in SUBSETS:
        return TestSet(images, numbers, allowed=_allowed(images.labels[numbers], of, os.fspath(source)))
    return TestSet(images, numbers)


def _allowed(labels_N: NDArray[np.int64], of: SetName, source: str) -> NDArray[np.int64]:
    """The subset's classes. labels_N: of the images."""
    allowed = SUBSETS[of]
    if others := np.setdiff1d(labels_N, allowed).tolist():
        raise InputError(
            f"{source} has images of {imagenet_1k()[others[0]].synset}, not one of the {len(allowed)} classes of "
            f"ImageNet-{of.upper()}: leave the set's name out, or pass that set"
        )
    return allowed


def _real(images: LabeledImages, path: Path, num_classes: int) -> list[list[int]]:
    """The correct classes of each image, by the number in its name."""
    try:
        by_number = json.loads(read_text(str(path)))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is no JSON from line {error.lineno} on; wanted the file real.json") from None
    fits = isinstance(by_number, list) and all(
        isinstance(row, list) and all(isinstance(c, int) and 0 <= c < num_classes for c in row) for row in by_number
    )
    if not fits:
        raise InputError(f"{path} is not real.json: wanted a list with a list of class indices for each image")
    correct = []
    for i in range(len(images)):
        name = images.name(i)
        found = _VAL_NAME.search(name)
        if found is None or not 0 < int(found[1]) <= len(by_number):
            last = f"ILSVRC2012_val_{len(by_number):08}"
            raise InputError(f"{name} is not one of ILSVRC2012_val_00000001 … {last}, the images of {path}")
        correct.append(by_number[int(found[1]) - 1])
    return correct
