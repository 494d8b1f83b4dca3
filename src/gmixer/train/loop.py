"""The training loop: batches in, weights out, and everything that it knows in one checkpoint.

B pictures of a batch, K classes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from gmixer.config import DataConfig
from gmixer.data import Preprocess
from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages, Subset
from gmixer.errors import ImageError, InputError, Interrupted
from gmixer.evaluate import Outcomes, score_images, top
from gmixer.models.mixer import Mixer
from gmixer.train.checkpoint import load_checkpoint, save_checkpoint
from gmixer.train.distributed import World
from gmixer.train.ema import averaged
from gmixer.train.feed import Batch, Feed
from gmixer.train.log import Listener, Log, Progress, Validation, Window
from gmixer.train.loss import losses, taught_losses
from gmixer.train.optimize import freeze, optimizers, schedulers
from gmixer.train.order import Order, balanced
from gmixer.train.recipe import Recipe, RunOptions
from gmixer.train.run_dir import CHECKPOINT
from gmixer.train.stochastic_depth import give_drop_paths, give_numbers
from gmixer.train.stopping import stopping
from gmixer.train.targets import Targets
from gmixer.train.validation import ModelInTraining

PROGRESS_EVERY_S = 5.0
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Trainer:
    """A run over the weights of `model`. `run` trains it to the end, from its checkpoint where there is one."""

    def __init__(
        self,
        model: Mixer,
        recipe: Recipe,
        data: DataConfig,
        *,
        train: LabeledImages,
        val: LabeledImages,
        folder: Path,
        world: World,
        listener: Listener,
        run_options: RunOptions,
        teacher: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """folder: the run's own, claimed (folder.py); its checkpoint is where the run goes on.
        teacher: normalised pictures as the model sees them (B, C, S, S) → logits (B, K), without gradients.

        Raises InputError: no picture to learn from, a batch that the processes cannot share, a damaged checkpoint.
        """
        if recipe.batch % (recipe.accumulate * world.size * (2 if recipe.mixes else 1)):
            raise InputError(
                f"a batch of {recipe.batch} in {recipe.accumulate} parts cannot be shared by {world.size} processes in "
                f"{'pairs' if recipe.mixes else 'equal shares'}; change batch"
            )
        targets = Targets(model.num_classes, smoothing=recipe.smoothing, teacher_share=recipe.teacher_share)
        usable = targets.usable(train) if not teacher else np.arange(len(train))
        if not len(usable):
            raise InputError(f"{train.source} has no picture with a label or a teacher's answer to learn from")
        self.recipe, self.data, self.val = recipe, data, val
        self.folder, self.world, self.listener, self.run_options, self.teacher = (
            folder,
            world,
            listener,
            run_options,
            teacher,
        )
        self.steps_an_epoch = len(usable) / recipe.batch
        self.steps = max(math.ceil(recipe.epochs * self.steps_an_epoch), 1)

        self.model = model.to(world.device)
        self.paths = give_drop_paths(model, recipe.drop_path)
        freeze(model, recipe.frozen_blocks)
        model.set_grad_checkpointing(recipe.grad_checkpointing)
        self.averaged = averaged(model, recipe.ema) if recipe.ema else None
        self.optimizers = optimizers(model, recipe)
        self.schedulers = schedulers(self.optimizers, recipe, steps=self.steps, steps_an_epoch=self.steps_an_epoch)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=recipe.precision == "fp16")
        computed: nn.Module = world.wrapped(model)
        self.computed: nn.Module = torch.compile(computed) if recipe.compile else computed  # type: ignore[assignment]
        self.feed = Feed(
            pictures=Subset(train, usable),
            recipe=recipe,
            data=data,
            targets=targets,
            order=Order(len(usable), recipe.batch, recipe.seed, balanced(train.labels[usable], recipe.balance)),
            steps=self.steps,
            blocks=len(model.blocks),
            rank=world.rank,
            world=world.size,
        )
        self.step = 0
        self._stop = False  # somebody asked for it
        self.unreadable: dict[str, str] = {}  # name → why; each once
        self._resume()

    @property
    def result(self) -> Mixer:
        """The weights that the run is for: the averaged ones, where there are any."""
        module = self.averaged.module if self.averaged is not None else self.model
        assert isinstance(module, Mixer)
        return module

    def run(self) -> Outcomes:
        """To the end; the judgement of the result on the validation part. Raises Interrupted on SIGINT and SIGTERM."""
        log = Log(self.folder, from_step=self.step) if self.world.first else None
        self.listener.begins(step=self.step, steps=self.steps)
        batches = self.feed.batches(first_step=self.step, last_step=self.steps, workers=self.run_options.workers)
        window, begin, learnt = Window(), self.step, 0.0  # pictures, as often as they came
        outcomes: Outcomes | None = None
        saved_at = time.monotonic()
        try:
            with stopping() as asked:
                while self.step < self.steps:
                    sums = self._step(batches, asked)
                    window.add(sums)
                    learnt += float(sums[2])
                    outcomes = None
                    validates = self._validation_is_due() and self.step < self.steps
                    saves = self._stop or time.monotonic() - saved_at > self.run_options.checkpoint_every_s
                    if window.seconds > PROGRESS_EVERY_S or validates or saves or self.step == self.steps:
                        self._tell(log, self._progress(window))
                        window = Window()
                    if validates:
                        outcomes = self._validate(log)
                        window = Window()
                    if saves:
                        self._save()
                        saved_at = time.monotonic()
                    if self._stop:
                        raise Interrupted(
                            f"stopped after step {self.step} of {self.steps}; the same command goes on from there"
                        )
            if self.step > begin and not learnt:
                raise InputError(
                    f"none of the pictures of {self.feed.pictures.source} could be read: nothing was learnt"
                )
            self._check_weights()
            self._save()  # before the validation, which somebody may not wait for
            unreadable = len(self.unreadable)
            outcomes = outcomes or self._validate(log)
            if len(self.unreadable) > unreadable:
                self._save()
            return outcomes
        finally:
            if log:
                log.close()

    def _step(self, batches: Iterator[Batch], asked: list[int]) -> Tensor:
        """One step of the optimizers → the sums (loss, right, weight) of all processes. asked: signals that came."""
        self.computed.train()
        sums = torch.zeros(5, dtype=torch.float64, device=self.world.device)
        unreadable: list[ImageError] = []
        for part in range(self.recipe.accumulate):
            batch = next(batches)
            unreadable += batch.unreadable
            batch = batch.to(self.world.device)
            last = part == self.recipe.accumulate - 1
            with _no_sync(self.computed, wanted=self.world.size > 1 and not last):
                sums[:3] += self._backward(batch)
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        sound = True
        if self.recipe.clip_norm or self.scaler.is_enabled():
            norm = clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm or math.inf)
            # The scaler looks at each optimizer's own gradients; the norm, and so the clipping, is of all.
            sound = not self.scaler.is_enabled() or bool(norm.isfinite())
        for optimizer, scheduler in zip(self.optimizers, self.schedulers, strict=True):
            if sound:
                self.scaler.step(optimizer)
                scheduler.step()  # torch wants a step of the optimizer before it
            optimizer.zero_grad(set_to_none=True)
        self.scaler.update()
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        self.step += 1
        sums[3], sums[4] = len(asked), len(unreadable)
        summed = self.world.summed(sums).cpu()
        self._stop = bool(summed[3])
        if summed[4]:
            self._note([error for of_one in self.world.gathered(unreadable) for error in of_one])
        if not torch.isfinite(summed[0]):
            raise self._diverged(f"the loss is {float(summed[0])}")
        return summed[:3]

    def _check_weights(self) -> None:
        """Those that the last step made have been through no loss."""
        if not all(bool(p.isfinite().all()) for p in self.result.parameters()):
            raise self._diverged("some weights are not finite")

    def _diverged(self, what: str) -> InputError:
        return InputError(
            f"{what} at step {self.step}: the run diverged; start anew with a smaller lr, a longer warm-up or clip_norm"
        )

    def _backward(self, batch: Batch) -> Tensor:
        """Gradients of a part of the batch, added → (loss, right, weight), each summed over its pictures."""
        give_numbers(self.paths, batch.depth_BL2)
        recipe = self.recipe
        with torch.autocast(self.world.device.type, _DTYPES[recipe.precision], enabled=recipe.precision != "fp32"):
            logits_BK = self.computed(batch.x_BCSS)
        if self.teacher is None:
            loss_B = losses(recipe.loss, logits_BK, batch.target_BK)
        else:
            teacher_BK = self.teacher(batch.x_BCSS)
            share, temperature = recipe.teacher_share, recipe.temperature
            loss_B = taught_losses(recipe.loss, logits_BK, batch.target_BK, teacher_BK, share, temperature)
        loss = (loss_B * batch.weight_B).sum()
        # DDP takes the mean over the processes, so each divides by its own share of the batch.
        self.scaler.scale(loss * self.world.size / recipe.batch).backward()  # type: ignore[no-untyped-call]
        right_B = logits_BK.argmax(dim=1) == batch.target_BK.argmax(dim=1)
        return torch.stack([loss.detach(), (right_B * batch.weight_B).sum(), batch.weight_B.sum()]).double()

    def _progress(self, window: Window) -> Progress:
        loss, right, weight = window.sums.tolist()
        return Progress(
            step=self.step,
            epoch=self.step / self.steps_an_epoch,
            lr=float(self.schedulers[0].get_last_lr()[-1]),
            loss=loss / max(weight, 1),
            top1=right / max(weight, 1),
            images_per_s=window.steps * self.recipe.batch / window.seconds,
        )

    def _validation_is_due(self) -> bool:
        if not self.run_options.validate_every:
            return False
        every = self.run_options.validate_every * self.steps_an_epoch
        return math.floor(self.step / every) > math.floor((self.step - 1) / every)

    def _validate(self, log: Log | None) -> Outcomes:
        runtime = ModelInTraining(self.result, self.world.device)
        mine = np.flatnonzero(self.val.labels != UNKNOWN)[self.world.rank :: self.world.size]
        shares = self.world.gathered(score_images(runtime, self.val, mine, Preprocess(self.data)))
        self._note([error for _, errors in shares for error in errors])
        outcomes = Outcomes.joined([outcomes for outcomes, _ in shares])
        if not len(outcomes.label):
            self.listener.message("nothing is measured: none of the pictures held out has a label and can be read")
            return outcomes
        row = Validation(
            step=self.step,
            epoch=self.step / self.steps_an_epoch,
            loss=outcomes.loss,
            top1=top(outcomes, 1).value,
            top5=top(outcomes, 5).value if self.model.num_classes > 5 else None,
            n=len(outcomes.label),
        )
        self._tell(log, row)
        return outcomes

    def _tell(self, log: Log | None, row: Progress | Validation) -> None:
        if log is None:
            return
        try:
            log.write(row)
        except OSError as error:
            self.listener.message(f"this row of the log could not be written: {error}")
        if isinstance(row, Progress):
            self.listener.progress(row)
        else:
            self.listener.validated(row)

    def _note(self, unreadable: list[ImageError]) -> None:
        for error in unreadable:
            if error.source not in self.unreadable:
                self.unreadable[error.source] = error.reason
                self.listener.message(f"left out, since it cannot be read: {error}")

    # ---- the checkpoint

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def _save(self) -> None:
        """A disk that is full costs this checkpoint, not the run, nor the last one."""
        if not self.world.first:
            return
        try:
            save_checkpoint(
                self.checkpoint,
                {
                    "step": self.step,
                    "model": self.model.state_dict(),
                    "averaged": self.averaged.state_dict() if self.averaged is not None else None,
                    "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                    "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
                    "scaler": self.scaler.state_dict(),
                    "unreadable": self.unreadable,
                },
            )
        except OSError as error:
            self.listener.message(f"this checkpoint could not be written, the one before it stays: {error}")

    def _resume(self) -> None:
        state = self.world.of_first(load_checkpoint(self.checkpoint) if self.world.first else None)
        if state is None:
            return
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        for scheduler, kept in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(kept)
        self.scaler.load_state_dict(state["scaler"])
        self.unreadable = state["unreadable"]


@contextmanager
def _no_sync(model: nn.Module, *, wanted: bool) -> Iterator[None]:
    """Gradients of all parts but the last stay in their process."""
    if wanted:
        with model.no_sync():  # type: ignore[operator] # of DistributedDataParallel
            yield
    else:
        yield
