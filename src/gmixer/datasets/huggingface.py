"""Hugging Face `datasets`: a name on the Hub, through the library and its cache, and a folder that it saved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets import columns
from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.splits import by_column, named_splits, splits_of
from gmixer.errors import InputError, require, words_of
from gmixer.weights.reaching import why_unreachable

if TYPE_CHECKING:
    import pyarrow as pa


def open_name(name: str, source: str) -> Splits:
    """name: `organization/name`, `organization/name:config`, or another name that datasets.load_dataset takes.

    Where the Hub cannot be reached, the library takes its cache at once. Its own tries would take half a minute.
    Raises InputError with the library's message if it cannot be loaded, MissingExtraError.
    """
    repository, _, config = name.partition(":")
    library = _library()
    offline = library.config.HF_HUB_OFFLINE
    unreachable = None if offline or os.path.exists(repository) else why_unreachable()
    library.config.HF_HUB_OFFLINE = offline or unreachable is not None
    try:
        loaded = library.load_dataset(repository, config or None)
    except Exception as error:  # of many types: the library's own, the Hub's, the network's, the builders'
        why = unreachable or f"{_message_of(error)}; wanted a data set of images, as in hf:org/name:config"
        raise InputError(f"{source}: {why}") from error
    finally:
        library.config.HF_HUB_OFFLINE = offline
    return _splits(loaded, source)


def open_saved(folder: str) -> Splits:
    """A folder written by `save_to_disk`, with one split or several. Raises InputError, MissingExtraError."""
    library = _library()
    path = os.path.join(os.getcwd(), folder)  # the library takes ~/a for a folder of the home
    if "::" in path:
        raise InputError(f"{path} has :: in its name, which `datasets` reads as its own syntax; wanted another name")
    try:
        loaded = library.load_from_disk(path)
    except Exception as error:
        raise InputError(f"{folder}: {_message_of(error)}; wanted a complete folder written by save_to_disk") from error
    return _splits(loaded, folder)


@dataclass(frozen=True, kw_only=True)
class HubRows(DatasetBase):
    """data: the library's own Dataset, mapped into memory; paths: of the images, by row; split: its name;
    rows: (n,) the rows of these images.
    """

    data: Any
    image: str
    paths: pa.ChunkedArray | None
    split: str
    rows: NDArray[np.int64]

    def fields_of(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        return {"rows": self.rows[rows]}

    def key(self, i: int) -> str:
        return f"{self.split}[{self.rows[i]}]"

    def name(self, i: int) -> str:
        path = None if self.paths is None else self.paths[int(self.rows[i])].as_py()
        return f"{self.source}::{self.key(i)}::{path}" if path else f"{self.source}::{self.key(i)}"

    def read(self, i: int) -> bytes:
        value = self.data[int(self.rows[i])][self.image]
        return columns.bytes_of(value, name=self.name(i), folder="", reading=self.reading)


def _splits(loaded: Any, source: str) -> Splits:
    splits = dict(loaded) if isinstance(loaded, Mapping) else {str(loaded.split or "data"): loaded}
    if len(splits) == 1:
        ((name, data),) = splits.items()
        column = columns.find(columns.SPLIT, list(data.features))
        return by_column(_opened(name, data, source, ()), column, data[column] if column else [], source)
    known = named_splits(splits)
    if not known:
        raise InputError(f"{source} has the splits {', '.join(splits)}; wanted train and validation")
    found, notes = splits_of(known, source)
    if others := [split for split in splits if split not in known]:
        notes = (*notes, f"the splits {', '.join(others)} are left out")
    for split, names in found.items():
        if len(names) > 1:
            raise InputError(f"{source} has the splits {' and '.join(names)}, both for {split}; wanted one of them")
    return {split: _opened(name, splits[name], source, notes) for split, [name] in found.items()}


def _opened(split: str, data: Any, source: str, notes: tuple[str, ...]) -> HubRows:
    library = _library()
    features = data.features
    images = [name for name, feature in features.items() if isinstance(feature, library.Image)]
    image = images[0] if images else columns.find(columns.IMAGE, list(features))
    if image is None:
        raise InputError(f"{source} has the columns {', '.join(features)}; wanted one of images")
    if images:
        data = data.cast_column(image, library.Image(decode=False))
    named = [name for name, feature in features.items() if isinstance(feature, library.ClassLabel)]
    label = columns.find(columns.LABEL, list(features))
    if label is None:  # under another name, it must be the only column with class names
        label = named[0] if len(named) == 1 else columns.label_column(list(features), source)
    names = features[label].names if isinstance(features[label], library.ClassLabel) else None
    table = data.select_columns([label, *columns.teacher_columns(list(features))]).with_format("arrow")[:]
    if not table.num_rows:
        raise InputError(f"{source} has no rows in its split {split}; wanted an image in each")
    labels = columns.labels_in(table[label], names, source)
    only = data.select_columns([image])
    return HubRows(
        source=source,
        classes=labels.classes,
        labels=labels.index,
        written=labels.written,
        soft=columns.soft_labels(table, source),
        notes=notes + columns.unread_splits(list(features)),
        data=only,
        image=image,
        paths=_paths(only, image) if images else None,
        split=split,
        rows=np.arange(table.num_rows),
    )


def _paths(data: Any, image: str) -> pa.ChunkedArray:
    """The paths of a column of {bytes, path}, by row; the bytes are not loaded."""
    path = f"{image}.path"
    paths: pa.ChunkedArray = data.flatten().select_columns([path]).with_format("arrow")[:][path]
    return paths


def _library() -> Any:
    with require("reading a data set of Hugging Face", "train", ["datasets"]):
        import datasets
    return datasets


def _message_of(error: Exception) -> str:
    return words_of(error, "the library datasets cannot read it")
