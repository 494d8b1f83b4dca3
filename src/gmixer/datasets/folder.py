"""Image folders: `root/class/**/image`, and `root/train/class/…` beside `root/val/class/…`."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import replace

import numpy as np

from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.image_files import Files
from gmixer.datasets.metadata import open_metadata
from gmixer.datasets.split_folders import (
    IMAGES,
    LAYOUT,
    check_are_classes,
    check_names,
    find_splits,
    folders_in,
    unwrapped,
)
from gmixer.datasets.splits import abbreviate, counted
from gmixer.errors import ImageError, InputError
from gmixer.sources.entry import may_be_image
from gmixer.sources.listing import list_files

TABLE_ENDINGS = (".csv", ".tsv")


def open_folder(source: str, val_folder: str | None = None) -> Splits:
    """The classes are the names of the folders, in sorted order, or the labels of a metadata file (metadata.py).

    val_folder: the folder inside that is held out; None: the names of the folders tell.
    Every file that starts like an image counts, under any name. Other files, hidden files and folders without an
    image do not count; the notes say how many there are. Raises InputError if no folder holds images.
    """
    splits = find_splits(source, val_folder)
    if not splits.of:
        return open_metadata(splits.root, source) or {"whole": _classes_in(splits.root, source)}
    opened = {}
    for split, names in splits.of.items():
        try:
            images = _split_in(splits.root, names, source)
        except InputError as error:
            if split != "val" or len(others := splits.of.get("train", ())) != 1:
                raise
            raise InputError(f"{error}. Or pass {os.path.join(splits.root, others[0])} alone") from None
        images = images.take(np.arange(len(images)), splits.notes)
        opened[split] = replace(images, folders=tuple(names))
    return opened


def _split_in(root: str, names: Sequence[str], source: str) -> DatasetBase:
    """The images of one split. names: its folders; several, if the user named the folder to measure on."""
    if len(names) > 1:
        return _classes_in(root, source, names, in_split=True)
    folder = unwrapped(os.path.join(root, names[0]))
    if labelled := open_metadata(folder, source):
        if len(labelled) > 1:
            raise InputError(f"the metadata file in {folder} names train and val; wanted the images of one split in it")
        return next(iter(labelled.values()))
    return _classes_in(folder, source, in_split=True)


def _classes_in(root: str, source: str, parts: Sequence[str] = ("",), *, in_split: bool = False) -> Files:
    """parts: the folders inside root that hold the class folders; "" is root itself."""
    relative_paths: list[str] = []
    of_class: list[str] = []
    others: list[str] = []
    empty: list[str] = []
    folders_by_class: dict[str, list[str]] = {}
    holding: dict[str, set[str]] = {}  # for each class folder with images, the folders that they lie in
    for folder, name in _class_folders(root, parts):
        before = len(relative_paths)
        images_in: dict[str, int] = {}
        for entry in list_files(os.path.join(root, folder)):
            if isinstance(entry, ImageError):
                raise InputError(f"{entry}; wanted to read all of {source}: give this user the permission")
            relative_path = os.path.relpath(entry.key, root)
            if may_be_image(entry):
                relative_paths.append(relative_path)
                of_class.append(name)
                holding.setdefault(folder, set()).add(os.path.dirname(relative_path))
                top, slash, _ = relative_path[len(folder) + 1 :].partition("/")
                top = top if slash else ""
                images_in[top] = images_in.get(top, 0) + 1
            else:
                others.append(relative_path)
        if len(relative_paths) == before:
            empty.append(folder)
        elif 2 * images_in.pop("", 0) < len(relative_paths) - before:
            folders_by_class[folder] = list(images_in)
    names = [os.path.basename(folder) for folder in holding]
    check_are_classes(root, names, folders_by_class, in_split=in_split)
    loose = [os.path.join(part, name) for part in parts for name in _loose_in(os.path.join(root, part))]
    check_names(root, names, _tables(root, loose))
    if not relative_paths:
        got = f", but {counted(len(others), 'other file')} ({abbreviate(others)})" if others else ""
        raise InputError(f"{root} holds no images in folders{got}; wanted {LAYOUT}{_tables(root, loose)}")
    classes, labels = np.unique(np.array(of_class), return_inverse=True)
    return Files(
        source=source,
        classes=tuple(classes.tolist()),
        labels=labels.astype(np.int64),
        notes=_left_out(others, empty, loose, root) + _nested(holding, folders_by_class),
        hint=_hint(root, holding, in_split=in_split),
        root=root,
        relative_paths=relative_paths,
    )


def _nested(holding: Mapping[str, Set[str]], in_folders: Collection[str]) -> tuple[str, ...]:
    """A note where the classes may be further down: all of them hold their images in folders, most in several."""
    deeper = sorted(set().union(*holding.values()))
    if len(holding) < 2 or not set(holding) <= set(in_folders) or len(deeper) < 2 * len(holding):
        return ()
    return (f"the classes are the folders {abbreviate(holding)}, not the folders in them ({abbreviate(deeper)})",)


def _hint(root: str, holding: Mapping[str, Set[str]], *, in_split: bool) -> str:
    """For errors: what a folder with a single class may be instead."""
    if len(holding) != 1:
        return ""
    ((only, deeper),) = holding.items()
    inner = os.path.commonpath(deeper)
    further = sorted({os.path.relpath(folder, inner).partition(os.sep)[0] for folder in deeper} - {os.curdir})
    if len(further) > 1 and not in_split:
        inner = os.path.join(root, inner)
        seen = f"the images lie in folders in {inner} ({abbreviate(further)})"
        return f": {seen}; pass {inner}, if these are the classes or splits"
    if in_split or os.path.basename(only).casefold() in IMAGES:
        seen = f"all images of {root} lie in its folder {only}"
        return f": {seen}; sort them into class folders, or list them in a CSV table"
    return ""


def _class_folders(root: str, parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each class folder, from root, and the name of its class, composed (NFC): systems write "é" in several ways."""
    for part in parts:
        for name in folders_in(os.path.join(root, part)):
            yield os.path.join(part, name), unicodedata.normalize("NFC", name)


def _loose_in(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())


def _tables(root: str, loose: Sequence[str]) -> str:
    """For errors: a table beside the images may name them."""
    table = next((name for name in loose if name.lower().endswith(TABLE_ENDINGS)), None)
    return f". If {table} lists the images, pass {os.path.join(root, table)}" if table else ""


def _left_out(others: list[str], empty: list[str], loose: list[str], root: str) -> tuple[str, ...]:
    notes = []
    if others:
        many = counted(len(others), "file is no image", "files are no images")
        notes.append(f"{many} and left out ({abbreviate(others)})")
    if loose:
        many = counted(len(loose), "file")
        notes.append(f"{many} in {root}, in no class folder, left out ({abbreviate(loose)})")
    if empty:
        many = counted(len(empty), "folder holds no image and is", "folders hold no image and are")
        notes.append(f"{many} no class ({abbreviate(empty)})")
    return tuple(notes)
