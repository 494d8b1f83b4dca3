"""benchmarks/networks.py, in this process: the reference in float64, and every network on the same weights."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from benchmarks import networks, quantized
from benchmarks.networks import NETWORKS, Task, prepare
from gmixer.bench.target import open_target
from gmixer.bench.workload import Workload, drawn_images
from gmixer.catalogue import VARIANTS
from gmixer.errors import EngineError
from gmixer.options import NativePrecision
from mixers import write_timm_folder

MODEL = "gmixer_8_64"
CONFIG = VARIANTS[MODEL].model
FLOAT32 = 5  # times PyTorch's error; a network computed in bfloat16 would be off by hundreds


def in_precision(task: Task, precision: NativePrecision) -> Task:
    native = replace(task.workload.native, precision=precision)
    return replace(task, workload=replace(task.workload, native=native))


@pytest.fixture(scope="module")
def task(workload: Workload, prepared: Path) -> Task:
    return Task(workload, prepared, drawn_images(CONFIG, workload.batch))


def test_the_reference_is_computed_in_float64(task: Task) -> None:
    exact_BK, plain_BK = (np.load(task.folder / name) for name in (networks.EXACT_FILE, networks.PLAIN_FILE))
    assert exact_BK.dtype == np.float64 and plain_BK.dtype == np.float32
    assert 1e-9 < np.linalg.norm(plain_BK - exact_BK) / np.linalg.norm(exact_BK) < 1e-4
    assert networks.error_of(plain_BK, task) == 1
    assert networks.error_of(exact_BK[:1].astype(np.float32), task) < 0.5, "of the first images of the batch"
    assert networks.error_of((1.25 * exact_BK).astype(np.float32), in_precision(task, "int8")) == pytest.approx(0.25)


# The precision of openvino-default depends on the CPU; test_peers.py runs it in int8.
@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("timm-compiled", "openvino-default")])
def test_a_network_computes_the_images_that_it_counts(name: str, task: Task) -> None:
    """The batch is odd, and openvino-throughput-split splits it."""
    work = NETWORKS[name](task)
    work.call()
    assert work.images >= 3 and work.logits_BK.shape == (3, CONFIG.num_classes)
    assert networks.error_of(work.logits_BK, task) < FLOAT32


def test_all_parts_of_a_split_batch_are_computed(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_requests", lambda network: 2)
    briefly = replace(task, workload=replace(task.workload, seconds=0.0))
    work = networks._in_flight(briefly, 2)  # two images, then the second one again with the third
    assert networks.error_of(work.logits_BK, task) < FLOAT32
    assert (work.images, work.how) == (2 * 2 * 2, "2 requests of 2 images at a time")


@pytest.mark.parametrize(("precision", "hint", "other"), [("fp32", "f32", "bf16"), ("bf16", "bf16", "f32")])
def test_openvino_in_another_precision_is_refused(
    task: Task, monkeypatch: pytest.MonkeyPatch, precision: NativePrecision, hint: str, other: str
) -> None:
    """This CPU may have no bfloat16. So a fake OpenVINO takes other settings than the ones it gets."""
    told: dict[str, Any] = {}

    def compile_model(network: object, device: str, settings: dict[str, Any]) -> Any:
        told.update(settings)
        taken = settings | {"INFERENCE_PRECISION_HINT": other}
        return SimpleNamespace(get_property=taken.__getitem__)

    core = SimpleNamespace(
        read_model=lambda path: SimpleNamespace(reshape=lambda shapes: None), compile_model=compile_model
    )
    fake = SimpleNamespace(Core=lambda: core, PartialShape=list, Type=SimpleNamespace(f32="f32", bf16="bf16"))
    monkeypatch.setitem(sys.modules, "openvino", fake)
    with pytest.raises(EngineError, match=rf"OpenVINO took other settings than .*'{hint}'.*: .*'{other}'"):
        networks._in_openvino(in_precision(task, precision), "LATENCY", 1)
    assert told == {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}


def test_int8_networks_compute_in_int8(task: Task) -> None:
    """gmixer and ONNX Runtime. test_peers.py covers OpenVINO, because NNCF takes long."""
    quantized.quantize(asdict(task.workload), str(task.folder), ["onnxruntime"])
    in_int8 = in_precision(task, "int8")
    errors = {name: networks.error_of(NETWORKS[name](in_int8).logits_BK, in_int8) for name in ("gmixer", "onnxruntime")}
    assert 1e-4 < errors["gmixer"] < 0.02 and 1e-4 < errors["onnxruntime"] < 0.05
    assert networks.error_of(NETWORKS["gmixer-fp32"](in_int8).logits_BK, in_int8) < 1e-6


def test_the_network_is_exported_with_any_batch(task: Task) -> None:
    network = onnx.load(task.folder / networks.ONNX_FILE)
    (image,) = network.graph.input
    assert image.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_model_without_classes_has_nothing_to_compare(workload: Workload, tmp_path: Path) -> None:
    write_timm_folder(tmp_path / "body", MODEL, replace(CONFIG, num_classes=0))
    body = replace(workload, source=str(tmp_path / "body"), batch=1)
    with pytest.raises(EngineError, match="this model has no classes"):
        prepare(asdict(body), str(tmp_path))


def test_drawn_weights_are_the_same_in_every_network() -> None:
    with open_target(MODEL) as target:
        checkpoint = target.workload().checkpoint()
        model, config = networks.timm_model(target.workload())
        assert checkpoint.model == config == target.config and target.drawn
        state = model.state_dict()
        for name, values in checkpoint.tensors():
            assert torch.equal(state[name], torch.from_numpy(values)), name
    assert not target.scratch.exists()
