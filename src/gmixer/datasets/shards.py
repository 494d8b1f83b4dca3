"""WebDataset tars: members with the same name up to its first dot are a sample, such as `a/17.jpg` and `a/17.cls`.

The headers of each tar are read once; an image is then read from its offset.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.class_index import numbered
from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.splits import abbreviate, split_word_in, splits_of
from gmixer.errors import ImageError, InputError
from gmixer.sources.archive import Place, places
from gmixer.sources.entry import MEMBER_MARK, read
from gmixer.sources.local import FileSlice
from gmixer.sources.sniff import is_image

IMAGES = ("jpg", "jpeg", "png", "webp", "avif", "tif", "tiff", "bmp", "gif", "ppm", "img", "image")
LABELS = ("cls", "json", "txt")  # the first one in a sample counts
MAX_LABEL_BYTES = 2**20  # guessed: a json with a long caption


def open_shards(files: Sequence[str], source: str) -> Splits:
    """files: tars of one data set, in order. The names train-*, val-* and so on tell the split.

    The label of a sample is its .cls, its .json under "label", or its .txt. Raises InputError, which names the tar, for
    a damaged tar, a link, a name that occurs twice, and labels that are neither numbers nor names.
    """
    splits, notes = splits_of({file: split_word_in(os.path.basename(file)) for file in files}, source)
    return {split: _opened(of_split, source, notes) for split, of_split in splits.items()}


@dataclass(frozen=True, kw_only=True)
class Shards(DatasetBase):
    """tars: their paths. names: of the images inside. tar, offset, size: (n,) the place of each image."""

    tars: Sequence[str]
    names: Sequence[str]
    tar: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]

    def fields_of(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        names = [self.names[row] for row in rows]
        return {"names": names, "tar": self.tar[rows], "offset": self.offset[rows], "size": self.size[rows]}

    def key(self, i: int) -> str:
        return f"{os.path.basename(self.tars[self.tar[i]])}{MEMBER_MARK}{self.names[i]}"

    def name(self, i: int) -> str:
        return f"{self.tars[self.tar[i]]}{MEMBER_MARK}{self.names[i]}"

    def read(self, i: int) -> bytes:
        place = FileSlice(self.name(i), self.tars[self.tar[i]], offset=int(self.offset[i]), size=int(self.size[i]))
        return read(place, self.reading.limits)


@dataclass(slots=True)
class _Sample:
    members: dict[str, Place] = field(default_factory=dict)  # by the part of the name after the first dot

    def images(self) -> list[Place]:
        """By content. If no member starts like an image, by name: reading it then gives the error."""
        real = [place for end, place in self.members.items() if end not in LABELS and is_image(place.head)]
        return real or [place for end, place in self.members.items() if end.rpartition(".")[2] in IMAGES]


@dataclass(slots=True)
class _Index:
    """The result so far: a row for each image, and the samples that hold too much or too little."""

    names: list[str] = field(default_factory=list)
    places: list[tuple[int, int, int]] = field(default_factory=list)  # tar, offset, size
    values: list[int | str | None] = field(default_factory=list)
    several: list[str] = field(default_factory=list)
    without_image: list[str] = field(default_factory=list)
    without_label: list[str] = field(default_factory=list)
    strange_label: list[str] = field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        problems = {
            "samples hold more than one image and are left out": self.several,
            "samples hold no image and are left out": self.without_image,
            "images have no label": self.without_label,
            "images have a label that cannot be read, and count as unlabelled": self.strange_label,
        }
        return tuple(f"{len(names):,} {what} ({abbreviate(names)})" for what, names in problems.items() if names)


def _opened(files: Sequence[str], source: str, notes: tuple[str, ...]) -> Shards:
    index = _Index()
    for number, file in enumerate(files):
        _add(index, number, file)
    if not index.names:
        raise InputError(f"{source} holds no samples with an image; wanted members such as 17.jpg with 17.cls")
    labels, classes = numbered(_as_numbers(index.values), source)
    tar, offset, size = np.array(index.places, np.int64).T
    return Shards(
        source=source,
        classes=classes,
        labels=labels,
        notes=notes + index.notes(),
        tars=tuple(files),
        names=index.names,
        tar=tar.astype(np.int32),
        offset=offset,
        size=size,
    )


def _add(index: _Index, number: int, file: str) -> None:
    """Adds the samples of one tar, in the order of their first members; members of a sample need not be adjacent."""
    with open(file, "rb") as tar:
        for key, sample in _samples(file).items():
            name = f"{file}{MEMBER_MARK}{key}"
            images = sample.images()
            if len(images) != 1:
                (index.several if images else index.without_image).append(name)
                continue
            (image,) = images
            index.names.append(image.name)
            index.places.append((number, image.offset, image.size))
            end = next((end for end in LABELS if end in sample.members), None)
            value = None
            if end is None:
                index.without_label.append(name)
            else:
                place = sample.members[end]
                data = place.head  # all of it, if it is short
                if place.size > len(data):
                    data = os.pread(tar.fileno(), min(place.size, MAX_LABEL_BYTES), place.offset)
                try:
                    value = _label(end, data)
                except ValueError:
                    index.strange_label.append(name)
            index.values.append(value)


def _samples(file: str) -> dict[str, _Sample]:
    """Raises InputError if the tar is damaged, holds a link or the same name twice."""
    samples: dict[str, _Sample] = {}
    for place in places(file):
        if isinstance(place, ImageError):
            raise InputError(f"{place}; wanted a complete tar that holds each image itself")
        folder, slash, base = place.name.rpartition("/")
        stem, _, end = base.partition(".")
        members = samples.setdefault(f"{folder}{slash}{stem}", _Sample()).members
        if end.lower() in members:
            raise InputError(f"{file} holds {place.name} twice; wanted each name once")
        members[end.lower()] = place
    return samples


def _label(end: str, data: bytes) -> int | str | None:
    """None for an empty label. Raises ValueError for a value that is no label."""
    text = data.decode("utf-8").strip()
    if end != "json":
        return text or None
    value = json.loads(text)
    label = value.get("label") if isinstance(value, dict) else value
    if label is not None and (isinstance(label, bool) or not isinstance(label, int | str)):
        raise ValueError(label)
    return label


def _as_numbers(values: list[int | str | None]) -> list[int | str | None]:
    """The values as numbers, if all texts are whole numbers; otherwise unchanged."""
    try:
        return [int(value) if isinstance(value, str) else value for value in values]
    except ValueError:
        return values
