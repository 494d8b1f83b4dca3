"""parity.py: Engine.from_torch compares with the torch model in every precision, and finds what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.models.mlp_mixer import MlpMixer
from torch import nn

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.errors import EngineError
from gmixer.isa import available_isas
from gmixer.options import NativePrecision
from gmixer.runtimes import Engine, Output, parity
from mixers import drawn_images, drawn_mixer

SMALL = replace(VARIANTS["gmixer_8_64"].model, blocks=2)
PRECISIONS: tuple[NativePrecision, ...] = ("fp32", "bf16", "int8")


def best_isa(precision: NativePrecision) -> str:
    """bf16 may have scalar kernels only, which must be named."""
    return available_isas(precision)[0]


@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_passes_its_check(precision: NativePrecision, mlp: str) -> None:
    config = replace(SMALL, mlp=mlp)
    model, isa = drawn_mixer(config), best_isa(precision)
    engine = Engine.from_torch(model, precision=precision, isa=isa)
    assert engine.precision == precision
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    x_BCHW = drawn_images(config, 2)
    same = Engine(config, tensors.items(), precision=precision, isa=isa).forward(x_BCHW)
    assert same.logits.tobytes() == engine.forward(x_BCHW).logits.tobytes()


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_the_bound_is_near_what_the_precision_costs(
    precision: NativePrecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rounding alone, by torch, has an error as large as the engine's, on trained and drawn weights."""
    seen: list[dict[str, float]] = []
    honest = parity._differences
    monkeypatch.setattr(parity, "_differences", lambda *stages: seen.append(honest(*stages)) or seen[-1])
    for model in (gmixer.create_model("gmixer_8_64", pretrained=True), drawn_mixer(SMALL)):
        seen.clear()
        Engine.from_torch(model, precision=precision, isa=best_isa(precision))
        exact, usual, ours = seen
        for stage in ("tokens", "logits"):
            assert exact[stage] < 1e-5 < usual[stage] / 10
            assert usual[stage] / 2 < ours[stage] < usual[stage] * 2, stage


def scale_of_the_tensor(x_RI: torch.Tensor) -> torch.Tensor:
    scale = x_RI.abs().max() / 127
    return (x_RI / scale).round() * scale


def test_the_rounding_of_int8_is_by_row() -> None:
    x_RI = torch.tensor([[1.0, 0.5, 0.25], [100.0, 1.0, 0.4], [0.0, 0.0, 0.0], [1e-31, 0.0, 0.0]])
    wanted = [[1.0, 64 / 127, 32 / 127], [100.0, 100 / 127, 100 / 127], [0.0] * 3]
    rounded = parity.ROUNDINGS["int8"](x_RI)
    torch.testing.assert_close(rounded[:3], torch.tensor(wanted))
    assert (rounded[3].abs() < 1e-30).all() and rounded.isfinite().all()
    assert (scale_of_the_tensor(x_RI)[0] != rounded[0]).any()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_another_network_of_the_same_shapes_is_refused(precision: NativePrecision) -> None:
    """In each precision, however large its own error is: fp32 is compared first."""
    model = drawn_mixer(SMALL)
    for block in model.blocks:
        block.mlp_channels.act = nn.GELU()
    isa = best_isa(precision)
    with pytest.raises(EngineError, match=r"and the native engine disagree: tokens differ by .*, at most 0\.01 is"):
        Engine.from_torch(model, precision=precision, isa=isa)
    assert Engine.from_torch(model, precision=precision, isa=isa, check=False).precision == precision


def four_bits(output: Output) -> Output:
    tokens = output.tokens
    assert tokens is not None
    step = np.abs(tokens).max() / 7
    return replace(output, tokens=(np.rint(tokens / step) * step).astype(np.float32))


def not_a_number(output: Output) -> Output:
    logits = output.logits.copy()
    logits[1, 3] = np.nan
    return replace(output, logits=logits)


@pytest.mark.parametrize("lie", [four_bits, not_a_number])
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_kernels_that_lose_more_than_their_precision_are_found(
    lie: Callable[[Output], Output], precision: NativePrecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Engine.forward

    def forward(engine: Engine, x_BCHW: np.ndarray, *, tokens: bool = False) -> Output:
        output = honest(engine, x_BCHW, tokens=tokens)
        return lie(output) if engine.precision == precision else output

    monkeypatch.setattr(Engine, "forward", forward)
    with pytest.raises(
        EngineError, match=rf"in {precision} on the native engine is too far from float32: .* `gmixer doctor"
    ):
        Engine.from_torch(drawn_mixer(SMALL), precision=precision, isa=best_isa(precision))


def test_the_model_stays_as_it_was() -> None:
    """The hooks that round are on a copy."""
    model: MlpMixer = drawn_mixer(SMALL)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x = torch.from_numpy(drawn_images(SMALL, 1))
    with torch.inference_mode():
        answer = model(x)
        Engine.from_torch(model, precision="int8")
        assert torch.equal(model(x), answer)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())
