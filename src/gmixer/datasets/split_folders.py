"""Which folders of an image folder are its splits: by their names and by what they hold, or as the user says."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gmixer.datasets.dataset_base import SplitName
from gmixer.datasets.splits import abbreviate, is_split_word, loose_split_word, named_splits, split_word, splits_of
from gmixer.errors import ImageError, InputError
from gmixer.sources.entry import may_be_image
from gmixer.sources.listing import list_files
from gmixer.sources.local import reason_of

LAYOUT = "a folder for each class, with the name of the class and its images inside"
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # as Hugging Face's imagefolder calls it
# What systems leave beside folders: macOS in the zips that it packs, Synology's thumbnails, Windows on a drive
LEFTOVERS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
LEFT_OUT = "left out"  # so begin the notes on folders in no split
_TELL = "rename the folders to train and val, or pass the folder to measure on with --val-folder NAME"
_IF_CLASSES = "If they are classes, move their images directly into them, or list all images in a CSV table"
# Names of folders by what they hold, not by class: of images, of what belongs to them, and of parts of a large set
IMAGES = frozenset({"images", "image", "imgs", "img", "jpegimages"})
_BESIDE_IMAGES = ("annotation", "label", "mask", "segmentation", "trimap", "groundtruth", "ground_truth", "gt")
_PART = re.compile(r"(?:.*[-_. ])?(images?|imgs?|photos?|pictures?|parts?|batch|chunk|shard|fold)[-_. ]*[0-9]+")


@dataclass(frozen=True)
class SplitFolders:
    """of: the folders of each split, names inside `root`; empty without splits. notes: what is left out."""

    root: str
    of: Mapping[SplitName, Sequence[str]]
    notes: tuple[str, ...] = ()


def find_splits(source: str, val_folder: str | None = None) -> SplitFolders:
    """The splits of the folder `source`. val_folder: the name of the one that is held out; None: the names tell.

    A folder is a split if its name says so (splits.py) and class folders or a metadata file are in it. Raises
    InputError if the names may mean splits or classes, and for a val_folder that is not there.
    """
    if val_folder is not None:
        return _told(source, val_folder)
    root = unwrapped(source)
    folders = folders_in(root)
    words = named_splits(folders)
    inside = {name: word for name, word in words.items() if holds_classes(os.path.join(root, name))}
    others = [name for name in folders if name not in words]
    if not inside:
        if not metadata_in(root):
            _check_flat(root, words, others)
        return SplitFolders(root, {})
    if not _are_splits(root, inside, others):
        return SplitFolders(root, {})
    flat = [name for name, word in words.items() if name not in inside and word == "test"]
    splits, notes = splits_of({name: word for name, word in words.items() if name not in flat}, root)
    for names in splits.values():
        if len(names) > 1:
            raise InputError(
                f"{root} holds {' and '.join(names)}, which are the same split; wanted one of them: move the other out "
                "of the folder, or pass --val-folder NAME"
            )
    unused = map(os.path.basename, metadata_in(root))  # the splits have their own, or class folders
    return SplitFolders(root, splits, notes + _left_out([*flat, *others, *unused]))


def folders_in(folder: str) -> list[str]:
    """Names of the folders in it and of links to folders, sorted, without hidden ones, LEFTOVERS. Raises InputError."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.name not in LEFTOVERS and entry.is_dir()
            )
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {reason_of(error)}; wanted {LAYOUT}") from None


