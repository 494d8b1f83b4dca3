"""One training step: the gradients of a batch, then the optimizers.

B images of a batch, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from gmixer.errors import ImageError
from gmixer.options import FP32
from gmixer.runtimes.torch import DTYPES
from gmixer.train.distributed import World
from gmixer.train.feed import Batch
from gmixer.train.loss import losses, taught_losses
from gmixer.train.recipe import TrainRecipe
from gmixer.train.state import TrainState
from gmixer.train.stochastic_depth import GivenDropPath, give_numbers

Teacher = Callable[[Tensor], Tensor]  # normalised images (B, C, S, S) → logits (B, K), without gradients


@dataclass(frozen=True)
class StepResult:
    """sums: float64 (3,), loss, right answers and weight, summed over the images of all processes.

    stop: whether any process was asked to stop. unreadable, notes: of all processes.
    """

    sums: Tensor
    stop: bool
    unreadable: list[ImageError]
    notes: dict[str, str]


class Stepper:
    """Takes the steps of a run, and changes its TrainState."""

    def __init__(
        self,
        state: TrainState,
        recipe: TrainRecipe,
        world: World,
        *,
        drop_paths: list[GivenDropPath],
        teacher: Teacher | None,
    ) -> None:
        """drop_paths: of the model's blocks; each batch brings their random numbers."""
        self.state, self.recipe, self.world = state, recipe, world
        self.drop_paths, self.teacher = drop_paths, teacher
        wrapped = world.wrapped(state.model)
        self.network: nn.Module = torch.compile(wrapped) if recipe.compute.compile else wrapped  # type: ignore[assignment]

    def step(self, batches: Iterator[Batch], signals: Sequence[int] = ()) -> StepResult:
        """One step of the optimizers. signals: received by this process; it may grow during the step."""
        state = self.state
        self.network.train()
        sums = torch.zeros(5, dtype=torch.float64, device=self.world.device)
        unreadable: list[ImageError] = []
        notes: dict[str, str] = {}
        accumulate = self.recipe.compute.accumulate
        for part in range(accumulate):
            batch = next(batches)
            unreadable += batch.unreadable
            notes |= batch.notes
            batch = batch.to(self.world.device)
            with _no_sync(self.network, wanted=self.world.size > 1 and part < accumulate - 1):
                sums[:3] += self._backward(batch)
        self._update_weights()
        if state.averaged is not None:
            state.averaged.update_parameters(state.model)
        state.step += 1
        sums[3], sums[4] = len(signals), len(unreadable) + len(notes)
        summed = self.world.summed(sums).cpu()
        if summed[4]:
            shares = self.world.gathered((unreadable, notes))
            unreadable = [error for errors, _ in shares for error in errors]
            notes = {name: note for _, of_one in shares for name, note in of_one.items()}
        return StepResult(summed[:3], bool(summed[3]), unreadable, notes)

    def _backward(self, batch: Batch) -> Tensor:
        """Adds the gradients of a part of the batch → (loss, right, weight), each summed over its images."""
        give_numbers(self.drop_paths, batch.depth_BL2)
        precision, of_loss = self.recipe.compute.precision, self.recipe.loss
        with torch.autocast(self.world.device.type, DTYPES[precision], enabled=precision != FP32):
            logits_BK = self.network(batch.x_BCSS)
        if self.teacher is None:
            loss_B = losses(of_loss.name, logits_BK, batch.target_BK)
        else:
            teacher_BK = self.teacher(batch.x_BCSS)
            loss_B = taught_losses(of_loss, logits_BK, batch.target_BK, teacher_BK)
        loss = (loss_B * batch.weight_B).sum()
        # DDP takes the mean over the processes, so each process divides by its own share of the batch.
        mean = loss * self.world.size / self.recipe.schedule.batch_size
        self.state.scaler.scale(mean).backward()  # type: ignore[no-untyped-call]
        right_B = logits_BK.argmax(dim=1) == batch.target_BK.argmax(dim=1)
        return torch.stack([loss.detach(), (right_B * batch.weight_B).sum(), batch.weight_B.sum()]).double()

    def _update_weights(self) -> None:
        """One step of all optimizers and schedulers; none where fp16 gradients overflowed."""
        state, scaler, clip_norm = self.state, self.state.scaler, self.recipe.optimizer.clip_norm
        for optimizer in state.optimizers:
            scaler.unscale_(optimizer)
        finite = True
        if clip_norm or scaler.is_enabled():
            norm = clip_grad_norm_(state.model.parameters(), clip_norm or math.inf)
            # The scaler checks each optimizer's own gradients; the norm, and so the clipping, is of all gradients.
            finite = not scaler.is_enabled() or bool(norm.isfinite())
        for optimizer, scheduler in zip(state.optimizers, state.schedulers, strict=True):
            if finite:
                scaler.step(optimizer)
                scheduler.step()  # torch wants a step of the optimizer before it
            optimizer.zero_grad(set_to_none=True)
        scaler.update()


@contextmanager
def _no_sync(network: nn.Module, *, wanted: bool) -> Iterator[None]:
    """Until the last part of a batch, gradients stay in their process."""
    if wanted:
        with network.no_sync():  # type: ignore[operator] # of DistributedDataParallel
            yield
    else:
        yield
