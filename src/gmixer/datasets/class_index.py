"""What stands beside a picture → its class index: in the order of the names, of another part, of a model's classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.dataset_base import DatasetBase, Parts
from gmixer.datasets.labeled_images import UNKNOWN
from gmixer.datasets.splits import abbreviate
from gmixer.errors import InputError
from gmixer.labels.imagenet import imagenet_1k

# Hugging Face's ImageNet-1k, whose names must differ, calls the second crane and the second maillot otherwise.
_RENAMED = 10


def numbered(values: Sequence[int | str | None], source: str) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """(n,) labels, and the classes they count where `values` are names: these, sorted. None, -1, "-1", "": UNKNOWN.

    Raises InputError where numbers and names are mixed, and for other negative numbers.
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
        raise InputError(f"{source} has the label {labels.min()}; wanted 0, 1, 2 …, or -1 where it is not known")
    return labels


def imagenet_indices(classes: Sequence[str]) -> NDArray[np.int64] | None:
    """Where ImageNet-1k has each: (len(classes),) class indices. None unless all are synsets of it (n01440764 …), or
    they are its thousand names in its order.
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
    """Whether both count the same classes in the same order; ImageNet's by name or by synset."""
    if tuple(ours) == tuple(theirs):
        return True
    indices, others = imagenet_indices(ours), imagenet_indices(theirs)
    return indices is not None and others is not None and np.array_equal(indices, others)


def counts_by_place(classes: Sequence[str]) -> bool:
    """Whether the number i may mean the class at place i: not where the classes are called by numbers in another order,
    as sorted names are.
    """
    numbers = [int(name) for name in classes if name.isascii() and name.isdecimal()]
    return len(numbers) < len(classes) or numbers == list(range(len(classes)))


def align_classes(parts: Parts, classes: Sequence[str] | None) -> Parts:
    """The same parts, with labels that count one list of classes: `classes`, else those of the training part.

    Raises InputError for a class that the list lacks, and without `classes` for fewer than two.
    """
    first = parts.get("train") or parts.get("whole") or parts["val"]
    if classes is not None:
        return {part: _renumbered(pictures, classes, f"{pictures.source} has") for part, pictures in parts.items()}
    _at_least_two(first)
    where = f"{first.source} has in its val part alone"
    if first.classes is not None:
        parts = {part: _renumbered(pictures, first.classes, where) for part, pictures in parts.items()}
    elif any(pictures.classes is not None for pictures in parts.values()):
        raise InputError(f"{first.source} has numbers as labels in one part and names in another; wanted one kind")
    known = np.union1d(first.labels, UNKNOWN)
    if first.soft is not None:  # a teacher may know classes that no label names
        known = np.union1d(known, first.soft.index)
    for pictures in parts.values():
        only = np.setdiff1d(pictures.labels, known)
        if only.size:
            raise InputError(
                _only(where, [str(label) if first.classes is None else first.classes[label] for label in only])
            )
    return parts


def _renumbered(pictures: DatasetBase, classes: Sequence[str], where: str) -> DatasetBase:
    if pictures.classes is None and not counts_by_place(classes):  # "10" stands before "2": a number is a name here
        pictures = replace(pictures, classes=tuple(map(str, range(int(pictures.labels.max(initial=-1)) + 1))))
    known = pictures.labels != UNKNOWN
    used = np.unique(pictures.labels[known])
    if pictures.classes is None:
        if used.size and used[-1] >= len(classes):
            raise InputError(
                f"{pictures.source} has the label {used[-1]}; wanted at most {len(classes) - 1}, the last class"
            )
        return replace(pictures, classes=tuple(classes))
    if tuple(pictures.classes) == tuple(classes):
        return pictures
    places = _places(pictures.classes, classes)
    if strange := [pictures.classes[i] for i in used if places[i] == UNKNOWN]:
        raise InputError(_only(where, strange, among=classes))
    labels = np.full_like(pictures.labels, UNKNOWN)
    labels[known] = places[pictures.labels[known]]
    # A teacher's answers count the old list: nobody learns from a part that is only measured on.
    return replace(pictures, classes=tuple(classes), labels=labels, soft=None)


def _places(names: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """(len(names),): where `classes` has each, UNKNOWN where it has none or more than one.

    Where `classes` are ImageNet's, names that are all numbers are its class indices, as the folders of ImageNet-V2 are.
    """
    if tuple(names) == tuple(classes):
        return np.arange(len(names), dtype=np.int64)
    ours, theirs = imagenet_indices(names), imagenet_indices(classes)
    if ours is not None and theirs is not None:
        return _places([str(i) for i in ours], [str(i) for i in theirs])
    if theirs is not None and all(name.isascii() and name.isdecimal() for name in names):
        return _places([str(int(name)) for name in names], [str(i) for i in theirs])
    count = Counter(classes)
    index = {name: i for i, name in enumerate(classes) if count[name] == 1}
    return np.array([index.get(name, UNKNOWN) for name in names], np.int64)


def _at_least_two(pictures: DatasetBase) -> None:
    held = np.unique(pictures.labels[pictures.labels != UNKNOWN])
    if len(held) < 2 and pictures.soft is None:
        names = pictures.classes or [str(label) for label in range(int(held[-1]) + 1 if held.size else 0)]
        got = f"only the class {names[held[0]]}" if held.size else "no labels"
        raise InputError(f"{pictures.source} has {got}; wanted at least two classes to tell apart")


def _only(where: str, names: list[str], *, among: Sequence[str] = ()) -> str:
    count = "the class" if len(names) == 1 else f"{len(names):,} classes"
    wanted = f"the {len(among):,} classes wanted ({abbreviate(list(among))})" if among else "the other part's classes"
    return f"{where} {count} {abbreviate(names)}, not among {wanted}; wanted the same ones, spelt alike"
