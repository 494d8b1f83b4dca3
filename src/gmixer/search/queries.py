"""The images of a query → their vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmixer.errors import ImageError, InputError
from gmixer.prediction import run
from gmixer.predictor import Predictor
from gmixer.search.index import Index
from gmixer.sources.address import read_path
from gmixer.sources.entry import read
from gmixer.sources.local import STDIN, StandardInput


class QueryImage(NamedTuple):
    """path: as typed. data: the file's bytes. vector_C: its embedding. note: what its user may not expect of it."""

    path: str
    data: bytes
    vector_C: NDArray[np.float32]
    note: str | None


def embed_queries(index: Index, predictor: Predictor, paths: Sequence[str]) -> list[QueryImage]:
    """Each image with its vector. `-` is standard input.

    Raises ImageError for one that cannot be read; InputError for words, and for the path of a row that is no file here.
    """
    return [_embed(index, predictor, path) for path in paths]


def _embed(index: Index, predictor: Predictor, path: str) -> QueryImage:
    reading = predictor.preprocess.reading
    try:
        is_stdin = path == STDIN
        data = read(StandardInput(), reading.limits) if is_stdin else read_path(path, source=path, reading=reading)
    except ImageError as error:
        if error.kind == "missing":
            _refuse_row_and_words(index, path)
        raise
    prepared = predictor.preprocess.with_note(data, name=path)
    features_C = run(predictor.runtime, [prepared.x_CSS]).features[0]
    return QueryImage(path, data, features_C, prepared.note)


def _refuse_row_and_words(index: Index, path: str) -> None:
    if index.has_row(path):
        raise InputError(f"{path} is no file here, but a row of {index.place}: pass it as --row {path}")
    ending = os.path.splitext(path)[1]
    if os.sep not in path and (not ending or " " in ending):
        raise InputError(
            f"{path!r} is no file, no URL and no row of {index.place}. These models have no text side, so words cannot "
            f"be a query: pass an image. To choose rows by their labels, pass --where \"label = '…'\" too; "
            f"gmixer classify says what an image shows"
        )
