"""The label of an image → its class index: in the order of the names, of another split, of a model's classes."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.labeled_images import UNKNOWN
from gmixer.datasets.splits import abbreviate
from gmixer.errors import InputError
from gmixer.labels.imagenet import imagenet_1k

_RENAMED = 10  # names that may differ: Hugging Face's ImageNet-1k has other ones for the second crane and maillot


def numbered(values: Sequence[int | str | None], source: str) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """(n,) labels, and the classes: if `values` are names, these names sorted. None, -1, "-1" and "" become UNKNOWN.

    Raises InputError for a mixture of numbers and names, and for other negative numbers.
    """
    values = [None if value in ("", str(UNKNOWN)) else value for value in values]
    names = sorted({value for value in values if isinstance(value, str)})
    if not names:
        labels = np.array([UNKNOWN if value is None else value for value in values], np.int64)
        return checked(labels, source), None
    if numbers := [value for value in values if isinstance(value, int)]:
        raise InputError(f"{source} has labels that are numbers ({numbers[0]}) and names ({names[0]}); wanted one kind")
    index = {name: i for i, name in enumerate(names)}
    return np.array([UNKNOWN if value is None else index[str(value)] for value in values], np.int64), tuple(names)


def checked(labels: NDArray[np.int64], source: str) -> NDArray[np.int64]:
    """The same. Raises InputError for a number below UNKNOWN."""
    if labels.size and labels.min() < UNKNOWN:
        raise InputError(f"{source} has the label {labels.min()}; wanted 0, 1, 2 …, or -1 for unknown")
    return labels


def imagenet_indices(classes: Sequence[str]) -> NDArray[np.int64] | None:
    """The ImageNet-1k index of each class: (len(classes),). None unless all are its synsets (n01440764 …), or they are
    its thousand names in its order.
    """
    labels = imagenet_1k()
    index = {label.synset: label.index for label in labels}
    if classes and all(name in index for name in classes):
        return np.array([index[name] for name in classes], np.int64)
    if len(classes) == len(labels):
        same = sum(name == label.name for name, label in zip(classes, labels, strict=True))
        if same >= len(labels) - _RENAMED:
            return np.arange(len(labels), dtype=np.int64)
    return None


def same_classes(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether both are the same classes in the same order; ImageNet's by name or by synset."""
    if _composed(ours) == _composed(theirs):
        return True
    indices, others = imagenet_indices(ours), imagenet_indices(theirs)
    return indices is not None and others is not None and np.array_equal(indices, others)


def counts_by_place(classes: Sequence[str]) -> bool:
    """Whether the number i may mean the class at index i. False if the names of the classes are numbers in another
    order, as in a sorted list: "10" comes before "2".
    """
    numbers = [int(name) for name in classes if name.isascii() and name.isdecimal()]
    return len(numbers) < len(classes) or numbers == list(range(len(classes)))


def align_classes(splits: Splits, classes: Sequence[str] | None) -> Splits:
    """The same splits, with labels that index one list of classes: `classes`; None: those of the training split.

    Raises InputError for a class that is not in the list, and without `classes` for fewer than two.
    """
    first = splits.get("train") or splits.get("whole") or splits["val"]
    if classes is not None:
        return {split: _renumbered(images, classes, f"{images.source} has") for split, images in splits.items()}
    _check_two_classes(first)
    where = f"{first.source} has in its val split alone"
    if first.classes is not None:
        splits = {split: _renumbered(images, first.classes, where) for split, images in splits.items()}
    elif any(images.classes is not None for images in splits.values()):
        raise InputError(f"{first.source} has numbers as labels in one split and names in another; wanted one kind")
    known = np.union1d(first.labels, UNKNOWN)
    if first.soft is not None:  # a teacher may have classes without a labelled image
        known = np.union1d(known, first.soft.index)
    for images in splits.values():
        only = np.setdiff1d(images.labels, known)
        if only.size:
            raise InputError(
                _only(where, [str(label) if first.classes is None else first.classes[label] for label in only])
            )
    return splits


def _renumbered(images: DatasetBase, classes: Sequence[str], where: str) -> DatasetBase:
    if images.classes is None and not counts_by_place(classes):  # the number is a name here
        images = replace(images, classes=tuple(map(str, range(int(images.labels.max(initial=-1)) + 1))))
    known = images.labels != UNKNOWN
    used = np.unique(images.labels[known])
    if images.classes is None:
        if used.size and used[-1] >= len(classes):
            raise InputError(
                f"{images.source} has the label {used[-1]}; wanted at most {len(classes) - 1}, the last class"
            )
        return replace(images, classes=tuple(classes))
    if tuple(images.classes) == tuple(classes):
        return images
    places = _places(images.classes, classes)
    if strange := [images.classes[i] for i in used if places[i] == UNKNOWN]:
        raise InputError(_only(where, strange, among=classes))
    labels = np.full_like(images.labels, UNKNOWN)
    labels[known] = places[images.labels[known]]
    # The teacher's answers index the old list. They are dropped: this split is only measured, never trained on.
    return replace(images, classes=tuple(classes), labels=labels, soft=None)


def _places(names: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """(len(names),): the index in `classes` of each name; UNKNOWN if it occurs there not at all or more than once.

    Names are compared in Unicode's composed form (NFC): macOS and some archives take "é" apart into "e" and an accent.
    If `classes` are ImageNet's and all names are numbers, they are class indices, as the folders of ImageNet-V2 are.
    """
    names, classes = _composed(names), _composed(classes)
    if names == classes:
        return np.arange(len(names), dtype=np.int64)
    ours, theirs = imagenet_indices(names), imagenet_indices(classes)
    if ours is not None and theirs is not None:
        return _places([str(i) for i in ours], [str(i) for i in theirs])
    if theirs is not None and all(name.isascii() and name.isdecimal() for name in names):
        return _places([str(int(name)) for name in names], [str(i) for i in theirs])
    count = Counter(classes)
    index = {name: i for i, name in enumerate(classes) if count[name] == 1}
    return np.array([index.get(name, UNKNOWN) for name in names], np.int64)


def _composed(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", name) for name in names)


def _check_two_classes(images: DatasetBase) -> None:
    held = np.unique(images.labels[images.labels != UNKNOWN])
    if len(held) < 2 and images.soft is None:
        names = images.classes or [str(label) for label in range(int(held[-1]) + 1 if held.size else 0)]
        got = f"only the class {names[held[0]]}" if held.size else "no labels"
        raise InputError(f"{images.source} has {got}; wanted at least two classes to tell apart")


def _only(where: str, names: list[str], *, among: Sequence[str] = ()) -> str:
    count = "the class" if len(names) == 1 else f"{len(names):,} classes"
    wanted = f"the {len(among):,} classes wanted ({abbreviate(list(among))})" if among else "the other split's classes"
    alike = {name.strip().casefold(): name for name in among}
    near = next(((name, alike[name.strip().casefold()]) for name in names if name.strip().casefold() in alike), None)
    hint = f": {near[0]!r} and {near[1]!r} differ by capital letters or spaces" if near else ""
    return (
        f"{where} {count} {abbreviate(names)}, not among {wanted}; wanted the same ones, with the same spelling{hint}"
    )
