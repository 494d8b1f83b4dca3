"""WebDataset tars: members with the same name up to its first dot are a sample, such as `a/17.jpg` and `a/17.cls`.

The name ends at the last dot in a tar where only so each image has its label: `2024.05.01.jpg` and `2024.05.01.cls`.
The headers of each tar are read once; an image is then read from its offset.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.label_values import numbered
from gmixer.datasets.splits import abbreviate, by_folders, counted, splits_of, words_of_files
from gmixer.errors import ImageError, InputError
from gmixer.sources.archive import Place, places
from gmixer.sources.entry import MEMBER_MARK, read
from gmixer.sources.image_names import IMAGE_ENDINGS
from gmixer.sources.local import FileSlice
from gmixer.sources.sniff import is_image
from gmixer.sources.text_file import decoded

IMAGES = IMAGE_ENDINGS | {"img", "image"}
LABELS = ("cls", "json", "txt")  # the first one in a sample counts
MAX_LABEL_BYTES = 2**20  # guessed: a json with a long caption


def open_shards(files: Sequence[str], source: str) -> Splits:
    """files: tars of one data set, in order. Their names, such as train-* and val-*, or their folders tell the split;
    otherwise the folders inside them.

    The label of a sample is its .cls, its .json under "label", or its .txt. Raises InputError, which names the tar, for
    a damaged tar, a link, a name that occurs twice, and labels that are neither numbers nor names.
    """
    splits, notes = splits_of(words_of_files(files, source), source)
    opened = {split: _opened(of_split, source, notes) for split, of_split in splits.items()}
    whole = opened.get("whole")
    return opened if whole is None else by_folders(whole, whole.names, source)


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
    members: dict[str, Place] = field(default_factory=dict)  # by the part of the name after the sample's name

    def images(self) -> list[Place]:
        """By content. If no member starts like an image, by name: reading it then gives the error."""
        real = [place for end, place in self.members.items() if end not in LABELS and is_image(place.head)]
        return real or [place for end, place in self.members.items() if end.rpartition(".")[2] in IMAGES]

    @property
    def label_end(self) -> str | None:
        return next((end for end in LABELS if end in self.members), None)

    @property
    def is_pair(self) -> bool:
        return self.label_end is not None and len(self.images()) == 1


@dataclass(slots=True)
class _Index:
    """The result so far: a row for each image, and the samples that hold too much or too little."""

    names: list[str] = field(default_factory=list)
    places: list[tuple[int, int, int]] = field(default_factory=list)  # tar, offset, size
    values: list[object] = field(default_factory=list)
    several: list[str] = field(default_factory=list)
    without_image: list[str] = field(default_factory=list)
    without_label: list[str] = field(default_factory=list)
    strange_label: list[str] = field(default_factory=list)
    by_last_dot: list[str] = field(default_factory=list)  # tars
    dotted: list[str] = field(default_factory=list)  # members with a dot in a name that the first dot ended

    def rule(self) -> str:
        """Why a sample may hold too much or too little; "" if no name holds several dots."""
        if not self.dotted:
            return ""
        stem = self.dotted[0].rpartition("/")[2].partition(".")[0]
        return f"a sample's name ends at its first dot, so {self.dotted[0]} belongs to the sample {stem}"

    def hint(self) -> str:
        """For errors: why a tar without any label has none."""
        if any(value is not None for value in self.values):
            return ""
        folders = sorted({os.path.basename(os.path.dirname(name)) for name in self.names} - {""})
        if len(folders) > 1:
            unpack = f"; in a tar, folders ({abbreviate(folders)}) are no classes: unpack it, if these are the classes"
        else:
            unpack = ""
        return f": no image has a .cls, a .json with the key label, or a .txt of the same name{unpack}"

    def notes(self) -> tuple[str, ...]:
        problems = {
            ("sample holds", "samples hold", "more than one image, left out"): self.several,
            ("sample holds", "samples hold", "no image, left out"): self.without_image,
            ("image has", "images have", "no label"): self.without_label,
            ("image has", "images have", "a label that cannot be read, taken as none"): self.strange_label,
            ("tar has", "tars have", "dots in the names of samples, so these end at the last dot"): self.by_last_dot,
        }
        notes = [
            f"{counted(len(names), one, several)} {what} ({abbreviate(names)})"
            for (one, several, what), names in problems.items()
            if names
        ]
        return (*notes, *([self.rule()] if self.dotted else []))


def _opened(files: Sequence[str], source: str, notes: tuple[str, ...]) -> Shards:
    index = _Index()
    for number, file in enumerate(files):
        _add(index, number, file)
    if not index.names:
        rule = index.rule()
        raise InputError(
            f"{source} holds no samples with one image{f': {rule}' if rule else ''}; wanted members such as 17.jpg "
            "with 17.cls"
        )
    labels = numbered(index.values, source)
    tar, offset, size = np.array(index.places, np.int64).T
    return Shards(
        source=source,
        classes=labels.classes,
        labels=labels.index,
        written=labels.written,
        notes=notes + index.notes(),
        hint=index.hint(),
        tars=tuple(files),
        names=index.names,
        tar=tar.astype(np.int32),
        offset=offset,
        size=size,
    )


def _add(index: _Index, number: int, file: str) -> None:
    """Adds the samples of one tar, in the order of their first members; members of a sample need not be adjacent."""
    with open(file, "rb") as tar:
        for key, sample in _samples(index, file).items():
            name = f"{file}{MEMBER_MARK}{key}"
            images = sample.images()
            if len(images) != 1:
                (index.several if images else index.without_image).append(name)
                continue
            (image,) = images
            index.names.append(image.name)
            index.places.append((number, image.offset, image.size))
            end, value = sample.label_end, None
            if end is None:
                index.without_label.append(name)
            else:
                place = sample.members[end]
                data = place.head  # all of it, if it is short
                if place.size > len(data):
                    data = os.pread(tar.fileno(), min(place.size, MAX_LABEL_BYTES), place.offset)
                try:
                    value = label_value(end, data)
                except (InputError, ValueError, RecursionError):  # json has no limit of its own for [[[[…
                    index.strange_label.append(name)
                else:
                    if value is None:  # a .json without the key
                        index.without_label.append(name)
            index.values.append(value)


def _samples(index: _Index, file: str) -> dict[str, _Sample]:
    """By name. Raises InputError if the tar is damaged, holds a link or the same name twice."""
    found: list[Place] = []
    for place in places(file):
        if isinstance(place, ImageError):
            raise InputError(f"{place}; wanted a complete tar that holds each image itself")
        found.append(place)
    samples = _grouped(found, str.partition, file)
    dotted = next((place.name for place in found if place.name.rpartition("/")[2].count(".") > 1), None)
    if dotted is None or all(sample.is_pair for sample in samples.values()):
        return samples
    by_last_dot = _grouped(found, str.rpartition, file)
    if all(sample.is_pair for sample in by_last_dot.values()):
        index.by_last_dot.append(file)
        return by_last_dot
    index.dotted.append(dotted)
    return samples


def _grouped(found: Sequence[Place], cut: Callable[[str, str], tuple[str, str, str]], file: str) -> dict[str, _Sample]:
    """cut: str.partition or str.rpartition."""
    samples: dict[str, _Sample] = {}
    for place in found:
        folder, slash, base = place.name.rpartition("/")
        stem, _, end = cut(base, ".")
        members = samples.setdefault(f"{folder}{slash}{stem}", _Sample()).members
        if end.lower() in members:
            raise InputError(f"{file} holds {place.name} twice; wanted each name once")
        members[end.lower()] = place
    return samples


def label_value(end: str, data: bytes) -> object:
    """What `label_values.numbered` takes. Raises InputError or ValueError for a value that is no label."""
    text = decoded(data, end)
    if end != "json":
        return text
    value = json.loads(text)
    label = value.get("label") if isinstance(value, dict) else value
    if isinstance(label, list | dict):
        raise ValueError(label)
    return label
