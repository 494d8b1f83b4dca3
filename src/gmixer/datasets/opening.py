"""open_pictures: a source as typed → its labelled pictures, by what it holds and not by what it is called."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from gmixer.datasets.class_index import align_classes
from gmixer.datasets.dataset_base import DatasetBase, Parts
from gmixer.datasets.folder import LAYOUT, folders_in, open_folder
from gmixer.datasets.holdout import split as drawn_split
from gmixer.datasets.labeled_images import LabeledImages, Subset
from gmixer.datasets.splits import abbreviate
from gmixer.errors import ImageError, InputError
from gmixer.sources.local import read_head
from gmixer.sources.sniff import HEAD_BYTES, archive_format, is_image

HUB_MARK = "hf:"
MAX_PATTERN = 1_000_000  # files that a pattern may stand for
FORMS = "a folder of class folders, a CSV or Parquet file, WebDataset tars, or hf:organization/name"

Source = str | os.PathLike[str]
Kind = Literal["parquet", "tar", "csv"]


@dataclass(frozen=True, slots=True)
class Split:
    """is_drawn: the data has no part to measure on, so some of its pictures were held out (split.py)."""

    train: LabeledImages
    val: LabeledImages
    is_drawn: bool


def open_pictures(
    source: Source,
    *,
    split: Literal["train", "val"] | None = None,
    val_fraction: float = 0.2,
    classes: Sequence[str] | None = None,
) -> LabeledImages:
    """The pictures of a folder, a table, tars or a data set of the Hub: docs/datasets.md shows each layout.

    split: "train" or "val" where the data says which pictures are which, else drawn: val_fraction of each class is held
        out (split.py). None takes all pictures of data that is not split.
    classes: what the labels shall count, such as a model's classes: by name, ImageNet's also by synset. Numbers are
        taken as they are. Default: the names in the data, sorted.

    Raises InputError where it is none of these, is in parts and `split` names none, has a class that `classes` lacks or
    that only the val part has, or has but one class; MissingExtraError. A picture that cannot be had is an ImageError
    where it is read.
    """
    if split not in ("train", "val", None):
        raise InputError(f"split is {split!r}; wanted 'train', 'val' or None")
    parts = _parts(source, classes)
    if split is None:
        if len(parts) > 1:
            raise InputError(f"{os.fspath(source)} holds a train and a val part; wanted to know which: say split='val'")
        return _prepared(*parts.values())
    if split == "train" or "val" not in parts:
        return getattr(_split(parts, val_fraction), split)  # type: ignore[no-any-return]
    return _prepared(parts["val"])


def open_split(source: Source, *, val_fraction: float = 0.2, classes: Sequence[str] | None = None) -> Split:
    """Both parts, for a training run; arguments and errors as in open_pictures, which would open the source twice."""
    return _split(_parts(source, classes), val_fraction)


def open_held_out(source: Source, *, classes: Sequence[str] | None = None) -> LabeledImages:
    """What to measure a model on: the val part where the data has one, else all. Arguments as in open_pictures."""
    parts = _parts(source, classes)
    return _prepared(parts.get("val") or next(iter(parts.values())))


def _split(parts: Parts, val_fraction: float) -> Split:
    if "train" in parts and "val" in parts:
        return Split(_prepared(parts["train"]), _prepared(parts["val"]), is_drawn=False)
    if "val" in parts:
        raise InputError(f"{parts['val'].source} holds a val part alone; wanted pictures to train on as well")
    whole = _prepared(*parts.values())
    train, val = drawn_split(whole, val_fraction)
    for name, chosen in (("train", train), ("val", val)):
        if not len(chosen):
            raise InputError(
                f"{whole.source} has {len(whole)} pictures, of which val_fraction={val_fraction} leaves none for {name}"
                "; wanted more pictures or another fraction"
            )
    return Split(Subset(whole, train), Subset(whole, val), is_drawn=True)


def _prepared(pictures: DatasetBase) -> DatasetBase:
    pictures.prepare()
    return pictures


def _parts(source: Source, classes: Sequence[str] | None) -> Parts:
    source = os.fspath(source)
    return align_classes(_opener(source)(), classes)


def _opener(source: str) -> Callable[[], Parts]:
    if source.startswith(HUB_MARK):
        from gmixer.datasets.huggingface import open_name

        return partial(open_name, source.removeprefix(HUB_MARK), source)
    if os.path.isdir(source):
        return _folder_opener(source)
    files = [source] if os.path.lexists(source) else expanded(source)
    return _files_opener(files, source)


def _folder_opener(source: str) -> Callable[[], Parts]:
    if os.path.exists(os.path.join(source, "state.json")) or os.path.exists(os.path.join(source, "dataset_dict.json")):
        from gmixer.datasets.huggingface import open_saved

        return partial(open_saved, source)
    by_kind: dict[str, list[str]] = {}
    for file in _files_in(source):
        if (kind := _kind_inside(file)) is not None:
            by_kind.setdefault(kind, []).append(file)
    if not by_kind:
        inner = os.path.join(source, "data")  # where a repository of the Hub keeps its Parquet files
        if folders_in(source) == ["data"] and any(_kind_inside(file) for file in _files_in(inner)):
            return _folder_opener(inner)
        return partial(open_folder, source)
    if len(by_kind) > 1:
        raise InputError(
            f"{source} holds Parquet files and tars; wanted one kind: name those meant, as in '{source}/*.tar'"
        )
    if folders := folders_in(source):
        found = next(iter(by_kind))
        raise InputError(
            f"{source} holds {len(by_kind[found])} {found} files beside the folders {abbreviate(folders)}; wanted one "
            f"or the other: name the files meant, as in '{source}/*.{found}'"
        )
    return _files_opener(next(iter(by_kind.values())), source)


def _files_opener(files: list[str], source: str) -> Callable[[], Parts]:
    kinds = {file: _kind(file) for file in files}
    if len(set(kinds.values())) > 1:
        raise InputError(f"{source} stands for files of several kinds ({abbreviate(files)}); wanted one kind")
    match kinds[files[0]]:
        case "parquet":
            from gmixer.datasets.parquet import open_parquet

            return partial(open_parquet, files, source)
        case "tar":
            from gmixer.datasets.shards import open_shards

            return partial(open_shards, files, source)
        case "csv" if len(files) == 1:
            from gmixer.datasets.csv_table import open_csv

            return partial(open_csv, files[0], source)
        case "csv":
            raise InputError(f"{source} stands for {len(files)} CSV files; wanted one, with a column split if need be")


def expanded(source: str) -> list[str]:
    """The files that a pattern stands for, sorted: `*`, `?` and `[…]` for those there are, `{000..010}` for each of a
    series, which must all be there. Raises InputError where there is none.
    """
    files: list[str] = []
    for pattern in _series(source):
        matches = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
        files += [match for match in matches if not os.path.isdir(match)]
    if not files:
        raise InputError(f"{source}: no such file or folder; wanted {FORMS}")
    if missing := [file for file in files if not os.path.exists(file)]:
        raise InputError(f"{abbreviate(missing)}: no such file or folder; wanted {FORMS}")
    return files


def _series(pattern: str) -> list[str]:
    """`a-{08..10}.tar` → a-08.tar, a-09.tar, a-10.tar; more than one series multiply."""
    pieces = re.split(r"\{(\d+)\.\.(\d+)\}", pattern)
    choices: list[list[str]] = [[pieces[0]]]
    count = 1
    for first, last, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        count *= int(last) - int(first) + 1
        if not 0 < count <= MAX_PATTERN:
            raise InputError(f"{pattern} stands for {count:,} files; wanted 1 to {MAX_PATTERN:,}, as in {{000..010}}")
        choices += [[f"{i:0{len(first)}}" for i in range(int(first), int(last) + 1)], [rest]]
    return ["".join(choice) for choice in itertools.product(*choices)]


def _files_in(folder: str) -> list[str]:
    folder_there = os.path.join(folder, "")
    return sorted(
        folder_there + name
        for name in os.listdir(folder)
        if not name.startswith(".") and os.path.isfile(folder_there + name)
    )


def _kind_inside(file: str) -> Kind | None:
    """Of a file found in a folder: None where it says nothing of what the folder is."""
    try:
        head = read_head(file, HEAD_BYTES)
    except ImageError:
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    return "tar" if archive_format(head) == "tar" else None


def _kind(file: str) -> Kind:
    """By its first bytes; "csv" is any text. Raises InputError for what is no form of labelled pictures."""
    if kind := _kind_inside(file):
        return kind
    try:
        head = read_head(file, HEAD_BYTES)
    except ImageError as error:
        raise InputError(f"{error}; wanted {FORMS}") from None
    if packed := archive_format(head):
        raise InputError(
            f"{file} is packed ({packed}), so no picture in it can be read alone; wanted it unpacked: {FORMS}"
        )
    if is_image(head):
        raise InputError(f"{file} is one picture; wanted {LAYOUT}, or another form of many")
    if not head or b"\0" in head:
        raise InputError(f"{file} is {'no table, nor tars' if head else 'empty'}; wanted {FORMS}")
    return "csv"
