"""gmixer pull"""

from __future__ import annotations

from typing import Annotated

import typer

from gmixer.cli import options


def pull(
    model: Annotated[
        str,
        typer.Argument(
            help="A pretrained model's name, or hf-hub:organization/model[@revision].",
            autocompletion=options.complete_model,
        ),
    ],
    debug: options.Debug = False,
) -> None:
    """Fetch a model's weights from the Hub, or bring them up to date, and compare their checksums with the Hub's.

    HF_TOKEN opens private repositories, HF_ENDPOINT names another Hub, HF_HUB_CACHE another cache.
    """
    from gmixer.catalogue import EMBEDDED_MODEL
    from gmixer.weights import pull

    checkpoint = pull(model)
    if checkpoint.name == EMBEDDED_MODEL:
        typer.echo(f"{checkpoint.name} is inside this package; there is nothing to fetch")
        return
    size_mib = checkpoint.path.stat().st_size / 2**20
    typer.echo(f"{checkpoint.name}: {size_mib:.1f} MiB, checked, in {checkpoint.path}")
