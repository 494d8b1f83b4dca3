"""gmixer train"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.options import Reading, Storage, WeightsSource
    from gmixer.train import Recipe

# The packages of the extra gmixer[train]
EXTRA_PACKAGES = ("torch", "torchvision", "tensorboard", "matplotlib", "jinja2", "pyarrow", "datasets")


@flags.shared_flags()
def train(
    *,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Labelled images: a folder of class folders, a CSV or Parquet file, WebDataset tars, or hf:org/name "
            "(docs/datasets.md). With --probe or --knn also the output of gmixer embed: then no image is read.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder. Default: runs/DATA-RECIPE.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help="The recipe: finetune, probe, scratch, distill_embedded, ra3_family_in1k, smoke, or a .toml file "
            "(docs/training.md). Default: finetune.",
        ),
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Fit only a linear head, on embeddings that are computed once. The same as --config probe."
        ),
    ] = False,
    knn: Annotated[
        int | None,
        typer.Option(
            "--knn",
            metavar="K",
            min=1,
            help="Train nothing: measure how well the K nearest rows tell the class. DATA is the output of gmixer "
            "embed. gmixer search finds the nearest rows of new images.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", help="The model to start from: a name, a folder or a file. Default: from the recipe."
        ),
    ] = None,
    scratch: Annotated[bool, typer.Option("--from-scratch", help="Start from random weights.")] = False,
    epochs: Annotated[
        float | None, typer.Option(help="Number of passes over the images. Default: from the recipe.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Images per step, of all processes together. Default: from the recipe.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="The highest learning rate. Default: from the recipe.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of every random choice. Default: from the recipe.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other setting of the recipe, such as model.drop_path=0.1. The flag may be repeated.",
        ),
    ] = None,
    val: Annotated[
        float | None,
        typer.Option(
            "--val",
            help="Share of the images for validation, if DATA names no split. Default: from the recipe, usually 0.2.",
        ),
    ] = None,
    val_folder: flags.ValFolder = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda. Default: a GPU, if this machine has one.")] = None,
    threads: flags.Threads = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that read and augment images. 0: read in the main process.")
    ] = 1,
    validate_every: Annotated[
        float, typer.Option(min=0, help="Epochs between two validations. 0: only at the end.")
    ] = 1.0,
    checkpoint_every: Annotated[float, typer.Option(min=0, help="Seconds between two checkpoints.")] = 300.0,
    weights: WeightsSource,
    reading: Reading,
    storage: Storage,
    debug: flags.Debug = False,
) -> None:
    """Train a model on your own images (needs pip install 'gmixer\\[train]').

    The result is a model folder for all commands, and for timm.
    The run's folder holds the resolved recipe, the progress (CSV, TensorBoard), a report page and the model.
    After an interruption, the same command continues the run, to the same weights.
    Under torchrun it uses several processes.

    On the output of gmixer embed, --probe fits the head to the stored vectors, for the model that computed them.

    Images that cannot be read are named, and left out of the training.

    Exit status: 0 the model is trained, also without some images, 2 the command could not run, 130 interrupted.
    """
    # Before torch is imported. Otherwise its waiting threads take the processors that make the next batches: measured
    # 12 images a second instead of 18, on two shared cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from gmixer.cli.opening import plain_warnings
    from gmixer.cli.terminal import own_stderr
    from gmixer.cli.watch import listener
    from gmixer.errors import Interrupted, require
    from gmixer.train import RunOptions

    if knn is not None:
        unused = {
            "--probe": probe,
            "--config": config,
            "--output": output,
            "--model": model,
            "--from-scratch": scratch,
            "--epochs": epochs,
            "--batch": batch,
            "--lr": lr,
            "--seed": seed,
            "--set": settings,
        }
        _show_neighbours(data, knn, val, val_folder, storage, [flag for flag, value in unused.items() if value])
        return
    if probe and config:
        raise typer.BadParameter("is the recipe `probe`; give --probe or --config, not both", param_hint="--probe")
    config = config or ("probe" if probe else "finetune")
    if model is None and config == "probe":
        with require("gmixer train", "train", EXTRA_PACKAGES):
            from gmixer.train.stored_rows import holds_embeddings

            model = "" if holds_embeddings(data) else None  # the model that computed them
    changes: dict[str, object] = {
        "model.name": model,
        "model.pretrained": False if scratch else None,
        "schedule.epochs": epochs,
        "schedule.batch_size": batch,
        "optimizer.lr": lr,
        "seed": seed,
        "data.val_fraction": val,
        "data.val_folder": val_folder,
    }
    recipe = _recipe(config, changes, settings or ())
    run_options = RunOptions(
        workers=workers, checkpoint_every_s=checkpoint_every, validate_every=validate_every, storage=storage
    )
    folder = output or Path("runs") / f"{_stem(data)}-{Path(config).stem}"
    try:
        with require("gmixer train", "train", EXTRA_PACKAGES):
            from gmixer.train import train as train_on

        with (
            require("gmixer train", "train", EXTRA_PACKAGES),
            own_stderr(),
            plain_warnings(),
            listener(is_shown=os.environ.get("RANK", "0") == "0") as watch,
        ):
            trained = train_on(
                data,
                recipe,
                folder,
                listener=watch,
                device=device,
                threads=threads,
                run_options=run_options,
                reading=reading,
                weights=weights,
            )
        watch.ends(trained)  # after the bar is gone, which would break long lines
    except Interrupted as stopped:
        typer.echo(f"gmixer: {stopped}", err=True)
        raise typer.Exit(128 + signal.SIGINT) from stopped


def _show_neighbours(
    data: str, k: int, val: float | None, val_folder: str | None, storage: Storage, unused: Sequence[str]
) -> None:
    """Measures the nearest neighbours, and prints their accuracy."""
    from gmixer.cli.class_table import show_classes
    from gmixer.errors import require
    from gmixer.rows.text import printable

    if unused:
        raise typer.BadParameter(f"trains nothing; leave out {', '.join(unused)}", param_hint="--knn")
    with require("gmixer train", "train", EXTRA_PACKAGES):
        from gmixer.train import measure_neighbours

        measured = measure_neighbours(
            data, k, val_fraction=0.2 if val is None else val, val_folder=val_folder, storage=storage
        )
    for note in measured.notes:
        typer.echo(printable(note), err=True)
    print(f"top-1  {measured.top1}")
    print(f"  by the {measured.k} nearest of {measured.learned:,} rows (cosine)")
    show_classes(measured.classes, measured.class_names, all_of_them=False)


def _recipe(config: str, changes: dict[str, object], settings: Sequence[str]) -> Recipe:
    """The recipe with the changes that flags (None: not given) and --set ask for."""
    from gmixer.train import read_recipe

    given = {name: value for name, value in changes.items() if value is not None}
    return read_recipe(config).changed(given | dict(_setting(text) for text in settings))


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, such as model.drop_path=0.1", param_hint="--set")
    return name.strip(), value.strip()


def _stem(data: str) -> str:
    """The data's own name, without characters that a file name cannot hold."""
    path = Path(data).resolve() if os.path.isdir(data) else Path(data)  # resolved, since "." has no name
    name = path.name.partition(".")[0]
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-") or "data"
