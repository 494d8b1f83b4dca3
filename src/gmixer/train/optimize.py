"""A recipe → optimizers over the right parameters, and their learning rates step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from gmixer.errors import InputError
from gmixer.models.mixer import Mixer
from gmixer.train.muon import Muon
from gmixer.train.recipe import TrainRecipe
from gmixer.train.rmsprop_tf import RMSpropTF
from gmixer.train.sections import OptimizerSection


def freeze(model: Mixer, blocks: int) -> None:
    """The stem and this many blocks do not learn."""
    if not blocks:
        return
    if blocks > len(model.blocks):
        raise InputError(f"model.frozen_blocks is {blocks}; this model has only {len(model.blocks)}")
    for frozen in (model.stem, *model.blocks[:blocks]):
        frozen.requires_grad_(False)


def optimizers(model: Mixer, recipe: TrainRecipe) -> list[Optimizer]:
    """One, or two with "muon": Muon for the matrices of the blocks that learn, AdamW for everything else."""
    settings = recipe.optimizer
    if settings.name == "muon":
        hidden = list(_groups(model, settings, settings.muon_lr, hidden=True))
        others = list(_groups(model, settings, settings.lr, hidden=False))
        muon = [Muon(hidden, lr=settings.muon_lr, momentum=settings.momentum)] if hidden else []
        return [*muon, AdamW(others, lr=settings.lr, betas=settings.betas, eps=settings.eps)]
    groups = list(_groups(model, settings, settings.lr))
    match settings.name:
        case "adamw":
            return [AdamW(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps)]
        case "sgd":
            return [SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.momentum > 0)]
        case "rmsprop_tf":
            return [RMSpropTF(groups, lr=settings.lr, eps=settings.eps, momentum=settings.momentum)]


def schedulers(
    optimizers: list[Optimizer], recipe: TrainRecipe, *, steps: int, steps_per_epoch: float
) -> list[LambdaLR]:
    """Schedulers that follow `lr_share`."""

    def share(step: int) -> float:
        return lr_share(recipe, step, steps=steps, steps_per_epoch=steps_per_epoch)

    return [LambdaLR(optimizer, share) for optimizer in optimizers]


def lr_share(recipe: TrainRecipe, step: int, *, steps: int, steps_per_epoch: float) -> float:
    """The share of its learning rate that a step uses. During the warm-up it grows in a straight line."""
    schedule = recipe.schedule
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    match schedule.name:
        case "cosine":
            done = min((step - warmup) / max(steps - warmup, 1), 1.0)
            return schedule.final_lr + (1 - schedule.final_lr) * (1 + math.cos(math.pi * done)) / 2
        case "step":
            return schedule.decay_rate ** math.floor(step / (schedule.decay_epochs * steps_per_epoch))
        case "constant":
            return 1.0


def _groups(
    model: Mixer, settings: OptimizerSection, lr: float, *, hidden: bool | None = None
) -> Iterator[dict[str, Any]]:
    """Parameter groups by depth and by weight decay. hidden: only the blocks' matrices, or only all others."""
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    top = len(model.blocks) + 1
    for name, parameter in model.named_parameters():
        in_block = name.startswith("blocks.") and parameter.ndim == 2
        if parameter.requires_grad and hidden in (None, in_block):
            groups.setdefault((_depth(name, top), parameter.ndim > 1), []).append(parameter)
    for (depth, is_matrix), parameters in sorted(groups.items(), key=lambda item: item[0]):
        yield {
            "params": parameters,
            "lr": lr * settings.layer_decay ** (top - depth),
            "weight_decay": settings.weight_decay if is_matrix else 0.0,
        }


def _depth(name: str, top: int) -> int:
    """As timm counts: 0 for the stem, then the blocks from 1, the norm with the last block, then the head."""
    place, _, rest = name.partition(".")
    if place == "blocks":
        return int(rest.partition(".")[0]) + 1
    return {"stem": 0, "norm": top - 1}.get(place, top)
