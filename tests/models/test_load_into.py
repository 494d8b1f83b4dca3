"""Tensors into a torch model: all of them, or all but the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.errors import WeightsError
from gmixer.models.load_into import load_into
from gmixer.models.mixer import Mixer
from mixers import drawn_mixer

CONFIG = ModelConfig(
    image_px=32, patch_px=8, channels=48, blocks=3, token_hidden=20, channel_hidden=72, mlp="swiglu", num_classes=10
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, NDArray[np.float32]]:
    return {name: tensor.numpy() for name, tensor in drawn_mixer(CONFIG).state_dict().items()}


def test_every_tensor_is_copied(tensors: dict[str, NDArray[np.float32]]) -> None:
    model = Mixer(CONFIG)
    buffer = np.empty(max(values.size for values in tensors.values()), np.float32)

    def one_at_a_time():  # type: ignore[no-untyped-def] # each array is overwritten by the next, as a checkpoint's are
        for name, values in tensors.items():
            shared = buffer[: values.size].reshape(values.shape)
            shared[:] = values
            yield name, shared

    load_into(model, one_at_a_time(), new_head=False, source="x")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, torch.from_numpy(tensors[name])), name
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_new_head_stays_as_drawn(tensors: dict[str, NDArray[np.float32]]) -> None:
    model = Mixer(replace(CONFIG, num_classes=3), dtype=torch.float64)
    torch.nn.init.normal_(model.head.weight)
    drawn = model.head.weight.clone()
    load_into(model, tensors.items(), new_head=True, source="x")
    assert torch.equal(model.head.weight, drawn)
    assert torch.equal(model.norm.weight, torch.from_numpy(tensors["norm.weight"]).double())
    load_into(Mixer(replace(CONFIG, num_classes=0)), tensors.items(), new_head=True, source="x")


def test_read_only_arrays_and_unknown_tensors(tensors: dict[str, NDArray[np.float32]]) -> None:
    model = Mixer(CONFIG)
    frozen = {name: values.copy() for name, values in tensors.items()} | {"unknown": np.zeros(3, np.float32)}
    for values in frozen.values():
        values.flags.writeable = False
    load_into(model, frozen.items(), new_head=False, source="x")
    assert torch.equal(model.head.bias, torch.from_numpy(tensors["head.bias"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"norm.bias": None, "head.weight": None}, r"x.pth: lacks norm.bias, head.weight; leave out the option"),
        ({"norm.bias": np.zeros(1, np.float32)}, r"x.pth: norm.bias is \(1,\); wanted \(48,\), as in this model"),
        (
            {"head.weight": np.zeros((3, 48), np.float32)},
            r"x.pth: head.weight is \(3, 48\); wanted \(10, 48\)",
        ),
    ],
    ids=["missing", "another shape", "another head"],
)
def test_tensors_that_do_not_fit(
    change: dict[str, NDArray[np.float32] | None], words: str, tensors: dict[str, NDArray[np.float32]]
) -> None:
    changed = {name: values for name, values in (tensors | change).items() if values is not None}
    with pytest.raises(WeightsError, match=words):
        load_into(Mixer(CONFIG), changed.items(), new_head=False, source="x.pth")
