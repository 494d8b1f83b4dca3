"""The options that subcommands share, and the model they open."""

from __future__ import annotations

import warnings
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gmixer.predictor import Predictor

AUTO = "auto"
_debug = False


def _remember_debug(wanted: bool) -> bool:
    global _debug
    _debug = _debug or wanted
    return wanted


def debug_wanted() -> bool:
    return _debug


def complete_model(incomplete: str) -> list[str]:
    from gmixer.config import model_names

    return [name for name in model_names() if name.startswith(incomplete)]


def complete_model_or_auto(incomplete: str) -> list[str]:
    return [name for name in (AUTO,) if name.startswith(incomplete)] + complete_model(incomplete)


class Orientation(StrEnum):
    apply = "apply"
    ignore = "ignore"


Paths = Annotated[
    list[str],
    typer.Argument(
        help="Pictures, folders of pictures (searched through and through), tar or zip archives of pictures or one of "
        "their members (photos.tar::cat.jpg), http and https URLs, or - for one picture on stdin."
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A model name or hf-hub:organization/model (fetched at its first use), a folder with config.json and "
        "model.safetensors, or a .safetensors file; auto: the best that is on this machine.",
        autocompletion=complete_model_or_auto,
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        min=1,
        help="Side in pixels that the model sees, a multiple of its patch; default: what it was trained on, "
        "from which other sizes move the answers (docs/image-size.md).",
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads to compute with; default: all this process may use.")]
Orient = Annotated[
    Orientation, typer.Option("--orientation", help="Turn pictures as their EXIF says, or ignore it, as timm does.")
]
Isolate = Annotated[
    bool,
    typer.Option(
        "--isolate",
        help="Decode in a process of its own, so that a file made to crash or hang it costs only its own row.",
    ),
]
FastDecode = Annotated[
    bool,
    typer.Option(
        "--fast-decode",
        help="Decode large JPEGs at a half, a quarter or an eighth of their size: faster, and the answers move a "
        "little (docs/pictures.md).",
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", help="Which pretrained model a bare .safetensors file is, where its shape fits several."),
]
AllowPickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Let the model be a .pth file: a pickle, so only from whom you trust."),
]
Debug = Annotated[bool, typer.Option("--debug", callback=_remember_debug, help="Show the traceback of an error.")]


def open_predictor(
    model: str,
    *,
    name: str | None,
    image_size: int | None,
    threads: int | None,
    orientation: Orientation,
    allow_pickle: bool,
    isolate: bool,
    fast_decode: bool,
    chatty: bool,
    allow_urls: bool = False,
) -> Predictor:
    """Loads the model. chatty: say on stderr which one `auto` took and how good it is, and what loading warns of.

    allow_urls: fetch what a URL among the paths leads to.
    Raises InputError for a model that takes neither grey nor RGB pictures.
    """
    from gmixer.errors import InputError
    from gmixer.loading import load
    from gmixer.weights import preferred_model

    source = preferred_model() if model == AUTO else model
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        predictor = load(
            source,
            name=name,
            image_px=image_size,
            threads=threads,
            orientation=orientation.value,
            allow_pickle=allow_pickle,
            allow_urls=allow_urls,
            isolate=isolate,
            fast_decode=fast_decode,
        )
    if predictor.model.in_chans not in (1, 3):
        raise InputError(
            f"{predictor.name} takes {predictor.model.in_chans} channels; picture files have 1 or 3: in Python, pass "
            f"uint8 arrays (height, width, {predictor.model.in_chans}) to gmixer.load(...)"
        )
    if not chatty:
        return predictor
    for warning in warned:
        typer.secho(str(warning.message), err=True, dim=True)
    if model == AUTO:
        typer.secho(_taken(predictor.name), err=True, dim=True)
    return predictor


def _taken(name: str) -> str:
    """One line: which model answers, how good both are, and the way to the better one."""
    from gmixer.config import EMBEDDED_MODEL, find_model
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
