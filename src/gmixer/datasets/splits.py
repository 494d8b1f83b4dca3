"""Which images are for training and which are held out, if the data says so: by folders, files or a column."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from gmixer.datasets.dataset_base import DatasetBase, SplitName, Splits
from gmixer.errors import InputError

Word: TypeAlias = Literal["train", "val", "test"]
_Item = TypeVar("_Item", bound=Hashable)

# As Hugging Face `datasets` has them: SPLIT_KEYWORDS and NON_WORDS_CHARS of its data_files.py (compared by a test).
WORDS: dict[str, Word] = {
    "train": "train",
    "training": "train",
    "validation": "val",
    "valid": "val",
    "dev": "val",
    "val": "val",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # TrainImages, PublicTest, trainA
_SET = re.compile(f"({'|'.join(WORDS)})(set|data|images?|imgs?)")  # trainset
_BETWEEN_WORDS = re.compile(r"[-._ 0-9]+")


def split_word(name: str) -> Word | None:
    """ "train", "val" or "test" for the name of a folder, a split or a cell that holds such a word: `seg_train`,
    `Testing`, `val2017`. None for every other name, and for a name with two different words.
    """
    words = _words_in(name)
    return words.pop() if len(words) == 1 else None


def split_word_in(file: str) -> Word | None:
    """The same for the name of a file: `train-00000-of-00002.parquet`, `imagenet1k-validation-17.tar`.

    Raises InputError for a name with two different words.
    """
    words = _words_in(file)
    if len(words) > 1:
        raise InputError(f"the name of {file} holds {' and '.join(sorted(words))}; wanted one of them in a file's name")
    return words.pop() if words else None


def loose_split_word(name: str) -> Word | None:
    """The split that a name may mean which `datasets` does not know, too: `TrainImages`, `trainA`, `valset`."""
    spaced = _CAMEL.sub(" ", name)
    words = {WORDS[found[1]] for piece in _BETWEEN_WORDS.split(spaced.lower()) if (found := _SET.fullmatch(piece))}
    return split_word(spaced) or (words.pop() if len(words) == 1 else None)


def is_split_word(name: str) -> bool:
    """Whether the whole name is such a word, in any case."""
    return name.strip().lower() in WORDS


def named_splits(names: Iterable[str]) -> dict[str, Word]:
    """The names of folders or splits that name a split. Beside `train`, a name such as `train_small` names none."""
    names = list(names)
    whole = {split_word(name) for name in names if is_split_word(name)}
    words = {name: word for name in names if (word := split_word(name))}
    return {name: word for name, word in words.items() if is_split_word(name) or word not in whole}


def words_of_files(files: Sequence[str], source: str) -> dict[str, Word | None]:
    """The split of each file: by its own name, otherwise by the nearest folder with such a word, inside the source."""
    words: dict[str, Word | None] = {}
    for file in files:
        words[file] = split_word_in(os.path.basename(file)) or word_of_folders(os.path.relpath(file, source))
    return words


def word_of_folders(relative_path: str) -> Word | None:
    """The split of a file by the nearest of its folders with such a word: "train" for `train/17.jpg`."""
    folders = os.path.dirname(relative_path).split("/")
    return next((word for folder in reversed(folders) if (word := split_word(folder))), None)


def splits_of(words: Mapping[_Item, Word | None], source: str) -> tuple[dict[SplitName, list[_Item]], tuple[str, ...]]:
    """The items of each split, and notes. words: for each file, folder or row, "train", "val", "test" or None.

    Test images are held out ("val") if there are no val images; otherwise they are left out. Beside both splits, items
    without a word are left out. Raises InputError if only some items have a word, and they are not of both splits.
    """
    without = [item for item, word in words.items() if word is None]
    if len(without) == len(words):
        return {"whole": without}, ()
    by_word: dict[str, list[_Item]] = {}
    for item, word in words.items():
        by_word.setdefault(word or "", []).append(item)
    splits: dict[SplitName, list[_Item]] = {}
    if "train" in by_word:
        splits["train"] = by_word["train"]
    if held_out := by_word.get("val") or by_word.get("test"):
        splits["val"] = held_out
    if without and len(splits) < 2:
        raise InputError(f"{source}: {without[0]} is neither train nor val, but others are; wanted a split for each")
    notes = []
    if "test" in by_word and "val" not in by_word:
        notes.append("there is no val split, so the test split is measured")
    if "val" in by_word and "test" in by_word:
        notes.append("the test split is left out: val is measured")
    if without:
        notes.append(f"left out, since the name says neither train nor val: {abbreviate(map(str, without))}")
    return splits, tuple(notes)


def by_column(whole: DatasetBase, column: str | None, cells: Sequence[object], source: str) -> Splits:
    """column: the name of a column that may tell the split; without one, all images are "whole". cells: one for each
    image.

    A column with another name than split, such as "set", counts only if every cell is a split, and train is one. A note
    says if only some cells are. Raises InputError for any other cell in the column split.
    """
    if column is None:
        return {"whole": whole}
    words = {row: loose_split_word(str(cell or "")) for row, cell in enumerate(cells)}
    found = set(words.values())
    if column.strip().lower() != "split" and (None in found or "train" not in found):
        if "train" not in found:
            return {"whole": whole}
        cell = next(cell for row, cell in enumerate(cells) if words[row] is None)
        note = f"the column {column} holds {cell!r} beside train, so it names no splits; wanted train, val or test"
        return {"whole": replace(whole, notes=(*whole.notes, note))}
    if strange := [row for row, word in words.items() if word is None]:
        cell = cells[strange[0]]
        raise InputError(f"{source}: row {strange[0]} has {cell!r} in its column split; wanted train, val or test")
    return _taken(whole, words, source)


def by_folders(whole: DatasetBase, relative_paths: Sequence[str], source: str) -> Splits:
    """The splits that the folders of the images name: `train/17.jpg`. All images are "whole" unless train and val, or
    train and test, are among them.
    """
    words = {row: word_of_folders(path) for row, path in enumerate(relative_paths)}
    found = set(words.values())
    if "train" not in found or not found & {"val", "test"}:
        return {"whole": whole}
    left_out = [relative_paths[row] for row, word in words.items() if word is None]
    many = counted(len(left_out), "image is", "images are")
    notes = (f"{many} in no split and left out ({abbreviate(left_out)})",) if left_out else ()
    return _taken(whole, {row: word for row, word in words.items() if word}, source, notes)


def abbreviate(names: Iterable[str], count: int = 3) -> str:
    """The first of the names: `a, b, c …`."""
    names = list(names)
    return ", ".join(names[:count]) + (" …" if len(names) > count else "")


def counted(count: int, one: str, several: str | None = None) -> str:
    """The number with the words after it: `1 image`, `1,000 images`. several: None: one, with an s."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def _words_in(name: str) -> set[Word]:
    return {WORDS[piece] for piece in _BETWEEN_WORDS.split(name.lower()) if piece in WORDS}


def _taken(
    whole: DatasetBase, words: Mapping[int, Word | None], source: str, further_notes: tuple[str, ...] = ()
) -> Splits:
    splits, notes = splits_of(words, source)
    return {split: whole.take(np.array(rows), notes + further_notes) for split, rows in splits.items()}
