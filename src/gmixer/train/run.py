"""A run: data and a recipe → a folder with a model that classifies, and everything that tells how it came about."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gmixer.data import Preprocess
from gmixer.datasets import UNKNOWN, Pictures, described, open_split
from gmixer.errors import ImageError, InputError
from gmixer.evaluate import Judged
from gmixer.evaluate import outcomes as judge
from gmixer.models.saving import save_model
from gmixer.runtimes import Engine
from gmixer.runtimes.threads import check_threads, default_threads
from gmixer.train.distributed import processes_here, world
from gmixer.train.initial_model import Start, start
from gmixer.train.log import Watcher
from gmixer.train.probe import fit_probe
from gmixer.train.recipe import Pace, Recipe
from gmixer.train.run_dir import MODEL, claim
from gmixer.train.run_summary import Account
from gmixer.train.teacher import open_teacher


@dataclass(frozen=True)
class Trained:
    """folder: of the run; model_folder: what gmixer.load takes. judged: the validation part, by the model as saved.

    report: the page; None where it could not be written, and in all processes but the first.
    """

    folder: Path
    model_folder: Path
    judged: Judged
    class_names: Sequence[str] | None
    report: Path | None


def train(
    data: str | os.PathLike[str],
    recipe: Recipe,
    folder: str | os.PathLike[str],
    *,
    watcher: Watcher,
    device: str | None = None,
    threads: int | None = None,
    pace: Pace | None = None,
) -> Trained:
    """Trains by the recipe on the pictures at `data` (gmixer.datasets.open_split), or goes on where the folder's run
    stopped.

    device: "cpu", "cuda"; None: a GPU where there is one.
    threads: on the CPU, of each process; None: all that there are, shared among the run's processes.

    Raises InputError, WeightsError, UnknownModelError, EngineError (threads, device); Interrupted after a signal.
    """
    folder = Path(folder)
    if os.path.isdir(data) and folder.resolve().is_relative_to(Path(data).resolve()):
        raise InputError(
            f"{folder} lies in {os.fspath(data)}, of which it would become a part; wanted -o somewhere else"
        )
    torch.set_num_threads(check_threads(threads or max(default_threads() // processes_here(), 1)))
    parts = open_split(data, val_fraction=recipe.val_fraction)
    pictures, held_out = parts.train, parts.val
    for line in described(pictures, held_out):
        watcher.says(line)
    begun = start(recipe, pictures, held_out)
    watcher.says(begun.said)
    with world(device) as here:
        if recipe.way == "probe" and here.size > 1:
            raise InputError(f"a probe runs in one process, not in {here.size}: start it without torchrun")
        if here.first:
            claim(folder, recipe, train=pictures, val=held_out)
        if recipe.way == "probe":
            judged, unreadable = _probe(begun, recipe, pictures, held_out, watcher)
        else:
            from gmixer.train.loop import Trainer  # torchvision, which a probe does without, takes seconds to import

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
            judged = trainer.run()
            begun.model.load_state_dict(trainer.result.state_dict())
            unreadable = trainer.unreadable
        if here.first:
            save_model(begun.model, folder / MODEL, data=begun.data, class_names=begun.class_names)
    report = None
    if here.first:
        account = Account(recipe=recipe, start=begun, parts=parts, judged=judged, unreadable=unreadable, folder=folder)
        report = _tell(account, watcher)
    return Trained(folder, folder / MODEL, judged, begun.class_names, report)


def _probe(
    begun: Start, recipe: Recipe, train: Pictures, val: Pictures, watcher: Watcher
) -> tuple[Judged, dict[str, str]]:
    """The judgement, and the pictures that could not be read, each with why."""
    unreadable: list[ImageError] = []
    fit_probe(begun.model, begun.data, train, watcher, seed=recipe.seed, unreadable=unreadable)
    engine = Engine.from_torch(begun.model)

    labelled = np.flatnonzero(val.labels != UNKNOWN)
    judged, errors = judge(lambda x: engine.forward(x).logits, val, labelled, Preprocess(begun.data))
    for error in errors:
        watcher.says(f"left out, since it cannot be read: {error}")
    return judged, {error.source: error.reason for error in (*unreadable, *errors)}


def _tell(account: Account, watcher: Watcher) -> Path | None:
    """Model card, curves and report. The model is saved: whatever goes wrong here is told, and costs nothing else."""
    report = None
    try:
        from gmixer.train.card import write_card
        from gmixer.train.curves import write_curves
        from gmixer.train.report import write_report

        write_card(account)
        if account.recipe.way != "probe":  # which takes no steps
            write_curves(account.folder)
        report = write_report(account)
    except Exception as error:
        watcher.says(f"the model is saved, its report is not whole: {type(error).__name__}: {error}")
    return report
