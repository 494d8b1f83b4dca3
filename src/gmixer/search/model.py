"""The model that made an index, opened to embed queries as its rows were embedded."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.space import check_same_space, in_words
from gmixer.bulk.stamp import Stamp
from gmixer.errors import InputError, UnknownModelError, WeightsError
from gmixer.loading import open_predictor
from gmixer.options import DEFAULT_READING, Native, Reading, Torch, WeightsSource
from gmixer.predictor import Predictor

_OF_PIXELS = ("orientation", "range", "fast_decode")  # of Reading: what changes pixels, and so vectors


def open_model_of(
    place: str,
    stamp: Stamp,
    model: str | os.PathLike[str] | None,
    weights: WeightsSource,
    reading: Reading,
    runtime: Native | Torch,
) -> Predictor:
    """The model of the stamp of an index, in the stamp's precision, with its transform.

    place: of the index, in errors. model: where the weights are; None: by the stamp's name. reading: its limits and
    isolation count; what changes pixels is the stamp's. runtime: its precision is None or the stamp's.

    Raises InputError for other weights, another precision or other pixels, and where the model is not found.
    """
    if runtime.precision not in (None, stamp.precision):
        raise InputError(
            f"precision is {runtime.precision}, and {place} holds vectors in {stamp.precision}: leave the precision "
            f"out, or make an index in {runtime.precision}"
        )
    size: dict[str, Any] = {name: stamp.preprocessing[name] for name in ("image_px", "in_chans")}
    try:
        predictor = open_predictor(
            stamp.model if model is None else model,
            weights,
            _reading_of(place, stamp, reading),
            replace(runtime, precision=stamp.precision),  # type: ignore[arg-type] # the options check it
            **size,
        )
    except (UnknownModelError, WeightsError) as error:
        if model is not None:
            raise
        raise InputError(
            f"{place} has vectors of {in_words(stamp)}, and no model is found by that name ({error}): pass --model "
            f"with the folder or file that holds these weights"
        ) from None
    own = Stamp.of(predictor, RowOptions(**stamp.rows), stamp.part_size)
    check_same_space(place, stamp, predictor.name, own, way_out="Pass --model with the weights that made the index.")
    return predictor


def _reading_of(place: str, stamp: Stamp, reading: Reading) -> Reading:
    theirs = {name: stamp.reading[name] for name in _OF_PIXELS}
    for name in _OF_PIXELS:
        given = getattr(reading, name)
        if given not in (getattr(DEFAULT_READING, name), theirs[name]):
            raise InputError(f"{name} is {given}, and {place} was made with {theirs[name]}: leave it out")
    return replace(reading, **theirs)
