"""Which images are for training and which are held out, if the data says so: by folders, files or a column."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from gmixer.datasets.dataset_base import DatasetBase, SplitName, Splits
from gmixer.errors import InputError

WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_Item = TypeVar("_Item", bound=Hashable)


def split_word(name: str) -> str | None:
    """ "train", "val" or "test" for such a name of a folder, a split or a cell of a table; None for every other."""
    return WORDS.get(name.strip().lower())


def split_word_in(file: str) -> str | None:
    """The same for the name of a file: `train-00000-of-00002.parquet`, `imagenet1k-validation-17.tar`.

    Raises InputError for a name with two different words.
    """
    words = {word for piece in re.split(r"[-_. ]", file) if (word := split_word(piece))}
    if len(words) > 1:
        raise InputError(f"the name of {file} holds {' and '.join(sorted(words))}; wanted one of them in a file's name")
    return words.pop() if words else None


def splits_of(words: Mapping[_Item, str | None], source: str) -> tuple[dict[SplitName, list[_Item]], tuple[str, ...]]:
    """The items of each split, and notes. words: for each file, folder or row, "train", "val", "test" or None.

    Test images are held out ("val") if there are no val images; otherwise they are left out. Raises InputError if only
    some items have a word.
    """
    without = [item for item, word in words.items() if word is None]
    if len(without) == len(words):
        return {"whole": without}, ()
    if without:
        raise InputError(f"{source}: {without[0]} is neither train nor val, but others are; wanted a split for each")
    by_word: dict[str, list[_Item]] = {}
    for item, word in words.items():
        by_word.setdefault(word or "", []).append(item)
    splits: dict[SplitName, list[_Item]] = {}
    if "train" in by_word:
        splits["train"] = by_word["train"]
    if held_out := by_word.get("val") or by_word.get("test"):
        splits["val"] = held_out
    unused = "val" in by_word and "test" in by_word
    return splits, ("the test split is left out: val is measured",) if unused else ()


def by_column(whole: DatasetBase, cells: Sequence[object] | None, source: str) -> Splits:
    """cells: the column split, a cell for each image; None if there is no such column: then all images are "whole".

    Raises InputError for a cell that is none of train, val and test.
    """
    if cells is None:
        return {"whole": whole}
    words = {row: split_word(str(cell or "")) for row, cell in enumerate(cells)}
    if strange := [row for row, word in words.items() if word is None]:
        cell = cells[strange[0]]
        raise InputError(f"{source}: row {strange[0]} has {cell!r} in its column split; wanted train, val or test")
    splits, notes = splits_of(words, source)
    return {split: whole.take(np.array(rows), notes) for split, rows in splits.items()}


def abbreviate(names: Iterable[str], count: int = 3) -> str:
    """The first of the names: `a, b, c …`."""
    names = list(names)
    return ", ".join(names[:count]) + (" …" if len(names) > count else "")
