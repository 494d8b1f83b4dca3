"""Which pictures are for training and which are held out, where the data itself says so: folders, files, a column."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from gmixer.datasets.dataset_base import DatasetBase, Part, Parts
from gmixer.errors import InputError

WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_Where = TypeVar("_Where", bound=Hashable)


def split_word(name: str) -> str | None:
    """ "train", "val" or "test", where a folder, a split or a cell of a table is called so; else None."""
    return WORDS.get(name.strip().lower())


def split_word_in(file: str) -> str | None:
    """The same for a file's name: `train-00000-of-00002.parquet`, `imagenet1k-validation-17.tar`.

    Raises InputError for a name that says two things.
    """
    words = {word for piece in re.split(r"[-_. ]", file) if (word := split_word(piece))}
    if len(words) > 1:
        raise InputError(f"{file} is called {' and '.join(sorted(words))}; wanted one of them in a file's name")
    return words.pop() if words else None


def splits_of(words: Mapping[_Where, str | None], source: str) -> tuple[dict[Part, list[_Where]], tuple[str, ...]]:
    """words: for each file, folder or row, what it is for. Gives what to read for each part, and what to tell.

    Test pictures are held out ("val") where nothing else is; else they are left out. Raises InputError where some say
    what they are for and others do not.
    """
    silent = [where for where, word in words.items() if word is None]
    if len(silent) == len(words):
        return {"whole": silent}, ()
    if silent:
        raise InputError(f"{source}: {silent[0]} is neither train nor val, while others are; wanted all of them to say")
    by_word: dict[str, list[_Where]] = {}
    for where, word in words.items():
        by_word.setdefault(word or "", []).append(where)
    parts: dict[Part, list[_Where]] = {}
    if "train" in by_word:
        parts["train"] = by_word["train"]
    if held_out := by_word.get("val") or by_word.get("test"):
        parts["val"] = held_out
    unused = "val" in by_word and "test" in by_word
    return parts, ("the test part is left out: val is what is measured on",) if unused else ()


def by_column(whole: DatasetBase, cells: Sequence[object] | None, source: str) -> Parts:
    """cells: what a column split says of each picture; None where there is no such column: all are "whole".

    Raises InputError for a cell that says none of train, val and test.
    """
    if cells is None:
        return {"whole": whole}
    words = {row: split_word(str(cell or "")) for row, cell in enumerate(cells)}
    if strange := [row for row, word in words.items() if word is None]:
        cell = cells[strange[0]]
        raise InputError(f"{source}: row {strange[0]} has {cell!r} in its column split; wanted train, val or test")
    parts, notes = splits_of(words, source)
    return {part: whole.taken(np.array(rows), notes) for part, rows in parts.items()}


def abbreviate(names: Iterable[str], count: int = 3) -> str:
    """`a, b, c …`: the first of them."""
    names = list(names)
    return ", ".join(names[:count]) + (" …" if len(names) > count else "")
