"""A run: data and a recipe → a folder with a model that classifies, and everything that tells how it came about."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gmixer.data import Preprocess
from gmixer.datasets import UNKNOWN, LabeledImages, described, open_split
from gmixer.errors import ImageError, InputError
from gmixer.evaluate import Outcomes, score_images
from gmixer.models.saving import save_model
from gmixer.runtimes import Engine
from gmixer.runtimes.threads import check_threads, default_threads
from gmixer.train.distributed import processes_here, world
from gmixer.train.initial_model import InitialModel, start
from gmixer.train.log import Listener
from gmixer.train.probe import fit_probe
from gmixer.train.recipe import Recipe, RunOptions
from gmixer.train.run_dir import MODEL, bind_run_dir
from gmixer.train.run_summary import RunSummary
from gmixer.train.teacher import open_teacher


@dataclass(frozen=True)
class Trained:
    """folder: of the run; model_folder: what gmixer.load takes. outcomes: the validation part, by the model as saved.

    report: the page; None where it could not be written, and in all processes but the first.
    """

    folder: Path
    model_folder: Path
    outcomes: Outcomes
    class_names: Sequence[str] | None
    report: Path | None


def train(
    data: str | os.PathLike[str],
    recipe: Recipe,
    folder: str | os.PathLike[str],
    *,
    listener: Listener,
    device: str | None = None,
    threads: int | None = None,
    run_options: RunOptions | None = None,
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
        listener.message(line)
    begun = start(recipe, pictures, held_out)
    listener.message(begun.said)
    with world(device) as here:
        if recipe.method == "probe" and here.size > 1:
            raise InputError(f"a probe runs in one process, not in {here.size}: start it without torchrun")
        if here.first:
            bind_run_dir(folder, recipe, train=pictures, val=held_out)
        if recipe.method == "probe":
            outcomes, unreadable = _probe(begun, recipe, pictures, held_out, listener)
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
                listener=listener,
                run_options=run_options or RunOptions(),
                teacher=open_teacher(recipe.teacher, begun, here.device) if recipe.teacher else None,
            )
            outcomes = trainer.run()
            begun.model.load_state_dict(trainer.result.state_dict())
            unreadable = trainer.unreadable
        if here.first:
            save_model(begun.model, folder / MODEL, data=begun.data, class_names=begun.class_names)
    report = None
    if here.first:
        summary = RunSummary(
            recipe=recipe, start=begun, parts=parts, outcomes=outcomes, unreadable=unreadable, folder=folder
        )
        report = _tell(summary, listener)
    return Trained(folder, folder / MODEL, outcomes, begun.class_names, report)


def _probe(
    begun: InitialModel, recipe: Recipe, train: LabeledImages, val: LabeledImages, listener: Listener
) -> tuple[Outcomes, dict[str, str]]:
    """The judgement, and the pictures that could not be read, each with why."""
    unreadable: list[ImageError] = []
    fit_probe(begun.model, begun.data, train, listener, seed=recipe.seed, unreadable=unreadable)
    labelled = np.flatnonzero(val.labels != UNKNOWN)
    outcomes, errors = score_images(Engine.from_torch(begun.model), val, labelled, Preprocess(begun.data))
    for error in errors:
        listener.message(f"left out, since it cannot be read: {error}")
    return outcomes, {error.source: error.reason for error in (*unreadable, *errors)}


def _tell(summary: RunSummary, listener: Listener) -> Path | None:
    """Model card, curves and report. The model is saved: whatever goes wrong here is told, and costs nothing else."""
    report = None
    try:
        from gmixer.train.card import write_card
        from gmixer.train.curves import write_curves
        from gmixer.train.report import write_report

        write_card(summary)
        if summary.recipe.method != "probe":  # which takes no steps
            write_curves(summary.folder)
        report = write_report(summary)
    except Exception as error:
        listener.message(f"the model is saved, its report is not whole: {type(error).__name__}: {error}")
    return report
