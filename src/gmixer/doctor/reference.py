"""The network in twenty lines of numpy: a slow, clear reference for the native core that needs no torch.

In float64 it is the correct result. In float32 it shows the error of plain float32 arithmetic.

B images, N patches, C channels, K classes; G×G the grid of patches, N = G²; P patch_px, I in_chans.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gmixer.config import Mlp, ModelConfig
from gmixer.options import FP32, NativePrecision
from gmixer.weights.converted import is_mlp_weight

Floats = NDArray[Any]  # float32 or float64

NORM_EPS = 1e-6  # timm mlp_mixer.py, MlpMixer: partial(nn.LayerNorm, eps=1e-6)
TINY = 1e-30  # a row of smaller numbers counts as zero in int8
_erf = np.frompyfunc(math.erf, 1, 1)  # numpy has none


def reference_stages(
    config: ModelConfig,
    tensors: Mapping[str, Floats],
    x_BCHW: Floats,
    dtype: DTypeLike,
    precision: NativePrecision = FP32,
) -> dict[str, Floats]:
    """Every stage of Engine.stages, computed in dtype: stem, block_0 …, tokens, features, logits.

    precision: both operands of the MLPs' products are rounded to it.
    """
    w = {name: values.astype(dtype) for name, values in tensors.items()}

    def linear(x: Floats, name: str) -> Floats:
        y: Floats = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
        return y

    def norm(x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + x.dtype.type(NORM_EPS))
        y: Floats = centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]
        return y

    def mlp(x: Floats, name: str) -> Floats:
        return linear(rounded(_activated(linear(rounded(x), f"{name}.fc1"), config.mlp)), f"{name}.fc2")

    rounded = ROUNDINGS[precision]
    w |= {name: rounded(w[name]) for name in w if is_mlp_weight(name)}

    stages = {}
    B, G, P = len(x_BCHW), config.image_px // config.patch_px, config.patch_px
    patches_BNIPP = x_BCHW.astype(dtype).reshape(B, -1, G, P, G, P).transpose(0, 2, 4, 1, 3, 5)
    w["stem.proj.weight"] = w["stem.proj.weight"].reshape(config.channels, -1)
    stages["stem"] = x_BNC = linear(patches_BNIPP.reshape(B, config.patches, -1), "stem.proj")
    for i in range(config.blocks):
        block = f"blocks.{i}"
        x_BNC = x_BNC + mlp(norm(x_BNC, f"{block}.norm1").swapaxes(1, 2), f"{block}.mlp_tokens").swapaxes(1, 2)
        x_BNC = x_BNC + mlp(norm(x_BNC, f"{block}.norm2"), f"{block}.mlp_channels")
        stages[f"block_{i}"] = x_BNC
    stages["tokens"] = norm(x_BNC, "norm")
    stages["features"] = stages["tokens"].mean(axis=1)
    stages["logits"] = linear(stages["features"], "head")
    return stages


def _to_bf16(x: Floats) -> Floats:
    """To the nearest number of 8 significant bits, of two nearest ones to the even one."""
    bits = x.astype(np.float32).view(np.uint32)
    bits = bits + 0x7FFF + (bits >> 16 & 1)
    return (bits & 0xFFFF0000).view(np.float32).astype(x.dtype)


def _to_int8(x: Floats) -> Floats:
    """Each row has its scale: a weight's for each output, activations' for each token, or image and channel."""
    largest = np.abs(x).max(axis=-1, keepdims=True)
    scale = np.where(largest < TINY, 1, largest / 127)
    rounded: Floats = np.rint(x / scale) * scale * (largest >= TINY)
    return rounded


ROUNDINGS: dict[NativePrecision, Callable[[Floats], Floats]] = {FP32: lambda x: x, "bf16": _to_bf16, "int8": _to_int8}


def _activated(x: Floats, mlp: Mlp) -> Floats:
    """SwiGLU, with the gates in the second half; or GELU with the exact erf."""
    if mlp == "swiglu":
        value, gate = np.split(x, 2, axis=-1)
        gated: Floats = value * gate / (1 + np.exp(-gate))
        return gated
    half = x.dtype.type(0.5)
    erf: Floats = np.asarray(_erf(x * np.sqrt(half)), x.dtype)
    activated: Floats = half * x * (1 + erf)
    return activated
