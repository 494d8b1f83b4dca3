"""A run: data and a recipe → a folder with a model that classifies, its progress, and a report.

B rows of a block, C channels of an embedding, K classes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from gmixer.datasets import UNKNOWN, Split, described, open_split
from gmixer.datasets.run_data import MODEL
from gmixer.errors import ImageError, InputError, words_of
from gmixer.evaluate import Outcomes, Scored, score_images
from gmixer.evaluate.noted_images import in_words
from gmixer.evaluate.outcomes import score_batch
from gmixer.models.mixer import Mixer
from gmixer.models.saving import save_model
from gmixer.options import Reading, Storage, WeightsSource
from gmixer.runtimes import Engine
from gmixer.runtimes.threads import check_threads, default_threads
from gmixer.train.distributed import processes_here, world
from gmixer.train.head_phase import train_head
from gmixer.train.initial_model import InitialModel, make_initial_model
from gmixer.train.log import Listener
from gmixer.train.probe import fit_probe, set_head
from gmixer.train.recipe import ProbeRecipe, Recipe, TrainRecipe
from gmixer.train.run_context import RunContext, TrainData
from gmixer.train.run_dir import bind_run_dir
from gmixer.train.run_lock import alone_in
from gmixer.train.run_options import RunOptions
from gmixer.train.run_summary import RunSummary
from gmixer.train.stored_model import checkpoint_of, notes_on, reading_of
from gmixer.train.stored_rows import StoredRows, StoredSplit, holds_embeddings, open_rows
from gmixer.train.teacher import open_teacher
from gmixer.weights import Checkpoint

SCORED = 1_024  # stored embeddings at a time


@dataclass(frozen=True)
class Trained:
    """folder: of the run. model_folder: for gmixer.load. outcomes: the validation part, by the model as saved.

    unreadable: the images that could not be read, of both parts: name → reason.
    report: the page; None where it could not be written, and in all processes but the first.
    """

    folder: Path
    model_folder: Path
    outcomes: Outcomes
    unreadable: Mapping[str, str]
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
    run_options: RunOptions = RunOptions(),
    reading: Reading = Reading(),
    weights: WeightsSource = WeightsSource(fetch=True),
) -> Trained:
    """Trains by the recipe on the images at `data` (gmixer.datasets.open_split), or continues the folder's run.

    data may also be the output of `gmixer embed`: a probe then reads no image. The model is that of the embeddings;
    recipe.model.name says where its weights are, or is "" for the name in the stamp.
    device: "cpu", "cuda"; None: a GPU where there is one.
    threads: on the CPU, of each process; None: all available threads, shared among the run's processes.
    reading: how images are read and decoded. It belongs to the run, as the recipe does.
    weights: where the weights of the model to start from may come from.

    Raises InputError, WeightsError, UnknownModelError, EngineError (threads, device); Interrupted after a signal.
    """
    folder = Path(folder)
    if os.path.isdir(data) and folder.resolve().is_relative_to(Path(data).resolve()):
        raise InputError(f"{folder} lies inside the data, {os.fspath(data)}; choose another folder (-o)")
    torch.set_num_threads(check_threads(threads or max(default_threads() // processes_here(), 1)))
    parts, recipe, reading, checkpoint = _opened(data, recipe, reading, weights, run_options.storage)
    for line in described(
        parts.train, parts.val, num_classes=recipe.model.num_classes or None, val_called=parts.val_called
    ):
        listener.message(line)
    initial = make_initial_model(recipe, parts.train, parts.val, weights, checkpoint)
    listener.message(initial.description)
    images = TrainData(train=parts.train, val=parts.val, config=initial.data, reading=reading)
    with world(device) as here, ExitStack() as held:
        if isinstance(recipe, ProbeRecipe) and here.size > 1:
            raise InputError(f"a probe runs in one process, not in {here.size}: start it without torchrun")
        if here.first:
            held.enter_context(alone_in(folder))
            bind_run_dir(folder, recipe, train=parts.train, val=parts.val, reading=reading)
        context = RunContext(folder=folder, world=here, listener=listener, options=run_options)
        if isinstance(recipe, TrainRecipe):
            outcomes, unreadable = _train_weights(initial, recipe, images, context, weights)
        elif isinstance(parts, StoredSplit):
            outcomes, unreadable = _fit_on_stored(initial, recipe, parts, listener)
        else:
            outcomes, unreadable = _fit_head(initial, recipe, images, listener)
        if here.first:
            save_model(initial.model, folder / MODEL, data=initial.data, class_names=initial.class_names)
    report = None
    if here.first:
        summary = RunSummary(
            recipe=recipe,
            initial=initial,
            parts=parts,
            outcomes=outcomes,
            unreadable=unreadable,
            folder=folder,
            reading=reading,
        )
        report = _write_summary(summary, listener)
    return Trained(folder, folder / MODEL, outcomes, unreadable, initial.class_names, report)


class _Opened(NamedTuple):
    """recipe, reading: of the run. checkpoint: of the model that computed stored embeddings; None for images."""

    parts: Split
    recipe: Recipe
    reading: Reading
    checkpoint: Checkpoint | None


def _opened(
    data: str | os.PathLike[str], recipe: Recipe, reading: Reading, weights: WeightsSource, storage: Storage
) -> _Opened:
    num_classes, val_folder = recipe.model.num_classes or None, recipe.data.val_folder or None
    if not holds_embeddings(data):
        parts = open_split(
            data, reading, val_fraction=recipe.data.val_fraction, num_classes=num_classes, val_folder=val_folder
        )
        return _Opened(parts, recipe, reading, None)
    from gmixer.bulk.stored import open_stored  # pyarrow

    stored = open_stored(data, storage)
    if not isinstance(recipe, ProbeRecipe) or not recipe.model.pretrained:
        raise InputError(
            f"{stored.place} holds stored embeddings, on which only a head can be fitted (--probe), and only for the "
            "model that computed them; to train weights, pass the images themselves"
        )
    reading = reading_of(stored.stamp, reading)
    checkpoint = checkpoint_of(stored.stamp, recipe.model.name, weights)
    recipe = recipe.changed({"model.name": recipe.model.name or checkpoint.name})
    rows = open_rows(stored, val_fraction=recipe.data.val_fraction, num_classes=num_classes, val_folder=val_folder)
    return _Opened(rows, recipe, reading, checkpoint)


def _train_weights(
    initial: InitialModel, recipe: TrainRecipe, data: TrainData, context: RunContext, weights: WeightsSource
) -> tuple[Outcomes, dict[str, str]]:
    """Changes the model's weights → the outcomes, and the images that could not be read: name → reason."""
    from gmixer.train.loop import Trainer  # imports torchvision, which takes seconds, and which a probe does not need

    teacher = None
    if recipe.loss.teacher:
        teacher = open_teacher(recipe.loss.teacher, initial, context.world.device, weights)
    trainer = Trainer(initial.model, recipe, data, context, teacher=teacher)
    trainer.resume()
    outcomes, unreadable = trainer.run(), trainer.state.unreadable
    initial.model.load_state_dict(trainer.state.result.state_dict())
    if recipe.head.epochs and context.world.first:
        errors = train_head(initial.model, recipe, data, context.listener)  # its notes were told during the run
        outcomes, of_val, _ = _score(initial.model, data)
        unreadable = unreadable | _told([e for e in (*errors, *of_val) if e.source not in unreadable], context.listener)
    return outcomes, unreadable


