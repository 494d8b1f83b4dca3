"""gmixer pull"""

from __future__ import annotations

from typing import Annotated

import typer

from gmixer.cli import flags


def pull(
    model: Annotated[
        str,
        typer.Argument(
            help="A pretrained model's name, or hf-hub:organization/model\\[@revision].",
            autocompletion=flags.complete_model,
        ),
    ],
    debug: flags.Debug = False,
) -> None:
    """Fetch or update a model's weights from the Hub, and compare their checksums with the Hub's.

    Environment variables change how gmixer reaches the Hub:

    HF_TOKEN gives access to private repositories.
    HF_ENDPOINT names another Hub.
    HF_HUB_CACHE names another folder for the cache.
    HF_HUB_OFFLINE=1 forbids fetching.
    """
    from gmixer.catalogue import EMBEDDED_MODEL
    from gmixer.cli.opening import plain_warnings
    from gmixer.weights import pull

    with plain_warnings():
        checkpoint = pull(model)
    if checkpoint.name == EMBEDDED_MODEL:
        typer.echo(f"{checkpoint.name} is in this package; there is nothing to fetch")
        return
    size_mib = checkpoint.path.stat().st_size / 2**20
    typer.echo(f"{checkpoint.name}: {size_mib:.1f} MiB, checked, in {checkpoint.path}")
