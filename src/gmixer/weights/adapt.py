"""Adapts the tensors of a checkpoint to another image size or another number of channels.

Only two kinds of tensors depend on the image. The weight of the stem has one plane per channel; timm's rule adapts it.
The token MLP has one weight per patch. Here the new grid's tokens are first interpolated onto the trained grid. There
the trained MLP mixes them, and the result is interpolated back. Interpolation is linear, so both interpolations are
folded into the weights, once, at load:

    fc1(D·x) = (W1·D)·x + b1        D: new grid → trained grid
    U·fc2(h) = (U·W2)·h + U·b2      U: trained grid → new grid

Measurements in docs/image-size.md: bicubic in both directions kept the features closest. Interpolating W1 like an
image, scaled by N_old/N_new, was a little worse; without the scale it was useless.

N patches, H hidden width, G×G the grid of patches; O is the trained grid's N (old), P the wanted one's (new).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.weights.weights_file import Quantized

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
T = TypeVar("T", bound=Float32 | Quantized)


def adapted(tensors: Iterable[tuple[str, T]], *, stored: ModelConfig, wanted: ModelConfig) -> Iterator[tuple[str, T]]:
    """The tensors of `stored`, adapted to `wanted`. The two configs differ only in image_px and in_chans.

    Weights in int8 are not adapted to another image size: Checkpoint.adapted refuses that.
    """
    values: Any
    old_side, new_side = (config.image_px // config.patch_px for config in (stored, wanted))
    for name, values in tensors:
        if name == "stem.proj.weight" and stored.in_chans != wanted.in_chans:
            values = adapt_stem(values, wanted.in_chans)
        elif ".mlp_tokens." in name and old_side != new_side:
            values = _resize_token_mlp(name, values, old_side=old_side, new_side=new_side)
        yield name, values


def adapt_stem(weight: Float32, in_chans: int) -> Float32:
    """(C, c, p, p) → (C, in_chans, p, p), as timm's adapt_input_conv.

    One channel takes the sum of all. More channels take them in turn (R, G, B, R …). They are scaled so that the
    response to grey stays equal.
    """
    channels = weight.shape[1]
    if in_chans == 1:
        return np.asarray(weight.sum(axis=1, keepdims=True))
    taken = weight[:, np.arange(in_chans) % channels]
    return np.asarray(taken * np.float32(channels / in_chans))


def _resize_token_mlp(name: str, values: Float32, *, old_side: int, new_side: int) -> Float32:
    if name.endswith("fc1.weight"):
        D_OP = grid_matrix(new_side, old_side)
        return np.asarray(values @ D_OP, np.float32)  # (H, O) → (H, P)
    if ".fc2." in name:
        U_PO = grid_matrix(old_side, new_side)
        return np.asarray(U_PO @ values, np.float32)  # (O, H) → (P, H), and the bias (O,) → (P,)
    return values  # the bias of fc1 depends on no grid


@lru_cache(maxsize=4)  # every block uses the same two matrices
def grid_matrix(from_side: int, to_side: int) -> Float64:
    """(to_side², from_side²): bicubic interpolation from one square grid to another."""
    line = _line_matrix(from_side, to_side)
    return np.asarray(np.kron(line, line), np.float64)


def _line_matrix(from_side: int, to_side: int) -> Float64:
    """(to_side, from_side): the same along one side.

    Cell centres are at half-integers, and the border is repeated. The kernel is that of PyTorch's and OpenCV's bicubic
    (Keys 1981 with a = -0.75). It is not widened when the grid shrinks.
    """
    centre_T = (np.arange(to_side) + 0.5) * from_side / to_side - 0.5
    first_T = np.floor(centre_T).astype(int) - 1
    taken_T4 = first_T[:, None] + np.arange(4)
    weight_T4 = _keys(np.abs(centre_T[:, None] - taken_T4))
    matrix = np.zeros((to_side, from_side))
    np.add.at(matrix, (np.arange(to_side)[:, None], taken_T4.clip(0, from_side - 1)), weight_T4)
    return matrix


def _keys(distance: Float64, a: float = -0.75) -> Float64:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance < 1, near, far)
