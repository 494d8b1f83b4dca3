"""A run: data and a recipe → a folder with a model that classifies, and everything that tells how it came about.

recipe.toml         the resolved recipe
train.csv, val.csv  the progress; tensorboard/ the same
checkpoint/last.pt  where the run goes on
model/              config.json, model.safetensors, README.md: what every command of gmixer, and timm, takes
report.html         accuracy, curves, confusion, the worst mistakes; curves.png
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gmixer.data import Preprocess
from gmixer.datasets import UNKNOWN, Pictures, open_split
from gmixer.engine import Engine
from gmixer.engine.threads import default_threads
from gmixer.errors import InputError
from gmixer.evaluate import Judged, judge
from gmixer.models.saving import save_model
from gmixer.train.distributed import World, processes_here, world
from gmixer.train.log import Watcher
from gmixer.train.loop import Pace, Trainer
from gmixer.train.probe import fit_probe
from gmixer.train.recipe import Recipe
from gmixer.train.start import Start, start
from gmixer.train.teacher import open_teacher


@dataclass(frozen=True)
class Trained:
    """folder: of the run; model_folder: what gmixer.load takes. judged: the validation part, by the model as saved."""

    folder: Path
    model_folder: Path
    judged: Judged
    class_names: Sequence[str] | None


def train(
    data: str | os.PathLike[str],
    recipe: Recipe,
    folder: str | os.PathLike[str],
    *,
    watcher: Watcher,
    val_fraction: float = 0.2,
    device: str | None = None,
    threads: int | None = None,
    pace: Pace | None = None,
) -> Trained:
    """Trains by the recipe on the pictures at `data` (gmixer.datasets.open_split), or goes on where the folder's run
    stopped.

    val_fraction: how much is kept for validation, where the data has no part for it.
    device: "cpu", "cuda"; None: a GPU where there is one.
    threads: on the CPU, of each process; None: all that there are, shared among the run's processes.

    Raises InputError, WeightsError, UnknownModelError; Interrupted where a signal stopped it.
    """
    torch.set_num_threads(threads or max(default_threads() // processes_here(), 1))
    parts = open_split(data, val_fraction=val_fraction)
    pictures, held_out = parts.train, parts.val
    begun = start(recipe, pictures)
    folder = Path(folder)
    with world(device) as here:
        if recipe.way == "probe":
            judged = _probe(begun, recipe, pictures, held_out, folder, here, watcher)
        else:
            trainer = Trainer(
                begun.model,
                recipe,
                begun.data,
                train=pictures,
                val=held_out,
                folder=folder,
                world=here,
                watcher=watcher,
                pace=pace or Pace(),
                teacher=open_teacher(recipe.teacher, begun, here.device) if recipe.teacher else None,
            )
            _write_recipe(folder, recipe, here)
            judged = trainer.run()
            begun.model.load_state_dict(trainer.result.state_dict())
        if here.first:
            save_model(begun.model, folder / "model", data=begun.data, class_names=begun.class_names)
    return Trained(folder, folder / "model", judged, begun.class_names)


def _probe(
    begun: Start, recipe: Recipe, train: Pictures, val: Pictures, folder: Path, here: World, watcher: Watcher
) -> Judged:
    if here.size > 1:
        raise InputError(f"a probe runs in one process, not in {here.size}: start it without torchrun")
    _write_recipe(folder, recipe, here)
    fit_probe(begun.model, begun.data, train, watcher, seed=recipe.seed)
    engine = Engine.from_torch(begun.model)

    labelled = np.flatnonzero(val.labels != UNKNOWN)
    judged, unreadable = judge(lambda x: engine.forward(x).logits, val, labelled, Preprocess(begun.data))
    for error in unreadable:
        watcher.says(f"left out, since it cannot be read: {error}")
    return judged


def _write_recipe(folder: Path, recipe: Recipe, here: World) -> None:
    if here.first:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
