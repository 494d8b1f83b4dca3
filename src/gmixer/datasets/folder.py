"""Image folders: `root/class/**/image`, and `root/train/class/…` beside `root/val/class/…`."""

from __future__ import annotations

import os

import numpy as np

from gmixer.datasets.dataset_base import Splits
from gmixer.datasets.image_files import Files
from gmixer.datasets.splits import abbreviate, split_word, splits_of
from gmixer.errors import ImageError, InputError
from gmixer.sources.entry import may_be_image
from gmixer.sources.listing import list_files
from gmixer.sources.local import reason_of

LAYOUT = "a folder for each class, with the name of the class and its images inside"


def open_folder(source: str) -> Splits:
    """The classes are the names of the folders, in sorted order. Raises InputError if no folder holds images.

    Every file that starts like an image counts, under any name. Other files, hidden files and folders without an
    image do not count; the notes say how many there are.
    """
    folders = folders_in(source)
    if not _are_splits(folders):
        return {"whole": _classes_in(source, source)}
    named_so = [folder for folder in folders if split_word(folder)]
    splits, notes = splits_of({folder: split_word(folder) for folder in named_so}, source)
    opened = {}
    for split, names in splits.items():
        if len(names) > 1:
            raise InputError(f"{source} holds {' and '.join(names)}, which are the same split; wanted one of them")
        opened[split] = _classes_in(os.path.join(source, names[0]), source, notes)
    others = [folder for folder in folders if not split_word(folder)]
    if others:
        raise InputError(
            f"{source} holds {abbreviate(others)} beside {abbreviate(named_so)}; wanted either classes or splits: move "
            "the others out of the folder"
        )
    return opened


def folders_in(folder: str) -> list[str]:
    """Names of the folders in it and of links to folders, sorted, without hidden ones. Raises InputError."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {reason_of(error)}; wanted {LAYOUT}") from None


def _are_splits(folders: list[str]) -> bool:
    """Whether they are train and val, and not classes of which one happens to have such a name."""
    words = {split_word(folder) for folder in folders}
    return words != {None} and (None not in words or {"train"} < words - {None}) and bool(words)


def _classes_in(root: str, source: str, notes: tuple[str, ...] = ()) -> Files:
    relative_paths: list[str] = []
    of_class: list[str] = []
    others: list[str] = []
    empty: list[str] = []
    for folder in folders_in(root):
        before = len(relative_paths)
        for entry in list_files(os.path.join(root, folder)):
            if isinstance(entry, ImageError):
                raise InputError(f"{entry}; wanted to read all of {source}: give this user the permission")
            relative_path = os.path.relpath(entry.key, root)
            if may_be_image(entry):
                relative_paths.append(relative_path)
                of_class.append(folder)
            else:
                others.append(relative_path)
        if len(relative_paths) == before:
            empty.append(folder)
    with os.scandir(root) as entries:
        loose = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    if not relative_paths:
        raise InputError(f"{root} holds no images in folders; wanted {LAYOUT}")
    classes, labels = np.unique(np.array(of_class), return_inverse=True)
    return Files(
        source=source,
        classes=tuple(classes.tolist()),
        labels=labels.astype(np.int64),
        notes=notes + _left_out(others, empty, loose, root),
        root=root,
        relative_paths=relative_paths,
    )


def _left_out(others: list[str], empty: list[str], loose: list[str], root: str) -> tuple[str, ...]:
    notes = []
    if others:
        notes.append(f"{len(others):,} files are no images and left out ({abbreviate(others)})")
    if loose:
        notes.append(f"{len(loose):,} files in {root} are in no class folder and left out ({abbreviate(loose)})")
    if empty:
        notes.append(f"{len(empty):,} folders hold no image and are no class ({abbreviate(empty)})")
    return tuple(notes)
