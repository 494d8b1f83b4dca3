"""The state of a run: all that its next step depends on, and so all that a checkpoint holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from gmixer.models.mixer import Mixer
from gmixer.train.ema import averaged
from gmixer.train.optimize import freeze, optimizers, schedulers
from gmixer.train.recipe import TrainRecipe


@dataclass(frozen=True)
class RunLength:
    """steps: of the whole run. steps_per_epoch: not rounded."""

    steps: int
    steps_per_epoch: float

    @classmethod
    def of(cls, recipe: TrainRecipe, n_images: int) -> RunLength:
        steps_per_epoch = n_images / recipe.schedule.batch_size
        return cls(max(math.ceil(recipe.schedule.epochs * steps_per_epoch), 1), steps_per_epoch)


class TrainState:
    """step: how many steps are done. unreadable: image name → reason.

    averaged: the model of averaged weights; None where the recipe wants none.
    """

    def __init__(self, model: Mixer, recipe: TrainRecipe, length: RunLength, device: torch.device) -> None:
        """The state before the first step. The model lies on the device already."""
        freeze(model, recipe.model.frozen_blocks)
        ema_decay = recipe.optimizer.ema_decay
        self.model = model
        self.averaged = averaged(model, ema_decay) if ema_decay else None
        self.optimizers = optimizers(model, recipe)
        self.schedulers = schedulers(
            self.optimizers, recipe, steps=length.steps, steps_per_epoch=length.steps_per_epoch
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.compute.precision == "fp16")
        self.step = 0
        self.unreadable: dict[str, str] = {}

    @property
    def result(self) -> Mixer:
        """The model that the run is for: the averaged weights, where there are any."""
        module = self.averaged.module if self.averaged is not None else self.model
        assert isinstance(module, Mixer)
        return module

    @property
    def lr(self) -> float:
        """The learning rate of the head."""
        return float(self.schedulers[0].get_last_lr()[-1])

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "scaler": self.scaler.state_dict(),
            "unreadable": self.unreadable,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` of a run by the same recipe returned."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for scheduler, saved in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(saved)
        self.scaler.load_state_dict(state["scaler"])
        self.unreadable = state["unreadable"]
