"""A model that answers during the training of another model: any torch model with the same classes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmixer.config import DataConfig
from gmixer.datasets import abbreviate, counts_by_place, same_classes
from gmixer.errors import InputError
from gmixer.models.load_into import load_mixer
from gmixer.options import WeightsSource
from gmixer.train.initial_model import InitialModel, known_classes
from gmixer.weights import find_checkpoint, is_path
from gmixer.weights.class_names import are_of_this_head, class_names_in


def open_teacher(
    name: str, student: InitialModel, device: torch.device, weights: WeightsSource = WeightsSource(fetch=True)
) -> Callable[[Tensor], Tensor]:
    """Returns a function: images as the student sees them, (B, C, S, S) on the device → logits (B, K), no gradients.

    name: a gmixer model, a folder, a file of weights, or `package.module:function`, which returns any
        torch.nn.Module. Where it has a `pretrained_cfg` in timm's format, its images are prepared by that config, else
        as for the student.
    weights: where a model's weights may come from. Its name is of the student's file, and is not used.
    Raises InputError where it does not load, or has other classes.
    """
    is_function = ":" in name and not is_path(name)
    model = (_from_function(name) if is_function else _from_gmixer(name, weights)).to(device).eval()
    config = getattr(model, "pretrained_cfg", None)
    data = DataConfig.from_timm(config) if config else student.data
    to_teacher = _Renormalise(student.data, data).to(device)

    @torch.inference_mode()
    def answer(x_BCSS: Tensor) -> Tensor:
        logits_BK: Tensor = model(to_teacher(x_BCSS))
        return logits_BK

    side = student.data.image_px
    logits = answer(torch.zeros(1, student.data.in_chans, side, side, device=device))
    if logits.shape != (1, student.model.num_classes):
        raise InputError(
            f"the teacher {name} answers with {tuple(logits.shape)} to one image; wanted "
            f"{(1, student.model.num_classes)}: it must know the classes of the data, in their order"
        )
    classes = known_classes(student.model.num_classes, student.class_names)
    theirs = _class_names(config, logits.shape[1])
    # A side without class names is compared by class index.
    ours, theirs = classes or _numbers(theirs), theirs or _numbers(classes)
    if ours and theirs and not same_classes(ours, theirs):
        raise InputError(
            f"the teacher {name} knows other classes ({abbreviate(theirs)}) than the student ({abbreviate(ours)}); "
            "wanted the same, in their order"
        )
    return answer


def _class_names(config: Mapping[str, Any] | None, num_classes: int) -> Sequence[str] | None:
    """The class names in its `pretrained_cfg`; None where it has none: its classes are then trusted.

    Another number of names than of logits belongs to an earlier head, and is ignored.
    """
    if not config:
        return None
    of_head = are_of_this_head(config, num_classes)
    names = class_names_in(config, num_classes, source="the teacher's pretrained_cfg") if of_head else None
    return known_classes(num_classes, names)


def _numbers(names: Sequence[str] | None) -> Sequence[str] | None:
    """Numbers as names, to compare with these names; None where there is no comparison to make."""
    return None if names is None or counts_by_place(names) else [str(i) for i in range(len(names))]


class _Renormalise(nn.Module):
    """Images normalised for one model → images normalised for another, at its size."""

    had_mean: Tensor
    had_std: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, had: DataConfig, wanted: DataConfig) -> None:
        super().__init__()
        self.side = wanted.image_px
        numbers = {"had_mean": had.mean, "had_std": had.std, "mean": wanted.mean, "std": wanted.std}
        for name, values in numbers.items():
            self.register_buffer(name, torch.tensor(values)[:, None, None])

    def forward(self, x_BCSS: Tensor) -> Tensor:
        x_BCSS = (x_BCSS * self.had_std + self.had_mean - self.mean) / self.std
        if x_BCSS.shape[-1] == self.side:
            return x_BCSS
        return F.interpolate(x_BCSS, size=(self.side, self.side), mode="bicubic", antialias=True)


def _from_gmixer(name: str, weights: WeightsSource) -> nn.Module:
    checkpoint = find_checkpoint(name, replace(weights, name=None))
    model = load_mixer(checkpoint.model, checkpoint.tensors(), source=str(checkpoint.path))
    model.pretrained_cfg = checkpoint.data.to_timm() | {"label_names": checkpoint.class_names}
    return model


def _from_function(name: str) -> nn.Module:
    module, _, function = name.partition(":")
    try:
        made: Any = getattr(importlib.import_module(module), function)()
    except Exception as error:  # of any type: it is the user's own code
        what = f"{type(error).__name__}: {error}"
        raise InputError(f"the teacher {name} cannot be loaded ({what}); wanted package.module:function") from error
    if not isinstance(made, nn.Module):
        raise InputError(
            f"the teacher {name} is a {type(made).__name__}; wanted a function that returns a torch.nn.Module"
        )
    return made
