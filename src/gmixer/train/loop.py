"""The training loop: steps, validations and checkpoints, from the state of a run to its result."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np

from gmixer.datasets.labeled_images import Subset
from gmixer.errors import EngineError, InputError, Interrupted, words_of
from gmixer.evaluate import Outcomes
from gmixer.models.mixer import Mixer
from gmixer.train.checkpoint import load_checkpoint, save_checkpoint
from gmixer.train.feed import Feed
from gmixer.train.monitor import Monitor
from gmixer.train.order import Order, balanced
from gmixer.train.recipe import TrainRecipe
from gmixer.train.run_context import RunContext, TrainData
from gmixer.train.run_dir import CHECKPOINT
from gmixer.train.state import RunLength, TrainState
from gmixer.train.step import Stepper, StepResult, Teacher
from gmixer.train.stochastic_depth import give_drop_paths
from gmixer.train.stopping import stopping
from gmixer.train.targets import Targets
from gmixer.train.validation import validate


class Trainer:
    """A run over the weights of a model. `resume` continues from the checkpoint; `run` trains to the end."""

    def __init__(
        self, model: Mixer, recipe: TrainRecipe, data: TrainData, context: RunContext, *, teacher: Teacher | None = None
    ) -> None:
        """Raises InputError: no image to learn from, or a batch that the processes cannot share."""
        world = context.world
        _check_batch(recipe, world.size)
        targets = Targets(
            model.num_classes, smoothing=recipe.loss.label_smoothing, teacher_share=recipe.loss.teacher_share
        )
        usable = targets.usable(data.train) if not teacher else np.arange(len(data.train))
        if not len(usable):
            raise InputError(f"{data.train.source} has no image with a label or a teacher's answer to learn from")
        self.recipe, self.data, self.context = recipe, data, context
        self.length = RunLength.of(recipe, len(usable))

        model = model.to(world.device)
        drop_paths = give_drop_paths(model, recipe.model.drop_path)
        model.set_grad_checkpointing(recipe.compute.grad_checkpointing)
        self.state = TrainState(model, recipe, self.length, world.device)
        self.first_step = 0  # of this process: a resumed run begins later
        self.stepper = Stepper(self.state, recipe, world, drop_paths=drop_paths, teacher=teacher)
        draws = balanced(data.train.labels[usable], recipe.data.balance)
        self.feed = Feed(
            images=Subset(data.train, usable),
            recipe=recipe,
            config=data.config,
            reading=data.reading,
            targets=targets,
            order=Order(len(usable), recipe.schedule.batch_size, recipe.seed, draws),
            steps=self.length.steps,
            blocks=len(model.blocks),
            world=world,
        )

    @property
    def checkpoint(self) -> Path:
        return self.context.folder / CHECKPOINT

    def resume(self) -> None:
        """Continues from the checkpoint of the folder, where there is one. Raises InputError for a damaged one."""
        world = self.context.world
        saved = world.of_first(load_checkpoint(self.checkpoint) if world.first else None)
        if saved is not None:
            self.state.load_state_dict(saved)

    def run(self) -> Outcomes:
        """Trains to the end → the outcomes of the result on the validation part.

        Raises Interrupted on SIGINT and SIGTERM, InputError where the run diverged or no image could be read.
        """
        monitor = Monitor(self.context, self.state, self.length, self.recipe.schedule.batch_size)
        try:
            outcomes = self._train(monitor)
            self._save()  # before the validation, which a user may interrupt
            known = len(self.state.unreadable)
            outcomes = outcomes or self._validate(monitor)
            monitor.count_notes()
            if len(self.state.unreadable) > known:
                self._save()
            return outcomes
        finally:
            monitor.close()

    def _train(self, monitor: Monitor) -> Outcomes | None:
        """All steps that are left → the outcomes of the last one, where it was validated."""
        state, options, steps = self.state, self.context.options, self.length.steps
        self.first_step, learned = state.step, 0.0  # learned: images, as often as they were used
        batches = self.feed.batches(first_step=self.first_step, last_step=steps, workers=options.workers)
        outcomes: Outcomes | None = None
        saved_at = time.monotonic()
        with stopping() as signals:
            while state.step < steps:
                result = self.stepper.step(batches, signals)
                monitor.unreadable(result.unreadable)
                monitor.notes(result.notes)
                self._check_loss(result)
                monitor.add(result.sums)
                learned += float(result.sums[2])
                outcomes = None
                validates = self._validation_is_due() and state.step < steps
                saves = result.stop or time.monotonic() - saved_at > options.checkpoint_every_s
                if monitor.is_due or validates or saves or state.step == steps:
                    monitor.progress()
                if validates:
                    outcomes = self._validate(monitor)
                    monitor.restart_clock()
                if saves:
                    self._save()
                    saved_at = time.monotonic()
                if result.stop:
                    raise Interrupted(f"stopped after step {state.step} of {steps}; the same command continues the run")
        if state.step > self.first_step and not learned:
            raise InputError(
                f"none of the images of {self.feed.images.source} could be read: the model learned nothing"
            )
        return outcomes

    def _validation_is_due(self) -> bool:
        """Whether the last step completed another `validate_every` epochs."""
        if not self.context.options.validate_every:
            return False
        every, step = self.context.options.validate_every * self.length.steps_per_epoch, self.state.step
        return math.floor(step / every) > math.floor((step - 1) / every)

    def _validate(self, monitor: Monitor) -> Outcomes:
        try:
            outcomes, errors, notes = validate(self.state.result, self.data, self.context.world)
        except EngineError as error:  # finite weights may be too large
            raise self._diverged("the answers of the network are not finite") from error
        monitor.unreadable(errors)
        monitor.notes(notes)
        monitor.validation(outcomes)
        return outcomes

    def _save(self) -> None:
        """On a full disk this checkpoint is lost; the run continues, and the last checkpoint stays.

        Raises InputError where the weights are not finite: a run could not continue from such a checkpoint.
        """
        self._check_weights()
        if not self.context.world.first:
            return
        try:
            save_checkpoint(self.checkpoint, self.state.state_dict())
        except OSError as error:
            why = words_of(error, "the disk refused it")
            self.context.listener.message(f"this checkpoint could not be written, the one before it stays: {why}")

    def _check_loss(self, result: StepResult) -> None:
        if not result.sums[0].isfinite():
            raise self._diverged(f"the loss is {float(result.sums[0])}")

    def _check_weights(self) -> None:
        """The weights that the last step made have not been in any loss. The averaged ones follow them."""
        for model in {self.state.model, self.state.result}:
            if not all(bool(p.isfinite().all()) for p in model.parameters()):
                raise self._diverged("some weights are not finite")

    def _diverged(self, what: str) -> InputError:
        way_out = (
            "the run diverged; start again in another folder, with a smaller optimizer.lr, a longer "
            "schedule.warmup_epochs or optimizer.clip_norm"
        )
        if self.recipe.compute.compile and self.state.step == self.first_step + 1:
            way_out = (
                "torch may compile this network wrongly for this machine; start again in another folder, with "
                "compute.compile=false. If the loss is still not finite, the run diverged: take a smaller optimizer.lr"
            )
        return InputError(f"{what} at step {self.state.step}: {way_out}")


def _check_batch(recipe: TrainRecipe, processes: int) -> None:
    batch, parts, mixes = recipe.schedule.batch_size, recipe.compute.accumulate, recipe.augment.mixes
    if batch % (parts * processes * (2 if mixes else 1)):
        raise InputError(
            f"a batch of {batch} in {parts} parts cannot be shared by {processes} processes in "
            f"{'pairs' if mixes else 'equal shares'}; change schedule.batch_size"
        )
