"""The second model of a comparison, for agreement and validate: its flag, and opening it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.options import Native, Torch, WeightsSource
    from gmixer.predictor import Predictor

AgainstModel = Annotated[
    str | None,
    typer.Option(
        "--against-model",
        metavar="MODEL",
        help="Compare with another model of the same network, transform and classes, such as the original of a "
        "converted folder. --against is then its precision. Default: the same model.",
        autocompletion=flags.complete_model,
    ),
]


def open_against(
    predictor: Predictor,
    model: str | None,
    weights: WeightsSource,
    runtime: Native | Torch,
    precision: str | None,
    image_px: int | None,
) -> Predictor:
    """The predictor to compare with. It runs where `runtime` says, but in this precision.

    model: None: the one of `predictor`. precision: None: what the weights of `model` are stored for.
    Raises what gmixer.load raises, and InputError if the two would be the same.
    """
    from dataclasses import replace

    from gmixer.cli.opening import open_model
    from gmixer.errors import InputError
    from gmixer.predictor import Predictor
    from gmixer.runtimes import open_runtime

    options = replace(runtime, precision=precision)  # type: ignore[arg-type] # the options check it
    if model is not None:
        other = open_model(model, replace(weights, name=None), predictor.preprocess.reading, options, image_px)
        if other.precision == predictor.precision and other.checkpoint.path.samefile(predictor.checkpoint.path):
            raise InputError(
                f"--against-model {model} is {predictor.name} itself, in {predictor.precision} too; wanted another "
                f"model, such as the original of a converted folder, or another --against"
            )
        return other
    if conversion := predictor.checkpoint.conversion:  # in bf16 too: its weights were rounded, also for fp32
        raise InputError(
            f"{predictor.name} holds weights in {conversion.precision}; compare it with the model that it was "
            f"converted from: pass --against-model {conversion.source}"
        )
    if precision == predictor.precision:
        raise InputError(
            f"{predictor.name} runs in {precision}, and --against is {precision} too; wanted two that differ: pass "
            f"another --precision, another --against, or --against-model"
        )
    return Predictor(predictor.checkpoint, open_runtime(predictor.checkpoint, options), predictor.preprocess)
