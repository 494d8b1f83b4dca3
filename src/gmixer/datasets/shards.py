"""WebDataset's tars: members that share a name up to its first dot are a sample, `a/17.jpg` and `a/17.cls` one of them.

Each tar is walked through once, by its headers; a picture is then read from its place.
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
from gmixer.datasets.dataset_base import DatasetBase, Parts
from gmixer.datasets.splits import abbreviate, split_word_in, splits_of
from gmixer.errors import ImageError, InputError
from gmixer.options import DEFAULT_LIMITS
from gmixer.sources.archive import Place, places
from gmixer.sources.local import MEMBER_MARK, open_regular, too_many_bytes
from gmixer.sources.sniff import is_image

PICTURES = ("jpg", "jpeg", "png", "webp", "avif", "tif", "tiff", "bmp", "gif", "ppm", "img", "image")
LABELS = ("cls", "json", "txt")  # the first that a sample has counts
MAX_LABEL_BYTES = 2**20  # guessed: a json with a long caption


def open_shards(files: Sequence[str], source: str) -> Parts:
    """files: tars of one data set, in order; those called train-*, val-* and so on are its parts.

    A label is what is in the sample's .cls, its .json under "label", or its .txt. Raises InputError for a damaged tar,
    a link, a name that occurs twice, and labels that are neither numbers nor names; it names the tar.
    """
    parts, notes = splits_of({file: split_word_in(os.path.basename(file)) for file in files}, source)
    return {part: _opened(of_part, source, notes) for part, of_part in parts.items()}


@dataclass(frozen=True, kw_only=True)
class Shards(DatasetBase):
    """tars: their paths. names: of the pictures inside. tar, offset, size: (n,) where each of them stands."""

    tars: Sequence[str]
    names: Sequence[str]
    tar: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]

    def where(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        names = [self.names[row] for row in rows]
        return {"names": names, "tar": self.tar[rows], "offset": self.offset[rows], "size": self.size[rows]}

    def key(self, i: int) -> str:
        return f"{os.path.basename(self.tars[self.tar[i]])}{MEMBER_MARK}{self.names[i]}"

    def name(self, i: int) -> str:
        return f"{self.tars[self.tar[i]]}{MEMBER_MARK}{self.names[i]}"

    def read(self, i: int) -> bytes:
        size, name = int(self.size[i]), self.name(i)
        if size > DEFAULT_LIMITS.max_bytes:
            raise too_many_bytes(f"{size:,}", name, DEFAULT_LIMITS)
        with open_regular(self.tars[self.tar[i]], name) as file:
            data = os.pread(file.fileno(), size, int(self.offset[i]))
        if len(data) < size:
            raise ImageError("corrupt", "is cut short: the archive has changed since it was opened", name)
        return data


@dataclass(slots=True)
class _Sample:
    members: dict[str, Place] = field(default_factory=dict)  # by what is behind the first dot

    def pictures(self) -> list[Place]:
        """By content; where none looks like a picture, what is called so: reading it will say what is wrong."""
        real = [place for end, place in self.members.items() if end not in LABELS and is_image(place.head)]
        return real or [place for end, place in self.members.items() if end.rpartition(".")[2] in PICTURES]


@dataclass(slots=True)
class _Index:
    """What has been found so far: a row for each picture, and the samples that say too much or too little."""

    names: list[str] = field(default_factory=list)
    places: list[tuple[int, int, int]] = field(default_factory=list)  # tar, offset, size
    values: list[int | str | None] = field(default_factory=list)
    several: list[str] = field(default_factory=list)
    without_picture: list[str] = field(default_factory=list)
    without_label: list[str] = field(default_factory=list)
    strange_label: list[str] = field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        said = {
            "samples hold more than one picture and are left out": self.several,
            "samples hold no picture and are left out": self.without_picture,
            "pictures have no label": self.without_label,
            "pictures have a label that cannot be read, and count as without": self.strange_label,
        }
        return tuple(f"{len(names):,} {what} ({abbreviate(names)})" for what, names in said.items() if names)


def _opened(files: Sequence[str], source: str, notes: tuple[str, ...]) -> Shards:
    index = _Index()
    for number, file in enumerate(files):
        _add(index, number, file)
    if not index.names:
        raise InputError(f"{source} holds no samples with a picture; wanted members such as 17.jpg with 17.cls")
    labels, classes = numbered(_alike(index.values), source)
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
    """The samples of one tar, in the order in which they begin; their members need not stand together."""
    with open(file, "rb") as tar:
        for key, sample in _samples(file).items():
            name = f"{file}{MEMBER_MARK}{key}"
            pictures = sample.pictures()
            if len(pictures) != 1:
                (index.several if pictures else index.without_picture).append(name)
                continue
            (picture,) = pictures
            index.names.append(picture.name)
            index.places.append((number, picture.offset, picture.size))
            end = next((end for end in LABELS if end in sample.members), None)
            value = None
            if end is None:
                index.without_label.append(name)
            else:
                place = sample.members[end]
                data = place.head  # whole, where it is short
                if place.size > len(data):
                    data = os.pread(tar.fileno(), min(place.size, MAX_LABEL_BYTES), place.offset)
                try:
                    value = _label(end, data)
                except ValueError:
                    index.strange_label.append(name)
            index.values.append(value)


def _samples(file: str) -> dict[str, _Sample]:
    """Raises InputError where the tar is damaged, holds a link or the same name twice."""
    samples: dict[str, _Sample] = {}
    for place in places(file):
        if isinstance(place, ImageError):
            raise InputError(f"{place}; wanted a tar that is whole and holds each picture itself")
        folder, slash, base = place.name.rpartition("/")
        stem, _, end = base.partition(".")
        members = samples.setdefault(f"{folder}{slash}{stem}", _Sample()).members
        if end.lower() in members:
            raise InputError(f"{file} holds {place.name} twice; wanted one: which of them is meant cannot be told")
        members[end.lower()] = place
    return samples


def _label(end: str, data: bytes) -> int | str | None:
    """Raises ValueError for what is no label; None where it says that there is none."""
    text = data.decode("utf-8").strip()
    if end != "json":
        return text or None
    value = json.loads(text)
    label = value.get("label") if isinstance(value, dict) else value
    if label is not None and (isinstance(label, bool) or not isinstance(label, int | str)):
        raise ValueError(label)
    return label


def _alike(values: list[int | str | None]) -> list[int | str | None]:
    """Texts that are all whole numbers → these."""
    try:
        return [int(value) if isinstance(value, str) else value for value in values]
    except ValueError:
        return values
