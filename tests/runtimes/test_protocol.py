"""protocol.py: NaN is never an answer, whichever runtime computed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gmixer.catalogue import VARIANTS
from gmixer.errors import EngineError, InputError
from gmixer.isa import available_isas
from gmixer.options import Torch
from gmixer.runtimes import Engine, Output, Runtime, checked_output
from gmixer.runtimes.torch import TorchEngine
from mixers import drawn_images, drawn_mixer

SMALL = replace(VARIANTS["gmixer_8_64"].model, blocks=2)
Tensors = dict[str, NDArray[np.float32]]
RUNTIMES: dict[str, Callable[[Tensors], Runtime]] = {
    "native": lambda tensors: Engine(SMALL, tensors.items()),
    "torch": lambda tensors: TorchEngine(SMALL, tensors.items()),
}


def drawn_tensors() -> Tensors:
    return {name: tensor.numpy().copy() for name, tensor in drawn_mixer(SMALL).state_dict().items()}


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_images_that_are_not_finite_are_named(runtime: str, poison: float) -> None:
    engine = RUNTIMES[runtime](drawn_tensors())
    x = drawn_images(SMALL, 3)
    x[1, 2, 3, 4] = poison
    with pytest.raises(InputError, match="image 1 of 3 in the batch holds NaN or infinity; wanted finite"):
        engine.forward(x)
    assert np.isfinite(engine.forward(x[[0, 2]]).logits).all()


@pytest.mark.parametrize("tensor", ["stem.proj.weight", "blocks.1.mlp_channels.fc2.weight", "head.weight"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_weights_that_overflow_are_an_error(runtime: str, tensor: str) -> None:
    tensors = drawn_tensors()
    tensors[tensor][:] = 3e38
    engine = RUNTIMES[runtime](tensors)
    with pytest.raises(EngineError, match=r"computed NaN or infinity for 2 of 2 images, .*: take another checkpoint"):
        engine.forward(drawn_images(SMALL, 2))


@pytest.mark.parametrize("isa", available_isas())
def test_squares_that_overflow_in_a_layernorm_are_an_error(isa: str) -> None:
    """Finite values above 1.8e19: the native core took their variance for infinite, and the row for zeros."""
    tensors = drawn_tensors()
    tensors["blocks.1.mlp_channels.fc2.weight"] *= 1e30
    engine = Engine(SMALL, tensors.items(), isa=isa)
    assert np.isfinite(engine.stages(drawn_images(SMALL, 2))["block_1"]).all()
    with pytest.raises(EngineError, match="computed NaN or infinity for 2 of 2 images"):
        engine.forward(drawn_images(SMALL, 2))


@pytest.mark.parametrize("only", ["features", "logits"])
def test_one_image_of_a_batch_is_enough(only: str) -> None:
    engine, x = RUNTIMES["native"](drawn_tensors()), drawn_images(SMALL, 3)
    output = engine.forward(x)
    assert checked_output(output, x, engine) is output
    getattr(output, only)[2, -1] = np.nan
    with pytest.raises(EngineError, match=r"^<Engine: native on cpu.*> computed NaN or infinity for 1 of 3 images"):
        checked_output(output, x, engine)


def test_no_image_and_no_class_are_fine() -> None:
    x, empty = drawn_images(SMALL, 2), np.empty((2, 0), np.float32)
    engine = RUNTIMES["native"](drawn_tensors())
    assert engine.forward(x[:0]).logits.shape == (0, SMALL.num_classes)
    without_classes = Output(np.zeros((2, SMALL.channels), np.float32), empty)
    assert checked_output(without_classes, x, engine) is without_classes


def test_an_overflow_in_fp16_names_the_wider_precisions() -> None:
    tensors = drawn_tensors()
    for name in ("weight", "bias"):
        tensors[f"blocks.0.mlp_channels.fc1.{name}"] *= 1e5
    x = drawn_images(SMALL, 2)
    assert np.isfinite(TorchEngine(SMALL, tensors.items()).forward(x).logits).all()
    engine = TorchEngine(SMALL, tensors.items(), Torch(precision="fp16"))
    with pytest.raises(EngineError, match=r"fp16 ends at 65,504: pass precision='bf16' or 'fp32'"):
        engine.forward(x)
