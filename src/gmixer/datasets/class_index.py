"""Labels → class indices that all splits share: those of the training split, or of a model's classes."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.label_values import whole_number
from gmixer.datasets.labeled_images import UNKNOWN
from gmixer.datasets.splits import abbreviate, counted
from gmixer.errors import InputError
from gmixer.labels.imagenet import imagenet_1k

# Numbers stay class indices with up to so many classes without an image, in all and for each class with images: 200
# classes of ImageNet-1k keep their indices. Guessed.
FEW_EMPTY, EMPTY_PER_CLASS = 100, 4
MAX_UNNAMED = 100_000  # classes; a higher label is probably a mistake: ImageNet-21k has 21,843 classes
_RENAMED = 10  # names that may differ: Hugging Face's ImageNet-1k has other ones for the second crane and maillot


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


def align_classes(splits: Splits, classes: Sequence[str] | None, num_classes: int | None = None) -> Splits:
    """The same splits, with labels that index one list of classes: `classes`; None: those of the training split.

    num_classes: numbers are class indices below it. None: sparse numbers (10001, 60601) are names, unless a teacher's
    answers index the same classes.

    Raises InputError for a class that is not in the list, and without `classes` for fewer than two.
    """
    first = splits.get("train") or splits.get("whole") or splits["val"]
    if classes is not None:
        return {
            split: _renumbered(images, classes, f"{images.source} has", "the model knows")
            for split, images in splits.items()
        }
    _check_two_classes(first)
    where = f"{first.source} has in its val split alone"
    if first.classes is not None:
        splits = {
            split: _renumbered(images, first.classes, where, "the train split has") for split, images in splits.items()
        }
    elif any(images.classes is not None for images in splits.values()):
        raise InputError(f"{first.source} has numbers as labels in one split and names in another; wanted one kind")
    known = np.union1d(first.labels, UNKNOWN)
    if first.soft is not None:  # a teacher may have classes without a labelled image
        known = np.union1d(known, first.soft.index)
    for images in splits.values():
        only = np.setdiff1d(images.labels, known)
        if only.size:
            raise InputError(
                _only(
                    where,
                    [str(label) if first.classes is None else first.classes[label] for label in only],
                    "the train split has no image of it",
                )
            )
    if first.classes is not None:
        return splits
    if num_classes or first.soft is not None:
        _check_indices(first, num_classes)
        return splits
    return _named_where_sparse(splits, first)


def _check_indices(images: DatasetBase, num_classes: int | None) -> None:
    highest = int(images.labels.max(initial=UNKNOWN))
    if num_classes and highest >= num_classes:
        raise InputError(
            f"{images.source} has the label {highest:,}, but model.num_classes is {num_classes:,}; wanted at most "
            f"{num_classes - 1:,}"
        )
    if not num_classes and highest >= MAX_UNNAMED:
        raise InputError(
            f"{images.source} has the label {highest:,} and no names; wanted classes numbered 0, 1, 2 …, or "
            f"model.num_classes={highest + 1} in the recipe, where the data has so many classes"
        )


def _named_where_sparse(splits: Splits, first: DatasetBase) -> Splits:
    """Sparse numbers become the names of classes: a model costs time and memory for each class, also without images."""
    numbers = np.unique(first.labels[first.labels != UNKNOWN])
    empty = int(numbers[-1]) + 1 - len(numbers)
    if empty <= max(FEW_EMPTY, EMPTY_PER_CLASS * len(numbers)):
        return splits
    names = tuple(first.written.get(number, str(number)) for number in numbers.tolist())
    note = (
        f"the labels are {len(numbers):,} numbers from {names[0]} to {names[-1]}, so each is the name of a class; "
        "model.num_classes in the recipe makes them class indices"
    )
    return {split: _by_number(images, numbers, names, (note,)) for split, images in splits.items()}


def _by_number(
    images: DatasetBase, numbers: NDArray[np.int64], names: tuple[str, ...], notes: tuple[str, ...] = ()
) -> DatasetBase:
    """Labels that are among `numbers` (K,), sorted → labels that index `names` (K)."""
    known = images.labels != UNKNOWN
    labels = np.where(known, np.searchsorted(numbers, images.labels), UNKNOWN)
    return replace(images, classes=names, labels=labels, notes=images.notes + notes)


def _renumbered(images: DatasetBase, classes: Sequence[str], where: str, knower: str) -> DatasetBase:
    if images.classes is None and not counts_by_place(classes):  # the number is a name here
        numbers = np.unique(images.labels[images.labels != UNKNOWN])
        images = _by_number(images, numbers, tuple(map(str, numbers.tolist())))
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
        raise InputError(_only(where, strange, f"{knower} {_listed(classes)}", classes) + images.hint)
    labels = np.full_like(images.labels, UNKNOWN)
    labels[known] = places[images.labels[known]]
    # The teacher's answers index the old list. They are dropped: this split is only measured, never trained on.
    return replace(images, classes=tuple(classes), labels=labels, soft=None)


def _places(names: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """(len(names),): the index in `classes` of each name; UNKNOWN if it occurs there not at all or more than once.

    Names are compared in Unicode's composed form (NFC): macOS and some archives take "é" apart into "e" and an accent.
    If `classes` are ImageNet's, or `class 0`, `class 1` … of a model without names, and all names are numbers, they are
    class indices, as the folders of ImageNet-V2 are.
    """
    names, classes = _composed(names), _composed(classes)
    if names == classes:
        return np.arange(len(names), dtype=np.int64)
    ours, theirs = imagenet_indices(names), imagenet_indices(classes)
    if ours is not None and theirs is not None:
        return _places([str(i) for i in ours], [str(i) for i in theirs])
    numbered = theirs
    if numbered is None and all(name == f"class {i}" for i, name in enumerate(classes)):
        numbered = np.arange(len(classes), dtype=np.int64)
    if numbered is not None and all(name.isascii() and name.isdecimal() for name in names):
        return _places([str(int(name)) for name in names], [str(i) for i in numbered])
    index = _index_of(classes)
    if not all(name in index for name in names):  # 17 and 017 are one number, and written by two programs
        our_numbers, their_numbers = _as_numbers(names), _as_numbers(classes)
        if our_numbers and their_numbers:
            names, index = our_numbers, _index_of(their_numbers)
    return np.array([index.get(name, UNKNOWN) for name in names], np.int64)


def _composed(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", name) for name in names)


def _index_of(classes: Sequence[str]) -> dict[str, int]:
    """Without the names that occur more than once."""
    count = Counter(classes)
    return {name: i for i, name in enumerate(classes) if count[name] == 1}


def _as_numbers(names: Sequence[str]) -> list[str] | None:
    """The names without leading zeros; None unless all of them are whole numbers."""
    numbers = [whole_number(name) for name in names]
    return None if None in numbers else list(map(str, numbers))


def _check_two_classes(images: DatasetBase) -> None:
    held = np.unique(images.labels[images.labels != UNKNOWN])
    if len(held) < 2 and images.soft is None:
        only = [str(label) if images.classes is None else images.classes[label] for label in held.tolist()]
        got = f"only the class {only[0]}" if only else "no labels"
        if only and (without := int((images.labels == UNKNOWN).sum())):
            got += f", and {counted(without, 'image')} without a label: an empty label and -1 are none"
        raise InputError(f"{images.source} has {got}; wanted at least two classes to tell apart{images.hint}")


def _only(where: str, names: list[str], known: str, among: Sequence[str] = ()) -> str:
    """An error. names: the strange ones. known: what is known instead, a clause. among: the names that are known."""
    count = "the class" if len(names) == 1 else f"{len(names):,} classes:"
    alike = {name.strip().casefold(): name for name in among}
    near = next(((name, alike[name.strip().casefold()]) for name in names if name.strip().casefold() in alike), None)
    hint = f": {near[0]!r} and {near[1]!r} differ by capital letters or spaces" if near else ""
    return f"{where} {count} {abbreviate(names)}; {known}; wanted the same classes, with the same spelling{hint}"


def _listed(classes: Sequence[str]) -> str:
    return abbreviate(list(classes), 5) + (f" ({len(classes):,} classes)" if len(classes) > 5 else "")