def _fit_head(
    initial: InitialModel, recipe: ProbeRecipe, data: TrainData, listener: Listener
) -> tuple[Outcomes, dict[str, str]]:
    """Changes the model's head → the outcomes, and the images that could not be read: name → reason."""
    trained = fit_probe(initial.model, data.preprocess(), data.train, listener, seed=recipe.seed)
    outcomes, unreadable, notes = _score(initial.model, data)
    for line in in_words(trained.notes | notes):
        listener.message(line)
    return outcomes, _told([*trained.unreadable, *unreadable], listener)


def _fit_on_stored(
    initial: InitialModel, recipe: ProbeRecipe, rows: StoredSplit, listener: Listener
) -> tuple[Outcomes, dict[str, str]]:
    """The same on stored embeddings: no image is read."""
    for line in notes_on(rows.train.stamp):
        listener.message(line)
    known = rows.train.take(np.flatnonzero(rows.train.labels != UNKNOWN))
    set_head(initial.model, known.features_NC, known.labels, source=known.source, seed=recipe.seed)
    return _score_rows(initial.model, rows.val), dict(rows.train.unreadable)


@torch.inference_mode()
def _score_rows(model: Mixer, rows: StoredRows) -> Outcomes:
    known = np.flatnonzero(rows.labels != UNKNOWN)
    blocks = [known[begin : begin + SCORED] for begin in range(0, len(known), SCORED)]
    assert model.head is not None
    scored = [
        score_batch(
            rows_B.tolist(),
            model.head(torch.from_numpy(rows.features_NC[rows_B])).numpy(),
            [[label] for label in rows.labels[rows_B].tolist()],
        )
        for rows_B in blocks
    ]
    return Outcomes.joined(scored) if scored else Outcomes.empty()


def _score(model: Mixer, data: TrainData) -> Scored:
    """The outcomes of the validation part on the native engine, with the errors and the notes of its images."""
    labelled = np.flatnonzero(data.val.labels != UNKNOWN)
    (scored,) = score_images([Engine.from_torch(model)], data.val, labelled, data.preprocess())
    return scored


def _told(errors: Sequence[ImageError], listener: Listener) -> dict[str, str]:
    """Tells the listener each error → image name → reason."""
    for error in errors:
        listener.message(f"left out, since it cannot be read: {error}")
    return {error.source: error.reason for error in errors}


def _write_summary(summary: RunSummary, listener: Listener) -> Path | None:
    """Model card, curves and report. The model is saved already: an error here becomes a message."""
    report = None
    try:
        from gmixer.train.card import write_card
        from gmixer.train.curves import write_curves
        from gmixer.train.report import write_report

        write_card(summary)
        if isinstance(summary.recipe, TrainRecipe):  # a probe takes no steps
            write_curves(summary.folder)
        report = write_report(summary)
    except Exception as error:
        listener.message(f"the model is saved, but its report is incomplete: {words_of(error, type(error).__name__)}")
    return report
