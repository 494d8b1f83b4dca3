"""A model that answers while another one learns: any torch model that classifies the same classes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmixer.config import DataConfig
from gmixer.datasets import abbreviate, counts_by_place, same_classes
from gmixer.errors import InputError
from gmixer.timm_compat.create_model import create_model
from gmixer.train.initial_model import InitialModel, known_classes
from gmixer.weights import is_path


def open_teacher(name: str, student: InitialModel, device: torch.device) -> Callable[[Tensor], Tensor]:
    """name: a model of gmixer's or a folder; `package.module:function`, which returns any torch.nn.Module. Its
    `pretrained_cfg`, if it has one, says how it is fed, in timm's words; else it is fed as the student is.

    → pictures as the student sees them (B, C, S, S) on the device → logits (B, K), without gradients.
    Raises InputError where it does not load, or has other classes.
    """
    model = (_from_function(name) if ":" in name and not is_path(name) else _of_gmixer(name)).to(device).eval()
    own = getattr(model, "pretrained_cfg", None)
    data = DataConfig.from_timm(own) if own else student.data
    to_teacher = _Refed(student.data, data).to(device)

    @torch.inference_mode()
    def answer(x_BCSS: Tensor) -> Tensor:
        logits_BK: Tensor = model(to_teacher(x_BCSS))
        return logits_BK

    side = student.data.image_px
    logits = answer(torch.zeros(1, student.data.in_chans, side, side, device=device))
    if logits.shape != (1, student.model.num_classes):
        raise InputError(
            f"the teacher {name} answers with {tuple(logits.shape)} to one picture; wanted "
            f"{(1, student.model.num_classes)}: it must know the classes of the data, in their order"
        )
    classes = known_classes(student.model.num_classes, student.class_names)
    theirs = _class_names(own, logits.shape[1])
    # Who has no names counts by number.
    ours, theirs = classes or _numbers(theirs), theirs or _numbers(classes)
    if ours and theirs and not same_classes(ours, theirs):
        raise InputError(
            f"the teacher {name} knows other classes ({abbreviate(theirs)}) than the student ({abbreviate(ours)}); "
            "wanted the same, in their order"
        )
    return answer


def _class_names(own: Mapping[str, Any] | None, num_classes: int) -> Sequence[str] | None:
    """What its `pretrained_cfg` says, in timm's words; None where it has none: it is then trusted. Names that are not
    as many as its answers are of a head that it had before.
    """
    if not own:
        return None
    names = own.get("label_names") or ()
    return known_classes(num_classes, names if len(names) == num_classes else None)


def _numbers(names: Sequence[str] | None) -> Sequence[str] | None:
    """What classes without names are called, to be compared with these; None where that says nothing."""
    return None if names is None or counts_by_place(names) else [str(i) for i in range(len(names))]


class _Refed(nn.Module):
    """Pictures normalised for one model → for another, at its size."""

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


def _of_gmixer(name: str) -> nn.Module:
    return create_model(f"local-dir:{name}" if Path(name).is_dir() else name, pretrained=True)


def _from_function(name: str) -> nn.Module:
    module, _, function = name.partition(":")
    try:
        made: Any = getattr(importlib.import_module(module), function)()
    except Exception as error:  # of any type: it is somebody's own code
        what = f"{type(error).__name__}: {error}"
        raise InputError(f"the teacher {name} cannot be had ({what}); wanted package.module:function") from error
    if not isinstance(made, nn.Module):
        raise InputError(
            f"the teacher {name} is a {type(made).__name__}; wanted a function that returns a torch.nn.Module"
        )
    return made
