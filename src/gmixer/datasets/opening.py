"""open_images: a source as typed → its labelled images. The content tells the format, not the name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from gmixer.datasets.class_index import align_classes
from gmixer.datasets.dataset_base import DatasetBase, SplitName, Splits
from gmixer.datasets.folder import open_folder
from gmixer.datasets.holdout import split as drawn_split
from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages, Subset
from gmixer.datasets.patterns import expanded
from gmixer.datasets.run_data import RunData
from gmixer.datasets.split_folders import LAYOUT, LEFT_OUT, folders_in, is_metadata, metadata_in
from gmixer.datasets.splits import abbreviate, counted, named_splits
from gmixer.errors import ImageError, InputError
from gmixer.options import DEFAULT_READING, Reading
from gmixer.sources.entry import read_head
from gmixer.sources.local import LocalFile
from gmixer.sources.sniff import archive_format, is_image
from gmixer.sources.text_file import is_text

OFFICE = b"[Content_Types].xml"  # the first name in the zip of a workbook
HUB_MARK = "hf:"
FORMS = "a folder of class folders, a CSV or Parquet file, WebDataset tars, or hf:organization/name"

Source = str | os.PathLike[str]
Kind = Literal["parquet", "tar", "csv"]


@dataclass(frozen=True, slots=True)
class Split:
    """Both splits. is_drawn: the data has no split to measure on, so some images were held out (holdout.py).

    val_called: the folder that is the val split; "" if it is none.
    """

    train: LabeledImages
    val: LabeledImages
    is_drawn: bool
    val_called: str = ""


def open_images(
    source: Source,
    reading: Reading = DEFAULT_READING,
    *,
    split: Literal["train", "val"] | None = None,
    val_fraction: float = 0.2,
    classes: Sequence[str] | None = None,
    num_classes: int | None = None,
    val_folder: str | None = None,
) -> LabeledImages:
    """The images of a folder, a table, tars or a data set on the Hub: docs/datasets.md shows each layout.

    reading: its limits hold for each file that is read.
    split: "train" or "val", as the data says. If it does not say, val_fraction of each class is held out (holdout.py).
        None: all images of data without splits.
    classes: the classes that the labels index, such as a model's: matched by name, ImageNet's also by synset. Numbers
        are taken as they are. None: the names in the data, sorted.
    num_classes: without `classes`, numbers are class indices below it. None: sparse numbers are names.
    val_folder: the name of the folder in the source that is the val split; None: the names of the folders tell.

    Raises InputError if the source has no such format; if it has splits and `split` is None; for a class that is not in
    `classes`, or only in the val split; for a single class. Raises MissingExtraError. An image that cannot be read
    raises ImageError when it is read.
    """
    if split not in ("train", "val", None):
        raise InputError(f"split is {split!r}; wanted 'train', 'val' or None")
    splits = align_classes(_splits(source, reading, val_folder), classes, num_classes)
    if split is None:
        if len(splits) > 1:
            raise InputError(f"{os.fspath(source)} holds a train and a val split; wanted one: pass split='val'")
        return _prepared(*splits.values())
    if split == "train" or "val" not in splits:
        return getattr(as_split(splits, val_fraction), split)  # type: ignore[no-any-return]
    return _prepared(splits["val"])


def open_split(
    source: Source,
    reading: Reading = DEFAULT_READING,
    *,
    val_fraction: float = 0.2,
    classes: Sequence[str] | None = None,
    num_classes: int | None = None,
    val_folder: str | None = None,
) -> Split:
    """Both splits, for a training run. Arguments and errors as in open_images; the source is opened only once."""
    return as_split(align_classes(_splits(source, reading, val_folder), classes, num_classes), val_fraction)


def open_held_out(
    source: Source,
    reading: Reading = DEFAULT_READING,
    *,
    classes: Sequence[str] | None = None,
    val_folder: str | None = None,
    run: RunData | None = None,
) -> LabeledImages:
    """The images to measure a model on: the val split if the data has one, otherwise all. See open_images.

    run: the data that the model learned from. If this is the very data, only the images that the run held out count.
    Raises InputError if the model learned from all of the images.
    """
    if run is not None and run.val_folder and val_folder:
        _check_held_out(source, reading, val_folder, run)
    splits = _splits(source, reading, val_folder)
    split: SplitName = "val" if "val" in splits else next(iter(splits))
    images = align_classes(splits, classes)[split]
    held_out = run.held_out(splits[split]) if run is not None else None
    if held_out is not None:
        note = (
            f"measured: the {counted(len(held_out), 'image')} of {len(images):,} that the model's training run held out"
        )
        images = images.take(held_out, (note,))
    elif run is not None and split != "val" and (alike := run.resemblance(splits[split])):
        images = replace(images, notes=(*images.notes, alike))
    elif called := _called(splits[split]):
        images = replace(images, notes=(*images.notes, f"measured: {counted(len(images), 'image')} in {called}"))
    if run is not None and run.range != reading.range:
        note = f"the model learned from images read with --range {run.range}; these are read with {reading.range}"
        images = replace(images, notes=(*images.notes, note))
    return _prepared(images)


def _check_held_out(source: Source, reading: Reading, val_folder: str, run: RunData) -> None:
    """Raises InputError if the run held out another folder of the same data, and so learned from this one."""
    asked = _splits(source, reading, val_folder)["val"]
    try:
        of_run = _splits(source, reading, run.val_folder)
    except InputError:  # other data, without such a folder
        return
    learned = of_run.get("train")
    if learned and asked.name(0) in {learned.name(i) for i in range(len(learned))} and run.is_of(of_run):
        raise InputError(
            f"the model learned from these images of {source}, in {val_folder} ({run.folder}): its run held out "
            f"{run.val_folder}; wanted --val-folder {run.val_folder}, or --all to measure these"
        )


def as_split(splits: Splits, val_fraction: float) -> Split:
    """The train and the val split. If the data has no val split, val_fraction of each class is held out (holdout.py).

    Raises InputError if one of them would be empty, or if there is nothing to train on.
    """
    if "train" in splits and "val" in splits:
        called = _called(splits["val"])
        return Split(_prepared(splits["train"]), _prepared(splits["val"]), is_drawn=False, val_called=called)
    if "val" in splits:
        raise _nothing_to_train_on(splits["val"])
    whole = _prepared(*splits.values())
    train, val = drawn_split(whole, val_fraction)
    for name, chosen in (("train", train), ("val", val)):
        if not len(chosen):
            many = counted(len(whole), "image")
            raise InputError(
                f"{whole.source} has {many}, and val_fraction={val_fraction} leaves none for {name}; "
                "wanted more images or another fraction"
            )
    return Split(Subset(whole, train), Subset(whole, val), is_drawn=True)


def _nothing_to_train_on(val: DatasetBase) -> InputError:
    what = f"the folder {_called(val)}" if val.folders else "a split to measure on"
    left_out = "".join(f" ({note})" for note in val.notes if note.startswith(LEFT_OUT))
    return InputError(
        f"{val.source} holds {what} alone, to be measured on{left_out}; wanted a folder or a split to train on as well"
    )


def _called(val: DatasetBase) -> str:
    """The folder that is measured on; "" if there is none."""
    return ", ".join(val.folders)


def _prepared(images: DatasetBase) -> DatasetBase:
    images.prepare()
    return images


def _splits(source: Source, reading: Reading, val_folder: str | None) -> Splits:
    opened = _opener(os.fspath(source), val_folder)()
    splits = {name: replace(images, reading=reading) for name, images in opened.items()}
    return _without_unlabelled(splits) if "train" in splits else splits


def _without_unlabelled(splits: Splits) -> Splits:
    """Images without labels measure nothing: of competitions and on the Hub, the test split often has none."""
    train, val = splits["train"], splits.get("val")
    if val is None or val.soft is not None or (val.labels != UNKNOWN).any():
        return splits
    many = counted(len(val), "image")
    note = f"the split to measure on is left out: it has {many} without a label ({abbreviate([val.name(0)])})"
    return {"train": replace(train, notes=(*train.notes, note))}


def _opener(source: str, val_folder: str | None) -> Callable[[], Splits]:
    is_on_hub = source.startswith(HUB_MARK) and not os.path.lexists(source.partition(os.sep)[0])
    if os.path.isdir(source) and not is_on_hub:
        return _folder_opener(source, val_folder)
    if val_folder is not None:
        raise InputError(
            f"{source} is no folder, so no folder {val_folder} can be held out; wanted it without --val-folder"
        )
    if is_on_hub:
        from gmixer.datasets.huggingface import open_name

        return partial(open_name, source.removeprefix(HUB_MARK), source)
    return _files_opener(_files_at(source), source)


def _files_at(source: str) -> list[str]:
    """The files of a path or a pattern. Raises InputError if there is none, or one is missing."""
    paths = [source] if os.path.lexists(source) else expanded(source)
    if missing := [path for path in paths if not os.path.exists(path)]:
        raise InputError(f"{abbreviate(missing)}: no such file or folder; wanted {FORMS}")
    files = [path for path in paths if not os.path.isdir(path)]
    if not files:
        got = f"matches the folder {paths[0]}, but no file" if paths else "no such file or folder"
        raise InputError(f"{source}: {got}; wanted {FORMS}")
    return files


def _folder_opener(source: str, val_folder: str | None) -> Callable[[], Splits]:
    is_saved = any(os.path.exists(os.path.join(source, name)) for name in ("state.json", "dataset_dict.json"))
    by_kind = {} if is_saved else _packed_in(source)
    if not by_kind and not is_saved:
        return partial(open_folder, source, val_folder)
    if val_folder is not None:
        raise InputError(f"{source} holds no class folders; wanted it without --val-folder: its names tell the splits")
    if is_saved:
        from gmixer.datasets.huggingface import open_saved

        return partial(open_saved, source)
    if len(by_kind) > 1:
        raise InputError(
            f"{source} holds Parquet files and tars; wanted one kind: name the files, as in '{source}/*.tar'"
        )
    (found, files), *_ = by_kind.items()
    if any(os.path.dirname(file) == os.path.dirname(os.path.join(source, "")) for file in files) and (
        folders := folders_in(source)
    ):
        many = counted(len(files), f"{found} file")
        raise InputError(
            f"{source} holds {many} beside the folders {abbreviate(folders)}; wanted one "
            f"or the other: name the files, as in '{source}/*.{found}'"
        )
    return _files_opener(files, source)


def _packed_in(folder: str, *, in_split: bool = False) -> dict[Kind, list[str]]:
    """The Parquet files and tars of a data set: in the folder; else in its only folder, such as `data` in a repository
    on the Hub, or in folders that are called as splits: `train/0000.tar`. Empty if there are none.
    """
    by_kind: dict[Kind, list[str]] = {}
    for file in _files_in(folder):
        if not is_metadata(os.path.basename(file)) and (kind := _kind_inside(file)) is not None:
            by_kind.setdefault(kind, []).append(file)
    folders = {name: os.path.join(folder, name) for name in folders_in(folder)}
    splits = named_splits(folders)
    if by_kind or metadata_in(folder) or (len(folders) > 1 and (in_split or not splits)):
        return by_kind
    inside = {
        name: _packed_in(path, in_split=in_split or name in splits)
        for name, path in folders.items()
        if not metadata_in(path)
    }
    if all(inside.get(name) for name in splits):  # otherwise there are class folders in the splits
        for found in inside.values():
            for kind, files in found.items():
                by_kind.setdefault(kind, []).extend(files)
    return by_kind


def _files_opener(files: list[str], source: str) -> Callable[[], Splits]:
    kinds = {file: _kind(file) for file in files}
    if len(set(kinds.values())) > 1:
        raise InputError(f"{source} matches files of several kinds ({abbreviate(files)}); wanted one kind")
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
            raise InputError(f"{source} matches {len(files)} CSV files; wanted one, if necessary with a column split")


def _files_in(folder: str) -> list[str]:
    folder_there = os.path.join(folder, "")
    return sorted(
        folder_there + name
        for name in os.listdir(folder)
        if not name.startswith(".") and os.path.isfile(folder_there + name)
    )


def _kind_inside(file: str) -> Kind | None:
    """The kind of a file found in a folder; None if it does not tell what the folder is."""
    try:
        head = read_head(LocalFile(file))
    except ImageError:
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    return "tar" if archive_format(head) == "tar" else None


def _kind(file: str) -> Kind:
    """By its first bytes; "csv" is any text. Raises InputError for a file that cannot hold labelled images."""
    if kind := _kind_inside(file):
        return kind
    try:
        head = read_head(LocalFile(file))
    except ImageError as error:
        raise InputError(f"{error}; wanted {FORMS}") from None
    packed = archive_format(head)
    if packed and OFFICE in head:
        raise InputError(f"{file} is a file of Excel or another Office program; wanted {FORMS}: save it as CSV UTF-8")
    if packed:
        raise InputError(f"{file} is packed ({packed}), so no image in it can be read alone; unpack it: wanted {FORMS}")
    if is_image(head):
        raise InputError(f"{file} is one image; wanted {LAYOUT}, or another form of labelled images")
    if not head or not is_text(head):
        raise InputError(f"{file} is {'neither a table nor a tar' if head else 'empty'}; wanted {FORMS}")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        raise InputError(
            f"{file} is JSON, not a table; wanted {FORMS}. JSON Lines with file_name and label may lie beside the "
            "images as metadata.jsonl: pass the folder"
        )
    return "csv"
