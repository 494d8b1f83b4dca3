"""The architecture out of names and shapes, and the comparison with the one wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gmixer.catalogue import VARIANTS
from gmixer.config import ModelConfig
from gmixer.errors import WeightsError
from gmixer.weights.architecture import check_file, infer_architecture, variants_of
from gmixer.weights.tensor_file import TensorFile

SMALL = replace(VARIANTS["gmixer_8_64"].model, blocks=2)


def file_of(config: ModelConfig, path: Path, **changes: np.ndarray | None) -> TensorFile:
    """A file of zeros of the right shapes; changes: name (dots as __) → another array, or None to leave it out."""
    tensors = {name: np.zeros(shape, np.float16) for name, shape in config.tensor_shapes().items()}
    for name, array in changes.items():
        tensors.pop(name.replace("__", "."), None)
        if array is not None:
            tensors[name.replace("__", ".")] = array
    save_file(tensors, path / "some.safetensors")
    return TensorFile(path / "some.safetensors")


def infer(file: TensorFile) -> ModelConfig:
    return infer_architecture(file.shapes, source=str(file.path))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_recognised(variant: str, tmp_path: Path) -> None:
    config = replace(VARIANTS[variant].model, blocks=2)
    assert infer(file_of(config, tmp_path)) == config
    assert variants_of(VARIANTS[variant].model) == [variant]
    assert variants_of(replace(VARIANTS[variant].model, num_classes=7, in_chans=1)) == [variant]
    assert variants_of(config) == []


@pytest.mark.parametrize(
    "config", [replace(SMALL, num_classes=0), replace(SMALL, num_classes=5, in_chans=1), replace(SMALL, mlp="gelu")]
)
def test_heads_channels_and_gates_are_inferred(config: ModelConfig, tmp_path: Path) -> None:
    assert infer(file_of(config, tmp_path)) == config


def test_no_mixer(tmp_path: Path) -> None:
    save_file({"conv1.weight": np.zeros((4, 3, 7, 7), np.float32)}, tmp_path / "resnet.safetensors")
    with pytest.raises(
        WeightsError, match=r"resnet.safetensors: holds no MLP-Mixer \(conv1.weight.*wanted timm's names"
    ):
        infer(TensorFile(tmp_path / "resnet.safetensors"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm__bias": None}, r"some.safetensors: lacks norm.bias; wanted the \d+ tensors of"),
        ({"head__weight": None, "head__bias": None}, "lacks head.weight, head.bias; wanted"),
        ({"extra": np.zeros(1, np.float32)}, "holds the unknown extra; wanted"),
        ({"norm__bias": None, "extra": np.zeros(1, np.float32)}, "lacks norm.bias and holds the unknown extra"),
        ({"norm__bias": np.zeros(255, np.float32)}, "norm.bias is 255, .* wants 256; load it by its own name"),
        (
            {"head__weight": np.zeros((10, 256), np.float32), "head__bias": np.zeros(10, np.float32)},
            "head.weight is 10×256, .* wants 1000×256; set num_classes to 10|head.bias is 10, .* wants 1000; set",
        ),
        ({"norm__bias": np.zeros(256, np.float64)}, "norm.bias is stored as F64; wanted F32, F16 or BF16"),
        ({"norm__bias": np.zeros(256, np.int8)}, "norm.bias is stored as I8; wanted"),
    ],
)
def test_got_wanted_and_way_out(changes: dict[str, np.ndarray | None], message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        check_file(file_of(SMALL, tmp_path, **changes), SMALL)


@pytest.mark.parametrize(
    ("changes", "way_out"),
    [
        ({"norm__bias": None}, r"save all of the model's state_dict\(\), and nothing else"),
        ({"extra": np.zeros(1, np.float32)}, r"save all of the model's state_dict\(\), and nothing else"),
        (
            {"head__weight": None, "head__0__weight": np.zeros((9, 256), np.float32)},
            "rename .* to head.weight and head.bias",
        ),
        (
            {"blocks__0__norm1__bias": None, "blocks__8__norm1__bias": np.zeros(256, np.float32)},
            "load it by its own name",
        ),
    ],
)
def test_ways_out_for_missing_and_unknown_tensors(
    changes: dict[str, np.ndarray | None], way_out: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=f"; {way_out}$|; {way_out}, or pass a folder with its own config.json$"):
        check_file(file_of(SMALL, tmp_path, **changes), SMALL)


def test_a_head_without_rows_is_no_mixer(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds no MLP-Mixer"):
        infer(file_of(SMALL, tmp_path, head__weight=np.zeros((), np.float32)))


def test_swapped_widths_are_refused(tmp_path: Path) -> None:
    """Token and channel widths the wrong way round: the mistake a published Mixer shipped with."""
    swapped = replace(SMALL, token_hidden=SMALL.channel_hidden, channel_hidden=SMALL.token_hidden)
    with pytest.raises(WeightsError, match=r"fc1.weight is 1024×64|fc1"):
        check_file(file_of(swapped, tmp_path), SMALL)
