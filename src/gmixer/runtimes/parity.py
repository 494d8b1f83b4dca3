"""Whether an engine computes what a torch model computes: Engine.from_torch compares the two on random images.

In fp32, two implementations differ by rounding alone, so PARITY_BOUND tells another network from the same one. This
check comes first, in every precision. In bf16 and int8 the engine differs from float32 by the rounding of the MLPs'
products, which depends on the weights: by 1 % in one model and by half in another one of many drawn layers. So the
bound is computed, from the same model in plain torch with its products rounded. Two roundings of one model have errors
of the same size; the engine's may be ROUNDED_BOUND times as large.

B images, N patches, C channels, K classes; rows R, inputs I, outputs O of a linear layer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmixer.errors import EngineError
from gmixer.options import FP32, NativePrecision
from gmixer.runtimes.native import Engine
from gmixer.runtimes.protocol import PARITY_BOUND, Float32
from gmixer.weights.converted import is_mlp_weight

ROUNDED_BOUND = 4.0  # as COMPILED_BOUND in torch.py. Measured: 0.7 to 1.9, on six trained and drawn models
IMAGES = 2

Stages = dict[str, Float32]  # tokens (B, N, C); logits (B, K) of a model that pools by the mean


def check_parity(engine: Engine, exact: Engine, model: Any, *, source: str) -> None:
    """exact: the same weights in fp32; `engine` itself, if that is its precision. model: the torch model.

    Raises EngineError if the engine and the model disagree.
    """
    c = engine.config
    x_BCHW = np.random.default_rng(0).standard_normal((IMAGES, c.in_chans, c.image_px, c.image_px), np.float32)
    reference = copy.deepcopy(model).float().cpu().eval()
    has_logits = bool(c.num_classes and reference.global_pool == "avg")
    wanted = _of_torch(reference, x_BCHW, has_logits)
    for stage, difference in _differences(_of_engine(exact, x_BCHW), wanted).items():
        if not difference <= PARITY_BOUND:  # NaN too
            raise EngineError(
                f"{source} and the native engine disagree: {stage} differ by {difference:.2g} of their size, "
                f"at most {PARITY_BOUND:g} is allowed; it has the shapes of a Mixer but another activation, norm "
                f"or forward. Keep it in torch, or pass check=False to use the engine anyway"
            )
    if engine.precision == FP32:
        return
    usual = _differences(_of_torch(with_rounded_products(reference, engine.precision), x_BCHW, has_logits), wanted)
    for stage, difference in _differences(_of_engine(engine, x_BCHW), wanted).items():
        allowed = PARITY_BOUND + ROUNDED_BOUND * usual[stage]
        if not difference <= allowed:
            raise EngineError(
                f"{source} in {engine.precision} on the native engine is too far from float32: {stage} differ by "
                f"{difference:.2g} of their size, at most {allowed:.2g} is allowed; run `gmixer doctor`, or pass "
                f"precision='fp32'"
            )


def _of_engine(engine: Engine, x_BCHW: Float32) -> Stages:
    output = engine.forward(x_BCHW, tokens=True)
    assert output.tokens is not None
    return {"tokens": output.tokens, "logits": output.logits}


def _of_torch(model: Any, x_BCHW: Float32, has_logits: bool) -> Stages:
    with torch.inference_mode():
        tokens_BNC = model.forward_features(torch.from_numpy(x_BCHW))
        stages = {"tokens": tokens_BNC.numpy()}
        if has_logits:
            stages["logits"] = model.forward_head(tokens_BNC).numpy()
    return stages


def _differences(got: Stages, wanted: Stages) -> dict[str, float]:
    """By stage: the rms difference, of the size of the stage. A new head's logits are all zero: then the difference."""
    found = {}
    for stage, values in wanted.items():
        size = float(np.linalg.norm(values))
        found[stage] = float(np.linalg.norm(got[stage] - values)) / (size if size else 1.0)
    return found


def with_rounded_products(model: nn.Module, precision: NativePrecision) -> nn.Module:
    """The same model. From now on the products of its MLPs take rounded operands, as the native core's do."""
    rounded = ROUNDINGS[precision]

    def instead(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        assert isinstance(layer, nn.Linear)
        return F.linear(rounded(inputs[0]), rounded(layer.weight), layer.bias)

    for name, layer in model.named_modules():
        if is_mlp_weight(f"{name}.weight"):
            layer.register_forward_hook(instead)
    return model


def _to_bf16(x_RI: Tensor) -> Tensor:
    return x_RI.bfloat16().float()


def _to_int8(x_RI: Tensor) -> Tensor:
    """A scale for each row: of a weight for each output, of token mixing's activations for each image and channel."""
    scale_R1 = x_RI.abs().amax(dim=-1, keepdim=True).clamp(min=1e-30) / 127
    return (x_RI / scale_R1).round() * scale_R1


ROUNDINGS: dict[NativePrecision, Callable[[Tensor], Tensor]] = {"bf16": _to_bf16, "int8": _to_int8}
