"""Image folders: `root/class/**/picture`, and `root/train/class/…` with `root/val/class/…` beside it."""

from __future__ import annotations

import os

import numpy as np

from gmixer.datasets.dataset_base import Parts
from gmixer.datasets.image_files import Files
from gmixer.datasets.splits import abbreviate, split_word, splits_of
from gmixer.errors import InputError
from gmixer.sources.listing import find_images, is_image_file
from gmixer.sources.local import reason_of

LAYOUT = "a folder for each class, named after it, with its pictures inside"


def open_folder(source: str) -> Parts:
    """Classes are the folders' names, in sorted order. Raises InputError where there is no such folder with pictures.

    Every file that begins like an image counts, whatever it is called; other files, hidden ones and folders without a
    picture do not, and the notes say how many.
    """
    folders = folders_in(source)
    if not _say_their_part(folders):
        return {"whole": _classes_in(source, source)}
    wordy = [folder for folder in folders if split_word(folder)]
    parts, notes = splits_of({folder: split_word(folder) for folder in wordy}, source)
    opened = {}
    for part, names in parts.items():
        if len(names) > 1:
            raise InputError(f"{source} holds {' and '.join(names)}, which are the same part; wanted one of them")
        opened[part] = _classes_in(os.path.join(source, names[0]), source, notes)
    others = [folder for folder in folders if not split_word(folder)]
    if others:
        raise InputError(
            f"{source} holds {abbreviate(others)} beside {abbreviate(wordy)}; wanted either classes or parts there: "
            "move what is neither out of the folder"
        )
    return opened


def folders_in(folder: str) -> list[str]:
    """Names of the folders in it and of links to such, sorted, hidden ones left out. Raises InputError."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {reason_of(error)}; wanted {LAYOUT}") from None


def _say_their_part(folders: list[str]) -> bool:
    """Whether they are train and val, and not classes of which one happens to be called so."""
    words = {split_word(folder) for folder in folders}
    return words != {None} and (None not in words or {"train"} < words - {None}) and bool(words)


def _classes_in(root: str, source: str, notes: tuple[str, ...] = ()) -> Files:
    relative_paths: list[str] = []
    of_class: list[str] = []
    others: list[str] = []
    barren: list[str] = []
    for folder in folders_in(root):
        before = len(relative_paths)
        for found in find_images(os.path.join(root, folder)):
            if found.error is not None:
                raise InputError(f"{found.error}; wanted to read all of {source}: give its reader the right to")
            relative_path = os.path.relpath(found.path, root)
            if is_image_file(found.path):
                relative_paths.append(relative_path)
                of_class.append(folder)
            else:
                others.append(relative_path)
        if len(relative_paths) == before:
            barren.append(folder)
    with os.scandir(root) as entries:
        loose = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    if not relative_paths:
        raise InputError(f"{root} holds no pictures in folders; wanted {LAYOUT}")
    classes, labels = np.unique(np.array(of_class), return_inverse=True)
    return Files(
        source=source,
        classes=tuple(classes.tolist()),
        labels=labels.astype(np.int64),
        notes=notes + _left_out(others, barren, loose, root),
        root=root,
        relative_paths=relative_paths,
    )


def _left_out(others: list[str], barren: list[str], loose: list[str], root: str) -> tuple[str, ...]:
    notes = []
    if others:
        notes.append(f"{len(others):,} files are no images and left out ({abbreviate(others)})")
    if loose:
        notes.append(f"{len(loose):,} files lie in no class's folder of {root} and are left out ({abbreviate(loose)})")
    if barren:
        notes.append(f"{len(barren):,} folders hold no picture and are no class ({abbreviate(barren)})")
    return tuple(notes)
