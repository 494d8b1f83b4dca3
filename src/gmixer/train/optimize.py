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
from gmixer.train.recipe import Recipe
from gmixer.train.rmsprop_tf import RMSpropTF


def freeze(model: Mixer, blocks: int) -> None:
    """The stem and this many blocks learn nothing."""
    if not blocks:
        return
    if blocks > len(model.blocks):
        raise InputError(f"frozen_blocks is {blocks}; {len(model.blocks)} is all this model has")
    for frozen in (model.stem, *model.blocks[:blocks]):
        frozen.requires_grad_(False)


def optimizers(model: Mixer, recipe: Recipe) -> list[Optimizer]:
    """One, or two with "muon": Muon for the matrices of the blocks that learn, AdamW for everything else."""
    if recipe.optimizer == "muon":
        hidden = list(_groups(model, recipe, recipe.muon_lr, hidden=True))
        others = list(_groups(model, recipe, recipe.lr, hidden=False))
        muon = [Muon(hidden, lr=recipe.muon_lr, momentum=recipe.momentum)] if hidden else []
        return [*muon, AdamW(others, lr=recipe.lr, betas=recipe.betas, eps=recipe.eps)]
    groups = list(_groups(model, recipe, recipe.lr))
    match recipe.optimizer:
        case "adamw":
            return [AdamW(groups, lr=recipe.lr, betas=recipe.betas, eps=recipe.eps)]
        case "sgd":
            return [SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)]
        case "rmsprop_tf":
            return [RMSpropTF(groups, lr=recipe.lr, eps=recipe.eps, momentum=recipe.momentum)]


def schedulers(optimizers: list[Optimizer], recipe: Recipe, *, steps: int, steps_an_epoch: float) -> list[LambdaLR]:
    """They follow `lr_share`."""

    def share(step: int) -> float:
        return lr_share(recipe, step, steps=steps, steps_an_epoch=steps_an_epoch)

    return [LambdaLR(optimizer, share) for optimizer in optimizers]


def lr_share(recipe: Recipe, step: int, *, steps: int, steps_an_epoch: float) -> float:
    """The share of its learning rate that a step of the run learns with; grows in a straight line while it warms up."""
    warmup = recipe.warmup_epochs * steps_an_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    match recipe.schedule:
        case "cosine":
            done = min((step - warmup) / max(steps - warmup, 1), 1.0)
            return recipe.final_lr + (1 - recipe.final_lr) * (1 + math.cos(math.pi * done)) / 2
        case "step":
            return recipe.decay_rate ** math.floor(step / (recipe.decay_epochs * steps_an_epoch))
        case "constant":
            return 1.0


def _groups(model: Mixer, recipe: Recipe, lr: float, *, hidden: bool | None = None) -> Iterator[dict[str, Any]]:
    """Parameters by depth, and by whether they decay. hidden: only the blocks' matrices, or only the others."""
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    top = len(model.blocks) + 1
    for name, parameter in model.named_parameters():
        in_block = name.startswith("blocks.") and parameter.ndim == 2
        if parameter.requires_grad and hidden in (None, in_block):
            groups.setdefault((_depth(name, top), parameter.ndim > 1), []).append(parameter)
    for (depth, is_matrix), parameters in sorted(groups.items(), key=lambda item: item[0]):
        yield {
            "params": parameters,
            "lr": lr * recipe.layer_decay ** (top - depth),
            "weight_decay": recipe.weight_decay if is_matrix else 0.0,
        }


def _depth(name: str, top: int) -> int:
    """0 the stem, then the blocks from 1, the norm with the last of them, then the head: as timm counts."""
    place, _, rest = name.partition(".")
    if place == "blocks":
        return int(rest.partition(".")[0]) + 1
    return {"stem": 0, "norm": top - 1}.get(place, top)
