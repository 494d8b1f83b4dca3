"""A torch state dict, plain or inside other dicts, as a source of weights: its architecture, its tensors as float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.errors import WeightsError
from gmixer.weights.architecture import infer_architecture
from gmixer.weights.wrappers import ANCHOR, KEY_END, model_in, module_path

if TYPE_CHECKING:
    from torch import Tensor, nn

MAX_DEPTH = 8  # of dicts in dicts; checkpoints have up to three


def read_state_dict(
    state: Mapping[str, Any], *, source: str
) -> tuple[ModelConfig, Iterator[tuple[str, NDArray[np.float32]]]]:
    """Its architecture, and its tensors one at a time. source: its name in an error. Raises WeightsError."""
    tensors = tensors_in(state, source=source)
    own_names = model_in(tensors, source=source).own_names
    config = infer_architecture({own: tuple(tensors[stored].shape) for stored, own in own_names.items()}, source=source)
    return config, ((own, tensors[stored].detach().float().cpu().numpy()) for stored, own in own_names.items())


def tensors_in(loaded: object, *, source: str) -> dict[str, Tensor]:
    """Every tensor in nested dicts: `KEY/KEY/NAME` → tensor. Each dict is visited once.

    Raises WeightsError if there is none.
    """
    import torch

    found: dict[str, Tensor] = {}
    seen: set[int] = set()

    def visit(mapping: Mapping[object, object], keys: str, depth: int) -> None:
        seen.add(id(mapping))
        for key, value in mapping.items():
            if isinstance(value, torch.Tensor):
                found[f"{keys}{key}"] = value
            elif isinstance(value, Mapping) and id(value) not in seen and depth < MAX_DEPTH:
                visit(value, f"{keys}{key}{KEY_END}", depth + 1)

    if isinstance(loaded, Mapping):
        visit(loaded, "", 1)
    if not found:
        what = "a dict without tensors" if isinstance(loaded, Mapping) else f"a {type(loaded).__name__}, no state dict"
        raise WeightsError(f"{source}: holds {what}; wanted a saved model.state_dict()")
    return found


def unwrapped(model: nn.Module) -> tuple[nn.Module, dict[str, Tensor]]:
    """The Mixer inside a compiled, wrapped or Lightning module, and its tensors by their own names.

    A module without a Mixer is returned as it is. Raises WeightsError for several Mixers, and for no module.
    """
    from torch import nn

    source = f"this {type(model).__name__}"
    if not isinstance(model, nn.Module):
        raise WeightsError(f"{source}: is no torch module; wanted a Mixer of gmixer or timm")
    state = model.state_dict()
    tensors = tensors_in(state, source=source)
    own_names = model_in(tensors, source=source).own_names
    anchor = next((stored for stored, own in own_names.items() if own == ANCHOR), None)
    inner = model if anchor is None else model.get_submodule(module_path(anchor))
    return inner, {own: tensors[stored] for stored, own in own_names.items()}
