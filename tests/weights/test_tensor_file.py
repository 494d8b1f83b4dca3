"""Reading safetensors: every dtype exactly, every damage refused by name."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gmixer.errors import WeightsError
from gmixer.weights.tensor_file import TensorFile


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_dtype_widens_exactly(dtype: torch.dtype, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(shape, generator=generator).to(dtype)
        for name, shape in {"b": (3, 5), "a": (7,), "c": (2, 3, 4, 5), "number": ()}.items()
    }
    save_file(tensors, tmp_path / "x.safetensors")
    file = TensorFile(tmp_path / "x.safetensors")
    assert {name: header.shape for name, header in file.headers.items()} == {
        k: tuple(v.shape) for k, v in tensors.items()
    }
    read = {name: values.copy() for name, values in file.tensors()}
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], tensor.float().numpy())


def test_mixed_dtypes_in_one_file(tmp_path: Path) -> None:
    tensors = {
        "half": torch.tensor([1.5, -2.0]).half(),
        "whole": torch.tensor([3.25]),
        "brain": torch.tensor([1e30]).bfloat16(),
    }
    save_file(tensors, tmp_path / "x.safetensors")
    file = TensorFile(tmp_path / "x.safetensors")
    assert file.dtypes == ("BF16", "F16", "F32")
    for name, values in file.tensors():
        np.testing.assert_array_equal(values, tensors[name].float().numpy())


def write(path: Path, header: object, data: bytes = b"", header_bytes: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if header_bytes is None else header_bytes) + text + data)
    return path


F32x1 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.write_bytes(b"PK\x03\x04 a zip of pickles, as torch.save writes it"),
        lambda p: write(p, b"not json"),
        lambda p: write(p, {"a": F32x1}, b"\0\0"),  # data cut off
        lambda p: write(p, {"a": F32x1}, b"\0" * 8),  # data left over
        lambda p: write(p, {"a": F32x1}, b"\0" * 4, header_bytes=2**62),
        lambda p: write(p, {"a": F32x1 | {"shape": [2**40, 2**40]}}, b"\0" * 4),
        lambda p: write(p, {"a": F32x1, "b": F32x1}, b"\0" * 4),  # two tensors on the same bytes
        lambda p: write(p, {"a": F32x1, "b": F32x1 | {"data_offsets": [8, 12]}}, b"\0" * 12),  # a hole
        lambda p: write(p, {"a": F32x1 | {"dtype": "F31"}}, b"\0" * 4),
    ],
)
def test_damage_is_refused_and_the_file_named(damage, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "damaged.safetensors"
    damage(path)
    with pytest.raises(WeightsError) as said:
        TensorFile(path)
    assert str(said.value) == (
        f"{path}: is not a safetensors file, or is cut short or damaged; fetch or copy it again, or write it with "
        f"safetensors.torch.save_file(state_dict, path)"
    )


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").touch()
    with pytest.raises(WeightsError, match=r"x.safetensors: is empty; fetch or copy it again"):
        TensorFile(tmp_path / "x.safetensors")


def test_class_names_in_the_metadata_are_said(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"format": "pt", "names": "[not JSON", "classes": "3"})
    TensorFile(path)
    assert not recwarn.list
    save_file({"a": torch.zeros(1)}, path, metadata={"class_names": '["ant", "bee"]'})
    with pytest.warns(UserWarning, match="class names under 'class_names' are not read from its metadata"):
        TensorFile(path)


@pytest.mark.parametrize("tensors", [70_000, 1], ids=["tensors by the thousand", "a text that explodes"])
def test_a_header_that_costs_more_than_any_model_needs(tensors: int, tmp_path: Path) -> None:
    """Refused by its length, before anybody parses it."""
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = {"__metadata__": {"x": "y" * (5_000_000 // tensors)}} | {f"tensor_{i}": empty for i in range(tensors)}
    path = write(tmp_path / "x.safetensors", header)
    with pytest.raises(WeightsError, match=r"x.safetensors: has a header of [\d,]+ bytes; wanted at most 4,194,304"):
        TensorFile(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent.safetensors: no such file"):
        TensorFile(tmp_path / "absent.safetensors")
    with pytest.raises(WeightsError, match=r"is a folder; wanted a .safetensors file"):
        TensorFile(tmp_path)


def test_a_file_that_shrinks_after_its_header_was_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(100)}, path)
    file = TensorFile(path)
    os.truncate(path, path.stat().st_size - 8)
    with pytest.raises(WeightsError, match=r"ends inside a; the file changed"):
        list(file.tensors())
