"""gmixer convert"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.options import WeightsSource


class PrecisionChoice(StrEnum):
    int8 = "int8"
    bf16 = "bf16"


@flags.shared_flags()
def convert(
    *,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model name, hf-hub:organization/model, a folder or a .safetensors file.",
            autocompletion=flags.complete_model,
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="The folder to write. It must be new, or empty.")
    ],
    precision: Annotated[
        PrecisionChoice,
        typer.Option(
            "--precision",
            help="int8 runs on every CPU. bf16 is fast on CPUs with AVX512-BF16 or NEON's BF16, and runs in torch.",
        ),
    ],
    image_size: flags.ImageSize = None,
    weights: WeightsSource,
    debug: flags.Debug = False,
) -> None:
    """Store a model in int8 or bf16: a smaller file that starts and answers faster.

    The result is a model folder for all commands. They then run it in that precision.
    An int8 folder takes about a quarter of the size of float32, a bf16 folder about half.
    It gives the same answers, bit for bit, as the original with --precision.

    gmixer agreement measures on your own images how much these answers differ from fp32.

    Converting works on every CPU. Only gmixer reads int8 folders; timm reads bf16 folders too.

    Exit status: 0 the folder is written, 2 the command could not run.
    """
    from gmixer.cli.opening import plain_warnings
    from gmixer.rows.text import printable
    from gmixer.weights.convert import convert as convert_to
    from gmixer.weights.hub import WEIGHTS_FILE

    with plain_warnings():
        folder = convert_to(model, output, precision.value, weights, image_px=image_size)
    size_mib = (folder / WEIGHTS_FILE).stat().st_size / 2**20
    typer.echo(printable(f"{folder}: {size_mib:.1f} MiB in {precision.value}"))
