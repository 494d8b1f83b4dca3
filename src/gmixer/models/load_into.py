"""Tensors of a checkpoint → a torch Mixer, with the checkpoint's head or with a new one.

load_mixer makes the Mixer; load_into takes one that exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.errors import WeightsError
from gmixer.models.mixer import Mixer


def load_mixer(
    config: ModelConfig,
    tensors: Iterable[tuple[str, NDArray[np.float32]]],
    *,
    source: str,
    new_head: bool = False,
    make: Callable[[ModelConfig], Mixer] = Mixer,
) -> Mixer:
    """A Mixer of this architecture with these tensors.

    make: makes the Mixer before its tensors are read, such as empty_mixer, or Mixer with other keywords.
    new_head, source, errors: as in load_into.
    """
    model = make(config)
    load_into(model, tensors, new_head=new_head, source=source)
    return model


def empty_mixer(config: ModelConfig, *, device: torch.device) -> Mixer:
    """A float32 Mixer without values. To draw none saves time, and does not change the caller's random state."""
    return Mixer(config, device="meta", dtype=torch.float32).to_empty(device=device)


@torch.no_grad()
def load_into(model: Mixer, tensors: Iterable[tuple[str, NDArray[np.float32]]], *, new_head: bool, source: str) -> None:
    """Copies the tensors into the model, one at a time. A tensor that the model does not have is skipped.

    new_head: keep the head of the model as it was drawn, because it has other classes than the tensors.
    source: the name of the tensors in an error.

    Raises WeightsError where a tensor of the model is missing, or has another shape.
    """
    state = model.state_dict()
    missing = {name for name in state if not (new_head and name.startswith("head."))}
    for name, values in tensors:
        if name not in missing:
            continue
        if values.shape != tuple(state[name].shape):
            raise WeightsError(
                f"{source}: {name} is {values.shape}; wanted {tuple(state[name].shape)}, as in this model; "
                f"load tensors of its architecture"
            )
        state[name].copy_(torch.from_numpy(values if values.flags.writeable else values.copy()))
        missing.discard(name)
    if missing:
        lacking = ", ".join(name for name in state if name in missing)
        raise WeightsError(f"{source}: lacks {lacking}; leave out the option that adds them, such as stem_norm")
