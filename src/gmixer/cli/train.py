"""gmixer train"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from gmixer.cli import options

OF_A_PROBE = {"about", "way", "model", "pretrained", "num_classes", "seed", "val_fraction"}  # that change it
EXTRA = ("torch", "torchvision", "tensorboard", "matplotlib", "jinja2", "pyarrow", "datasets")  # of gmixer[train]


def train(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Pictures with labels: a folder of folders, a CSV or Parquet file, WebDataset tars, hf:org/name "
            "(docs/datasets.md).",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder; default: runs/DATA-RECIPE.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", help="finetune (the default), probe, scratch, … (docs/training.md), or a .toml file."),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Only a linear head, on embeddings computed once: --config probe.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="What to start from: a name, a folder; default: the recipe's.")
    ] = None,
    scratch: Annotated[bool, typer.Option("--from-scratch", help="Start from freshly drawn weights.")] = False,
    epochs: Annotated[float | None, typer.Option(help="How often each picture is seen.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="The highest learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random choice.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other line of the recipe; may be repeated."),
    ] = None,
    val: Annotated[
        float | None,
        typer.Option("--val", help="Share held out to measure on, where DATA has no part for it; default: 0.2."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: a GPU where there is one.")] = None,
    threads: options.Threads = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read and vary pictures; 0: none.")] = 1,
    validate_every: Annotated[
        float, typer.Option(min=0, help="Epochs between two looks at the validation part; 0: only at the end.")
    ] = 1.0,
    checkpoint_every: Annotated[float, typer.Option(min=0, help="Seconds between two checkpoints.")] = 300.0,
    debug: options.Debug = False,
) -> None:
    """Train a model on your own pictures (extra: train): a folder that classifies, embeds, and loads in timm.

    The run's folder gets the resolved recipe, the progress as CSV and for TensorBoard, a report page and the model. The
    same command goes on where it was stopped, to the same weights. Under torchrun it runs in several processes.

    Exit status: 0 trained, 2 the command could not run, 130 interrupted.
    """
    # Before torch is imported. Else its threads spin while they wait, on processors that make the next batches: 12
    # images a second where it is 18 now, on two cores that others used too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from gmixer.cli.terminal import own_stderr
    from gmixer.cli.watch import listener
    from gmixer.errors import Interrupted, require
    from gmixer.train import RunOptions, read_recipe

    if probe and config:
        raise typer.BadParameter("is a recipe of its own; wanted it, or --config, not both", param_hint="--probe")
    config = config or ("probe" if probe else "finetune")
    recipe = read_recipe(config)
    said = {"model": model, "epochs": epochs, "batch": batch, "lr": lr, "seed": seed, "val_fraction": val}
    changes: dict[str, object] = {name: value for name, value in said.items() if value is not None}
    if scratch:
        changes["pretrained"] = False
    changes |= dict(_setting(text) for text in settings or ())
    recipe = recipe.changed(changes)
    if recipe.method == "probe" and (idle := sorted(changes.keys() - OF_A_PROBE)):
        raise typer.BadParameter(f"a probe takes no steps, so {', '.join(idle)} would do nothing", param_hint="--probe")
    folder = output or Path("runs") / f"{_stem(data)}-{Path(config).stem}"
    try:
        with require("gmixer train", "train", EXTRA):
            from gmixer.train import train as train_on

        with (
            require("gmixer train", "train", EXTRA),
            own_stderr(),
            listener(speaks=os.environ.get("RANK", "0") == "0") as watch,
        ):
            trained = train_on(
                data,
                recipe,
                folder,
                listener=watch,
                device=device,
                threads=threads,
                run_options=RunOptions(
                    workers=workers, checkpoint_every_s=checkpoint_every, validate_every=validate_every
                ),
            )
        watch.ends(trained)  # without the bar, which would break long lines
    except Interrupted as stopped:
        typer.echo(f"gmixer: {stopped}", err=True)
        raise typer.Exit(128 + signal.SIGINT) from stopped


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, such as drop_path=0.1", param_hint="--set")
    return name.strip(), value.strip()


def _stem(data: str) -> str:
    """What to call the run: the data's own name, without what a file's name cannot hold."""
    path = Path(data).resolve() if os.path.isdir(data) else Path(data)  # "." has a name too
    name = path.name.partition(".")[0]
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-") or "data"
