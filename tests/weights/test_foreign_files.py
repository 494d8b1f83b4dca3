"""Files that are passed for weights and are none: each is named, with a way out."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.errors import WeightsError
from gmixer.options import WeightsSource
from gmixer.weights import find_checkpoint
from mixers import drawn_mixer, write_timm_folder


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)


def plain_pickle(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


def older_form(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [torch.save, older_form, plain_pickle])
@pytest.mark.parametrize("wrap", [lambda m: {"model": m, "epoch": 1}, nn.DataParallel], ids=["in a dict", "wrapped"])
def test_a_whole_pickled_model_is_named(write: Callable[..., None], wrap: Any, tmp_path: Path) -> None:
    write(wrap(Small()), tmp_path / "x.pth")
    with pytest.raises(
        WeightsError, match=r"holds a whole pickled model \((Small|DataParallel)\), .*save_file"
    ) as said:
        gmixer.load(tmp_path / "x.pth", allow_pickle=True)
    assert "()" not in str(said.value).replace("state_dict()", ""), "no empty reason"


def test_programs_and_arrays_are_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Small()), tmp_path / "script.pt")
    torch.export.save(torch.export.export(Small(), (torch.zeros(1, 2),)), tmp_path / "program.pt2")
    np.savez(tmp_path / "google.npz", a=np.zeros(3))
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name, words in {
        "script.pt": r"is a TorchScript program, .*torch.jit.load\(path\).state_dict\(\)",
        "program.pt2": r"is a program of torch.export, .*torch.export.load\(path\).state_dict",
        "google.npz": r"is a NumPy archive \(.npz\), as Google published Mixer; wanted timm's names as .safetensors",
        "one.npy": "is a NumPy array",
    }.items():
        for allow_pickle in (False, True):
            with pytest.raises(WeightsError, match=f"{name}: {words}"):
                gmixer.load(tmp_path / name, allow_pickle=allow_pickle)
            with pytest.raises(WeightsError, match=f"{name}: {words}"):
                gmixer.create_model("gmixer_8_64", checkpoint_path=tmp_path / name, allow_pickle=allow_pickle)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.safetensors", b"<!DOCTYPE html><html>", "is an HTML page, not weights; download the file itself"),
        (
            "m.safetensors",
            b"version https://git-lfs.github.com/spec/v1\n",
            "is only the Git LFS pointer .* git lfs pull",
        ),
        ("m.bin", b"GGUF" + bytes(50), "is a GGUF file"),
        ("m.bin", b"\x89HDF\r\n\x1a\n" + bytes(50), "is an HDF5 file"),
        ("m.onnx", b"\x08\x08\x12\x07pytorch", "is an ONNX program"),
        ("m.safetensors", b"\n\n <!DOCTYPE html>\n<html>", "is an HTML page"),
        ("m.safetensors", b'{"error":"Repository not found"}', "is JSON, such as an error of a server, not weights"),
        ("m.pth", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is an XML page, such as an error"),
        ("config.json", b'{"architecture": "gmixer_12_224"}', "is no weights file; pass the folder that holds it"),
        ("config.json", b"{}", "is no weights file; pass the folder that holds it"),
    ],
)
def test_downloads_gone_wrong_are_named(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"{name}: {words}"):
        gmixer.load(tmp_path / name, allow_pickle=True)


def test_a_header_whose_length_reads_like_json(tmp_path: Path) -> None:
    """8,827 bytes: the length starts with {\"."""
    text = json.dumps({"__metadata__": {"x": ""}})
    text = json.dumps({"__metadata__": {"x": "y" * (8827 - len(text))}})
    (tmp_path / "m.safetensors").write_bytes(len(text).to_bytes(8, "little") + text.encode())
    with pytest.raises(WeightsError, match="holds no MLP-Mixer"):
        gmixer.load(tmp_path / "m.safetensors")


def test_a_model_in_several_files(tmp_path: Path) -> None:
    """As accelerate and transformers save a large model."""
    config = VARIANTS["gmixer_8_64"].model
    write_timm_folder(tmp_path / "model", "gmixer_8_64", config)
    state = drawn_mixer(config).state_dict()
    halves = [dict(list(state.items())[:40]), dict(list(state.items())[40:])]
    folder = tmp_path / "model"
    (folder / "model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name, half in zip(names, halves, strict=True):
        save_file({f"module.{key}": value for key, value in half.items()}, folder / name)
    index = {f"module.{key}": name for name, half in zip(names, halves, strict=True) for key in half}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    for source in (folder, folder / "model.safetensors.index.json"):
        read = {name: values.copy() for name, values in find_checkpoint(source).tensors()}
        assert read.keys() == state.keys()
        assert all(np.array_equal(read[name], tensor.numpy()) for name, tensor in state.items())
    with pytest.raises(WeightsError, match="is one of several files of a model; pass the folder"):
        find_checkpoint(folder / names[1])
    index_file = (folder / "model.safetensors.index.json").rename(tmp_path / "index.json")
    with pytest.raises(WeightsError, match=r"holds 2 parts of a model, such as .*, without model\.safetensors\.index"):
        find_checkpoint(folder)
    index_file.rename(folder / "model.safetensors.index.json")
    (folder / names[1]).unlink()
    with pytest.raises(WeightsError, match=f"{names[1]}: no such file"):
        find_checkpoint(folder)
    for damaged in ("{}", '{"weight_map": {"a": "../../x.safetensors"}}', '{"weight_map": [1]}', "["):
        (folder / "model.safetensors.index.json").write_text(damaged)
        with pytest.raises(WeightsError, match="is no index of safetensors files; wanted a weight_map"):
            find_checkpoint(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "best.ckpt", "mine.safetensors"])
def test_a_folders_weights_under_timms_other_names(name: str, tmp_path: Path) -> None:
    config = VARIANTS["gmixer_8_64"].model
    write_timm_folder(tmp_path / "m", "gmixer_8_64", config)
    (tmp_path / "m" / "model.safetensors").unlink()
    state = drawn_mixer(config).state_dict()
    (save_file if name.endswith(".safetensors") else torch.save)(state, tmp_path / "m" / name)
    assert find_checkpoint(tmp_path / "m", WeightsSource(allow_pickle=True)).path.name == name
    (tmp_path / "m" / f"b{Path(name).suffix}").write_bytes(b"")
    if name in ("best.ckpt", "mine.safetensors"):
        with pytest.raises(WeightsError, match=r"holds 2 weights files, .* wanted one: rename it to model.safetensors"):
            find_checkpoint(tmp_path / "m", WeightsSource(allow_pickle=True))
