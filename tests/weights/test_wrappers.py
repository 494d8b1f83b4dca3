"""One unwrapping for every container: what training programs put around a model's names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.utils import CheckpointSaver, ModelEmaV3
from torch.optim.swa_utils import AveragedModel

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.errors import WeightsError
from gmixer.options import WeightsSource
from gmixer.weights import find_checkpoint
from gmixer.weights.state_dict import read_state_dict
from gmixer.weights.wrappers import model_in
from mixers import drawn_mixer

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return {name: tensor.half() for name, tensor in drawn_mixer(VARIANTS["gmixer_8_64"].model).state_dict().items()}


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def other(state: State) -> State:
    return {name: tensor + 1 for name, tensor in state.items()}


def inside(state: State, wrapper: str) -> State:
    """The wrapper's name within the names: torch.compile and FSDP wrap single blocks."""
    return {name.replace("blocks.0.", f"blocks.0.{wrapper}."): tensor for name, tensor in state.items()}


def assert_holds(path: Path, state: State) -> None:
    checkpoint = find_checkpoint(path, WeightsSource(allow_pickle=True))
    read = {name: values.copy() for name, values in checkpoint.tensors()}
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(read[name], tensor.float().numpy())


@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."),  # PyTorch
        *("model.", "model._orig_mod.", "net.", "classifier_of_mine.", "backbone."),  # Lightning, MMEngine
        *("timm_model.", "0.model.", "_fsdp_wrapped_module.module.", "module.module.module."),
    ],
)
@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_a_prefix_of_all_tensors_is_taken_off(prefix: str, kind: str, state: State, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    (torch.save if kind == "pth" else save_file)(under(prefix, state), path)
    assert_holds(path, state)


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_create_model_unwraps_too(kind: str, state: State, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    (torch.save if kind == "pth" else save_file)(under("model.", state), path)
    made = gmixer.create_model("gmixer_8_64", checkpoint_path=path, allow_pickle=True)
    assert torch.equal(made.norm.weight, state["norm.weight"].float())
    overlay = {"state_dict": {"model_state_dict": under("module.", state)}}
    made = gmixer.create_model("gmixer_8_64", pretrained=True, pretrained_cfg_overlay=overlay)
    assert torch.equal(made.norm.weight, state["norm.weight"].float())


@pytest.mark.parametrize("wrapper", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_a_wrapper_within_the_names_is_taken_off(wrapper: str, kind: str, state: State, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    (torch.save if kind == "pth" else save_file)(inside(state, wrapper), path)
    assert_holds(path, state)


@pytest.mark.parametrize(
    "key",
    ["model_state_dict", "module", "net", "network", "weights", "params", "my_best_net", "checkpoint.state.model"],
)
def test_a_key_may_have_any_name(key: str, state: State, tmp_path: Path) -> None:
    content: Any = under("module.", state)
    for name in reversed(key.split(".")):
        content = {name: content, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}
    torch.save(content, tmp_path / "x.pth")
    assert_holds(tmp_path / "x.pth", state)
    assert find_checkpoint(tmp_path / "x.pth", WeightsSource(allow_pickle=True)).file.part == key


@pytest.mark.parametrize("averaged", ["ema", "model_ema", "ema_state_dict", "averaged", "swa_model"])
def test_averaged_weights_go_first(averaged: str, state: State, tmp_path: Path) -> None:
    counter = {"n_averaged": torch.tensor(3)}
    torch.save({"model": other(state), averaged: under("module.", state) | counter}, tmp_path / "x.pth")
    assert_holds(tmp_path / "x.pth", state)


def test_timms_own_saver(state: State, tmp_path: Path) -> None:
    """train.py of timm: arguments, architecture, optimizer, and the averaged weights."""
    model = timm.create_model("gmixer_12_224", num_classes=3)
    ema = ModelEmaV3(model, decay=0.9)
    with torch.no_grad():
        model.norm.bias += 1
    saver = CheckpointSaver(
        model,
        torch.optim.AdamW(model.parameters()),
        args=argparse.Namespace(model="gmixer_12_224", lr=0.1),
        model_ema=ema,
        checkpoint_dir=str(tmp_path),
        recovery_dir=str(tmp_path),
    )
    saver.save_checkpoint(0, metric=1.0)
    assert_holds(tmp_path / "last.pth.tar", ema.module.state_dict())


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_tensors_beside_the_model_are_named(kind: str, state: State, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    content = under("model.", state) | {"criterion.weight": torch.ones(3)}
    if kind == "pth":
        torch.save({"state_dict": content, "hyper_parameters": {"lr": 0.1}}, path)  # Lightning's
    else:
        save_file(content, path)
    with pytest.warns(UserWarning, match="tensors begin with 'model.'; left out, beside them: criterion.weight"):
        assert_holds(path, state)


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_several_models_are_refused(kind: str, state: State, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    (torch.save if kind == "pth" else save_file)(under("student.", state) | under("teacher.", other(state)), path)
    with pytest.raises(WeightsError, match="holds 2 models, student and teacher; wanted one: save its weights alone"):
        find_checkpoint(path, WeightsSource(allow_pickle=True))
    # As DINO saves them: only the student was in DistributedDataParallel.
    two = {"student": under("module.backbone.", state), "teacher": under("backbone.", other(state))}
    torch.save(two, tmp_path / "dino.pth")
    with pytest.raises(WeightsError, match=r"holds 2 models, student\.module\.backbone and teacher\.backbone; wanted"):
        find_checkpoint(tmp_path / "dino.pth", WeightsSource(allow_pickle=True))
    with pytest.raises(WeightsError, match=r"holds norm\.bias twice"):
        model_in([*state, "norm._orig_mod.bias"], source="it")


def test_a_second_model_of_no_usual_name_is_said(
    state: State, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    torch.save({"state_dict": state, "state_dict_ema": other(state)}, tmp_path / "x.pth")
    assert_holds(tmp_path / "x.pth", other(state))
    assert not recwarn.list, "timm's"
    torch.save({"model": state, "best": other(state)}, tmp_path / "x.pth")
    with pytest.warns(UserWarning, match="holds 2 models; model was taken, not best; for another one, save"):
        assert_holds(tmp_path / "x.pth", state)


def test_dicts_that_hold_each_other_end(state: State, tmp_path: Path) -> None:
    loop: dict[str, Any] = {"epoch": 1}
    loop["again"] = loop
    torch.save({"a": loop, "model": state, "model_again": state}, tmp_path / "x.pth")
    assert_holds(tmp_path / "x.pth", state)


@pytest.mark.parametrize(
    "wrap",
    [
        *(pytest.param("compiled", marks=pytest.mark.slow), pytest.param("block compiled", marks=pytest.mark.slow)),
        *("parallel", "averaged", "in a module"),
    ],
)
def test_objects_are_unwrapped_like_files(wrap: str, tmp_path: Path) -> None:
    model = drawn_mixer(VARIANTS["gmixer_8_64"].model)
    plain = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if wrap == "block compiled":
        model.blocks[0] = torch.compile(model.blocks[0])
    wrapped = {
        "compiled": torch.compile,
        "block compiled": lambda model: model,
        "parallel": torch.nn.DataParallel,
        "averaged": AveragedModel,
        "in a module": lambda model: torch.nn.ModuleDict({"net": model}),
    }[wrap](model)
    gmixer.save_model(wrapped, tmp_path)
    assert_holds(tmp_path, plain)
    config, tensors = read_state_dict(wrapped.state_dict(), source="it")
    assert config == VARIANTS["gmixer_8_64"].model and dict(tensors).keys() == plain.keys()
    gmixer.Engine.from_torch(wrapped, check=wrap != "block compiled")  # its check would compile


def test_what_is_no_model(state: State) -> None:
    for wrong in (None, state, "gmixer_8_64"):
        with pytest.raises(WeightsError, match="is no torch module; wanted a Mixer of gmixer or timm"):
            gmixer.Engine.from_torch(wrong)