def metadata_in(folder: str) -> list[str]:
    """The paths of the metadata files in it, in the order of METADATA. Their names count in any case."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    found = [name for name in names if is_metadata(name) and os.path.isfile(os.path.join(folder, name))]
    return [os.path.join(folder, name) for name in sorted(found, key=lambda name: METADATA.index(name.lower()))]


def is_metadata(name: str) -> bool:
    """Whether a file with this name is a metadata file."""
    return name.lower() in METADATA


def unwrapped(folder: str) -> str:
    """The folder, or the only folder in it if that one has the same name, or holds splits or what looks like splits:
    archives unpack like this, to `photos/photos/train/cat`.
    """
    folders = folders_in(folder)
    if len(folders) != 1 or metadata_in(folder):
        return folder
    inner = os.path.join(folder, folders[0])
    if metadata_in(inner) and not split_word(folders[0]):
        return inner
    nested = {name: holds_classes(os.path.join(inner, name)) for name in folders_in(inner)}
    same_name = folders[0] == os.path.basename(os.path.abspath(folder))
    like_splits = len(nested) > 1 and all(nested.values())
    if nested and (same_name or like_splits or any(nested[name] for name in named_splits(nested))):
        return unwrapped(inner)
    innermost = unwrapped(inner)
    return folder if innermost == inner else innermost


def holds_classes(folder: str) -> bool:
    """Whether it may be a split: folders or a metadata file are in it."""
    folder = _through(folder)
    return bool(folders_in(folder) or metadata_in(folder))


def check_are_classes(
    root: str, names: Sequence[str], folders_by_class: Mapping[str, Sequence[str]], *, in_split: bool
) -> None:
    """names: of all folders with images, which are about to become classes. folders_by_class: for each that holds its
    images in folders, the names of these.

    Raises InputError if several of them hold the same folders: then they are splits, or the classes are further down.
    Raises it, too, if one holds the folders beside it once more, or splits.
    """
    for folder, inside in folders_by_class.items():
        path = os.path.join(root, folder)
        if inside and {*map(_folded, inside)} <= {_folded(name) for name in names if name != os.path.basename(folder)}:
            raise InputError(
                f"in {root}, {folder} holds folders with the names of those beside it ({abbreviate(inside)}), so it is "
                f"no class; wanted {LAYOUT}: move {folder} out, or pass {path} alone"
            )
    count = Counter(_folded(name) for names in folders_by_class.values() for name in set(names))
    alike = {
        folder: shared
        for folder, names in folders_by_class.items()
        if len(shared := [name for name in names if count[_folded(name)] > 1]) > 1
    }
    if len(alike) < 2:
        _check_no_splits(root, folders_by_class)
        return
    shared = next(iter(alike.values()))
    seen = f"in {root}, {abbreviate(alike)} hold the same folders ({abbreviate(shared)})"
    if set(shared) <= set(named_splits(shared)):
        raise InputError(
            f"{seen}; wanted the splits above the classes, as in {shared[0]}/{next(iter(alike))}, "
            f"or one data set alone, as in {os.path.join(root, next(iter(alike)))}"
        )
    if others := _beside_images(shared):
        raise InputError(
            f"{seen}, and images in {abbreviate(others)} are none of the class; wanted {LAYOUT}: move "
            f"{abbreviate(others)} out of the class folders"
        )
    if in_split:
        raise InputError(f"{seen}, so the names of the classes are further down; wanted {LAYOUT}")
    raise InputError(
        f"{seen}, as splits do, and their names do not tell which is which; wanted train and val: {_TELL}. If they are "
        f"versions of the same images, pass one alone, such as {os.path.join(root, next(iter(alike)))}. {_IF_CLASSES}"
    )


def check_names(root: str, names: Sequence[str], way_out: str) -> None:
    """names: the folders with images, which are about to become classes. way_out: the end of the error.

    Raises InputError if they certainly say something else: `images` beside `masks`, or `images_001`, `images_002`.
    """
    if beside := _beside_images(names):
        images = [name for name in names if _folded(name) in IMAGES]
        raise InputError(
            f"{root} holds {images[0]} beside {abbreviate(beside)}, which are no names of classes; wanted {LAYOUT}: if "
            f"{images[0]} holds such folders, pass {os.path.join(root, images[0])}. Otherwise list all images in a CSV "
            f"table, with the columns path and label{way_out}"
        )
    stems = {_folded(name).rstrip("0123456789") for name in names}
    if len(names) > 1 and len(stems) == 1 and all(_PART.fullmatch(_folded(name)) for name in names):
        raise InputError(
            f"{root} holds {abbreviate(names)}: by their names, these are parts of one set, not classes; wanted "
            f"{LAYOUT}, or a CSV table of all images, with the columns path and label{way_out}"
        )


def _beside_images(names: Sequence[str]) -> list[str]:
    """Those that hold what belongs to images, such as masks, if `images` is among them, too."""
    beside = [name for name in names if _folded(name).startswith(_BESIDE_IMAGES)]
    return beside if any(_folded(name) in IMAGES for name in names) else []


def _check_no_splits(root: str, folders_by_class: Mapping[str, Sequence[str]]) -> None:
    for folder, inside in folders_by_class.items():
        words = named_splits(inside)
        if set(words) == set(inside) and {"train"} < set(words.values()):
            path = os.path.join(root, folder)
            raise InputError(
                f"{path} holds splits ({abbreviate(inside)}), so {folder} is no class beside other folders of {root}; "
                f"wanted one data set: pass {path}"
            )


def _told(source: str, val_folder: str) -> SplitFolders:
    """The splits where `val_folder` is held out: a name in the folder, or its path."""
    root = source
    wanted = {_folded_path(val_folder), _folded_path(os.path.abspath(val_folder))}
    while True:
        folders = folders_in(root)
        inside = os.path.relpath(root, source)
        spellings = {n: (n, os.path.join(inside, n), os.path.abspath(os.path.join(root, n))) for n in folders}
        found = [name for name in folders if wanted & set(map(_folded_path, spellings[name]))]
        if found or len(folders) != 1:
            break
        root = os.path.join(root, folders[0])
    if not found:
        raise InputError(
            f"{source} holds no folder {val_folder}; it holds {abbreviate(folders, 10) or 'no folders'}: pass one of "
            "them as --val-folder"
        )
    rest = [name for name in folders if name != found[0] and holds_classes(os.path.join(root, name))]
    words = named_splits(rest)
    train = [name for name, word in words.items() if word == "train"] or [name for name in rest if name not in words]
    left_out = [name for name in folders if name not in (*train, *found)]
    of: dict[SplitName, list[str]] = {"train": train, "val": found[:1]} if train else {"val": found[:1]}
    return SplitFolders(root, of, _left_out(left_out))


def _are_splits(root: str, inside: Mapping[str, str], others: Sequence[str]) -> bool:
    """Whether these are splits, not classes. inside: folders with the names of splits, and folders inside. others: the
    folders beside them. Raises InputError if both may be meant.
    """
    if {"train"} < set(inside.values()):  # "bullet train" and "test tube" among many classes are none
        return len(others) <= len(inside) or any(map(is_split_word, inside))
    with_images = [name for name in others if _holds_image(os.path.join(root, name))]
    if not with_images:
        return True
    if not any(_holds_several(os.path.join(root, name)) for name in inside):
        return False
    holders = [name for name in inside if _holds_several(os.path.join(root, name))]
    seen = "are named like splits and hold" if len(holders) > 1 else "is named like a split and holds"
    raise InputError(
        f"in {root}, {abbreviate(holders)} {seen} folders, unlike {abbreviate(with_images)}; wanted either classes "
        f"or splits: "
        f"{_TELL}, or name one folder of classes, as in {os.path.join(root, next(iter(inside)))}. {_IF_CLASSES}"
    )


def _check_flat(root: str, words: Mapping[str, str], others: Sequence[str]) -> None:
    """Raises InputError if folders of images are certainly splits, which hold no classes."""
    if not words and not any(map(loose_split_word, others)):
        return
    others = [name for name in others if _holds_image(os.path.join(root, name))]
    whole = {word for name, word in words.items() if is_split_word(name)}
    all_named = bool(words) and not others and (len(set(words.values())) > 1 or all(map(is_split_word, words)))
    if all_named or {"train"} < whole:
        raise InputError(
            f"{root} holds {abbreviate(words)}, with the names of splits, but no images in folders inside them; wanted "
            f"in each split {LAYOUT}"
        )
    alike = {name: loose_split_word(name) for name in sorted({*words, *others})}
    if None not in alike.values() and len(set(alike.values())) > 1:
        with_classes = [name for name in alike if holds_classes(os.path.join(root, name))]
        way_out = f": {_TELL}"
        if len(with_classes) < len(alike):
            way_out = f": pass {os.path.join(root, with_classes[0])} alone" if with_classes else ""
        raise InputError(
            f"{root} holds {abbreviate(alike, 4)}, whose names look like splits, not like classes; wanted train and "
            f"val, and in each {LAYOUT}{way_out}"
        )


def _left_out(names: Sequence[str]) -> tuple[str, ...]:
    return (f"{LEFT_OUT}, beside the splits: {abbreviate(names, 10)}",) if names else ()


def _holds_several(folder: str) -> bool:
    """Whether it is more like a split than like a class with one folder of images inside."""
    folder = _through(folder)
    return len(folders_in(folder)) > 1 or bool(metadata_in(folder))


def _through(folder: str) -> str:
    """The innermost of folders with the same name, if each is alone in the one before: test1/test1/17.jpg."""
    name = os.path.basename(folder)
    while folders_in(folder) == [name] and not metadata_in(folder):
        folder = os.path.join(folder, name)
    return folder


def _holds_image(folder: str) -> bool:
    return any(isinstance(entry, ImageError) or may_be_image(entry) for entry in list_files(folder))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _folded_path(path: str) -> str:
    return unicodedata.normalize("NFC", os.path.normpath(path))
