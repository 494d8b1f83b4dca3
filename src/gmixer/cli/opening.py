"""What commands open: the model, and a progress bar for the images of a command line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from gmixer.cli.flags import AUTO

if TYPE_CHECKING:
    from rich.console import Console

    from gmixer.options import Native, Reading, Torch, WeightsSource
    from gmixer.predictor import Predictor
    from gmixer.sources.inputs import Inputs

HANDFUL = 5  # more images than this get a progress bar


def best_model(model: str, *, chatty: bool) -> str:
    """The model; for `auto` the best one on this machine. chatty: name that one on stderr, and how good it is."""
    if model != AUTO:
        return model
    from gmixer.weights import preferred_model

    name = preferred_model()
    if chatty:
        typer.secho(_accuracy(name), err=True, dim=True)
    return name


def open_model(
    model: str,
    weights: WeightsSource,
    reading: Reading,
    runtime: Native | Torch,
    image_px: int | None,
    *,
    chatty: bool,
) -> Predictor:
    """chatty: print on stderr what loading warns of.

    Raises what gmixer.load raises, and InputError for a model that takes neither grey nor RGB images.
    """
    from gmixer import loading
    from gmixer.errors import InputError

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        predictor = loading.open_predictor(model, weights, reading, runtime, image_px=image_px)
    if predictor.model.in_chans not in (1, 3):
        raise InputError(
            f"{predictor.name} takes {predictor.model.in_chans} channels; image files have 1 or 3: in Python, pass "
            f"uint8 arrays (height, width, {predictor.model.in_chans}) to gmixer.load(...)"
        )
    if chatty:
        for warning in warned:
            typer.secho(str(warning.message), err=True, dim=True)
    return predictor


def show_note(path: str, note: str) -> None:
    """One line on stderr, beside the image's row on stdout. With a progress bar, it scrolls above the bar."""
    from gmixer.rows.text import printable

    print(f"{printable(path)}: {note}", file=sys.stderr)


def _accuracy(name: str) -> str:
    """One line: which model answers, how good it is, and how to get the better one."""
    from gmixer.catalogue import EMBEDDED_MODEL, find_model
    from gmixer.weights.find import PREFERRED_MODEL

    small, large = (find_model(model)[2] for model in (EMBEDDED_MODEL, PREFERRED_MODEL))
    assert small is not None and large is not None  # both are rows of the table
    if name == PREFERRED_MODEL:
        return (
            f"{name} answers ({large.top1:.0f} % top-1 on ImageNet-1k); "
            f"the small built-in {EMBEDDED_MODEL} has {small.top1:.0f} % on tiny-ImageNet."
        )
    return (
        f"The small built-in {name} answers ({small.top1:.0f} % top-1 on tiny-ImageNet); "
        f"better, with {large.top1:.0f} % on ImageNet-1k: gmixer pull {PREFERRED_MODEL}"
    )


@contextmanager
def file_progress(inputs: Inputs, console: Console | None = None) -> Iterator[None]:
    """A progress bar on stderr for more than a handful of images.

    console: a terminal that also gets the rows. The rows then scroll above the bar.
    """
    from gmixer.rows.progress import progress_bar

    if console is None and not sys.stderr.isatty():  # no bar, so no walk through the folders for its total
        yield
        return
    if inputs.files is not None and inputs.files <= HANDFUL:
        yield
        return
    with progress_bar("files", inputs.files, console=console) as bar:
        inputs.on_progress = bar.update
        yield
