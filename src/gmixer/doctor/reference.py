"""The network in twenty lines of numpy: a slow, clear reference for the native core that needs no torch.

In float64 it is the correct result. In float32 it shows the error of plain float32 arithmetic.

B images, N patches, C channels, K classes; G×G the grid of patches, N = G²; P patch_px, I in_chans.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gmixer.config import Mlp, ModelConfig

Floats = NDArray[Any]  # float32 or float64

NORM_EPS = 1e-6  # timm mlp_mixer.py, MlpMixer: partial(nn.LayerNorm, eps=1e-6)
_erf = np.frompyfunc(math.erf, 1, 1)  # numpy has none


def reference_stages(
    config: ModelConfig, tensors: Mapping[str, Floats], x_BCHW: Floats, dtype: DTypeLike
) -> dict[str, Floats]:
    """Every stage of Engine.stages, computed in dtype: stem, block_0 …, tokens, features, logits."""
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
        return linear(_activated(linear(x, f"{name}.fc1"), config.mlp), f"{name}.fc2")

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
