"""Runs the network in a contest: with gmixer, and with its peers on the same weights.

These functions run in the measured processes, which forward_contest.py starts.

B images of a batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.bench.stats import Spread
from gmixer.bench.stopwatch import ceiling_meter, time_beside_ceiling
from gmixer.bench.workload import Workload, drawn_images
from gmixer.config import ModelConfig
from gmixer.errors import EngineError
from gmixer.options import FP32, NativePrecision

if TYPE_CHECKING:
    from timm.models.mlp_mixer import MlpMixer

Float32 = NDArray[np.float32]

ONNX_FILE = "model.onnx"
ONNXRUNTIME_FILES: dict[NativePrecision, str] = {FP32: ONNX_FILE, "int8": "int8.onnx"}  # quantized.py writes int8's
OPENVINO_FILES: dict[NativePrecision, str] = {FP32: ONNX_FILE, "bf16": ONNX_FILE, "int8": "int8.xml"}
# Without a hint, OpenVINO silently computes in bfloat16 where the processor can. In int8 that is what NNCF does not
# quantize; gmixer computes it in float32. So int8 is measured with both: as in gmixer, and by OpenVINO's default.
OPENVINO_HINTS: dict[NativePrecision, dict[str, str]] = {
    FP32: {"INFERENCE_PRECISION_HINT": "f32"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
    "int8": {"INFERENCE_PRECISION_HINT": "f32"},
}
OPENVINO_DEFAULT: dict[str, str] = {}
EXACT_FILE, PLAIN_FILE = "exact.npy", "plain.npy"  # the logits of PyTorch in float64 and in float32
# Threads of ONNX Runtime, PyTorch and OpenVINO spin for about 60 ms after a call. A ceiling measured meanwhile would be
# half as high, and the fraction of it twice as large.
SETTLE_S = 0.15
BURST_S = 1.0  # requests in flight run at most this long, and never longer than the workload's seconds


@dataclass(frozen=True, slots=True)
class Work:
    call: Callable[[], object]
    images: int  # of a call
    logits_BK: Float32
    how: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """The input of every network."""

    workload: Workload
    folder: Path  # holds the files of prepare()
    x_BCHW: Float32


def prepare(workload: dict[str, Any], folder: str) -> None:
    """Runs in a fresh process. Writes the network as ONNX, and PyTorch's logits in float64 and float32.

    Raises EngineError for a model without classes, which has no logits to compare.
    """
    import torch

    load = Workload.from_dict(workload)
    torch.set_num_threads(load.threads)
    model, config = timm_model(load)
    if not config.num_classes:
        raise EngineError("peers.py compares logits, and this model has no classes (num_classes 0)")
    x_BCHW = torch.from_numpy(drawn_images(config, load.batch))
    axes = {"x": {0: "batch"}, "logits": {0: "batch"}}
    # The tracing exporter writes the same graph, and needs no package besides onnx.
    torch.onnx.export(
        model,
        (x_BCHW[:1],),
        Path(folder) / ONNX_FILE,
        input_names=["x"],
        output_names=["logits"],
        dynamic_axes=axes,
        dynamo=False,
    )
    with torch.inference_mode():
        np.save(Path(folder) / PLAIN_FILE, model(x_BCHW).numpy())
        model.double()
        exact_BK = np.concatenate([model(x[None].double()).numpy() for x in x_BCHW])
    np.save(Path(folder) / EXACT_FILE, exact_BK)


def error_unit(precision: NativePrecision) -> str:
    return "PyTorch's own error" if precision == FP32 else "the rms of the logits"


def error_of(logits_BK: Float32, task: Task) -> float:
    """The rms error of the logits against float64, in the error_unit of the workload's precision."""
    exact_BK, plain_BK = (np.load(task.folder / name)[: len(logits_BK)] for name in (EXACT_FILE, PLAIN_FILE))
    unit_BK = plain_BK - exact_BK if task.workload.precision == FP32 else exact_BK
    return float(np.linalg.norm(logits_BK - exact_BK) / np.linalg.norm(unit_BK))


def measure(network: str, workload: dict[str, Any], folder: str) -> dict[str, Any]:
    """Runs in a fresh process. Returns the fields of a Measurement but its peak of memory.

    The ceiling is that of the workload's instruction set and precision.
    """
    load = Workload.from_dict(workload)
    config = load.checkpoint().model
    task = Task(load, Path(folder), drawn_images(config, load.batch))
    work = NETWORKS[network](task)
    time.sleep(SETTLE_S)
    timing = time_beside_ceiling(
        work.call,
        flops=2.0 * config.macs * work.images,
        ceiling=ceiling_meter(load.native),
        seconds=load.seconds,
        settle_s=SETTLE_S,
    )
    return {
        "ms": Spread.of(timing.call_s).median * 1e3 / work.images,
        "fraction": Spread.of(timing.fractions).median,
        "ceiling_gflops": Spread.of(timing.ceilings).median * 1e-9,
        "error": error_of(work.logits_BK, task),
        "how": work.how,
    }


def timm_model(workload: Workload) -> tuple[MlpMixer, ModelConfig]:
    """timm's own network with the workload's weights, in eval mode."""
    import torch
    from timm.layers.mlp import GluMlp, Mlp
    from timm.models.mlp_mixer import MlpMixer
    from torch import nn

    checkpoint = workload.checkpoint()
    config = checkpoint.model
    # timm truncates ratio * channels to a whole number. The added half makes rounding errors harmless.
    fc1_per_channel = ((config.token_fc1 + 0.5) / config.channels, (config.channel_fc1 + 0.5) / config.channels)
    model = MlpMixer(
        num_classes=config.num_classes,
        img_size=config.image_px,
        in_chans=config.in_chans,
        patch_size=config.patch_px,
        num_blocks=config.blocks,
        embed_dim=config.channels,
        mlp_ratio=fc1_per_channel,
        mlp_layer=GluMlp if config.mlp == "swiglu" else Mlp,
        act_layer=nn.SiLU if config.mlp == "swiglu" else nn.GELU,
    )
    model.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in checkpoint.tensors()})
    return model.eval(), config


def _gmixer(task: Task) -> Work:
    engine = task.workload.load_engine()
    logits_BK = engine.forward(task.x_BCHW).logits
    return Work(lambda: engine.forward(task.x_BCHW), len(task.x_BCHW), logits_BK)


def _gmixer_fp32(task: Task) -> Work:
    """gmixer in fp32, in a contest of another precision. The ceiling and the unit of the error are the contest's."""
    native = replace(task.workload.native, precision=FP32)
    return _gmixer(replace(task, workload=replace(task.workload, native=native)))


def _timm_eager(task: Task) -> Work:
    return _in_torch(task, compiled=False)


def _timm_compiled(task: Task) -> Work:
    return _in_torch(task, compiled=True)


def _in_torch(task: Task, *, compiled: bool) -> Work:
    import torch

    torch.set_num_threads(task.workload.threads)
    eager, _ = timm_model(task.workload)
    model: Any = torch.compile(eager, dynamic=False) if compiled else eager
    x_BCHW = torch.from_numpy(task.x_BCHW)

    def call() -> Any:
        with torch.inference_mode():
            return model(x_BCHW)

    logits_BK = call().numpy()
    return Work(call, len(x_BCHW), logits_BK)


def _onnxruntime(task: Task) -> Work:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.workload.threads
    options.add_free_dimension_override_by_name("batch", len(task.x_BCHW))
    file = ONNXRUNTIME_FILES[task.workload.precision]
    session = onnxruntime.InferenceSession(str(task.folder / file), options, providers=["CPUExecutionProvider"])

    def call() -> list[Float32]:
        outputs: list[Float32] = session.run(None, {"x": task.x_BCHW})
        return outputs

    return Work(call, len(task.x_BCHW), call()[0])


def _openvino_latency(task: Task, hints: dict[str, str] | None = None) -> Work:
    network = _in_openvino(task, "LATENCY", len(task.x_BCHW), hints)

    def call() -> Float32:
        outputs: Float32 = network(task.x_BCHW, share_inputs=True)[0]
        return outputs

    logits_BK = call().copy()
    return Work(call, len(task.x_BCHW), logits_BK)


def _openvino_throughput(task: Task) -> Work:
    """Requests of a whole batch each. OpenVINO chooses how many run at a time."""
    return _in_flight(task, len(task.x_BCHW))


def _openvino_throughput_split(task: Task, hints: dict[str, str] | None = None) -> Work:
    """The batch, split into as many requests as OpenVINO chooses to run at a time."""
    parallel = _requests(_in_openvino(task, "THROUGHPUT", 1, hints))
    return _in_flight(task, max(1, len(task.x_BCHW) // parallel), hints)


def _openvino_default(task: Task) -> Work:
    """The faster of the two above by OpenVINO's default precision: latency for one image, else split."""
    network = _openvino_latency if len(task.x_BCHW) == 1 else _openvino_throughput_split
    return network(task, OPENVINO_DEFAULT)


def _in_flight(task: Task, request_images: int, hints: dict[str, str] | None = None) -> Work:
    import openvino

    network = _in_openvino(task, "THROUGHPUT", request_images, hints)
    queue = openvino.AsyncInferQueue(network, _requests(network))
    parallel, x_BCHW = len(queue), task.x_BCHW
    parts = [x_BCHW[at : at + request_images] for at in range(0, len(x_BCHW), request_images)]
    parts = [part for part in parts if len(part) == request_images]

    logits_BK = np.empty((len(x_BCHW), network.output(0).partial_shape[1].get_length()), np.float32)

    def keep(request: Any, at: int) -> None:
        logits_BK[at : at + request_images] = request.get_output_tensor(0).data

    queue.set_callback(keep)
    for at in range(0, len(x_BCHW), request_images):
        begin = min(at, len(x_BCHW) - request_images)  # the last part may overlap the part before it
        queue.start_async({0: x_BCHW[begin : begin + request_images]}, begin)
    queue.wait_all()
    queue.set_callback(lambda request, at: None)

    def burst(requests: int) -> None:
        for number in range(requests):
            queue.start_async({0: parts[number % len(parts)]}, 0, share_inputs=True)
        queue.wait_all()

    begin_s = time.perf_counter()
    burst(parallel)
    bursts = max(2, round(min(BURST_S, task.workload.seconds) / (time.perf_counter() - begin_s)))
    how = f"{parallel} requests of {request_images} image{'s' * (request_images > 1)} at a time"
    return Work(lambda: burst(bursts * parallel), bursts * parallel * request_images, logits_BK, how)


def _in_openvino(task: Task, goal: str, batch: int, hints: dict[str, str] | None = None) -> Any:
    """Compiled in the workload's precision. Raises EngineError if OpenVINO takes another one.

    hints: None means those of the precision.
    """
    import openvino

    core = openvino.Core()
    precision, threads = task.workload.precision, task.workload.threads
    network = core.read_model(task.folder / OPENVINO_FILES[precision])
    network.reshape({0: openvino.PartialShape([batch, *task.x_BCHW.shape[1:]])})
    hints = OPENVINO_HINTS[precision] if hints is None else hints
    settings = {"PERFORMANCE_HINT": goal, "INFERENCE_NUM_THREADS": threads, **hints}
    compiled = core.compile_model(network, "CPU", settings)
    taken = {name: compiled.get_property(name) for name in settings}
    wanted = {name: getattr(openvino.Type, hint) for name, hint in hints.items()} | {"INFERENCE_NUM_THREADS": threads}
    if any(taken[name] != value for name, value in wanted.items()):
        raise EngineError(f"OpenVINO took other settings than {settings}: {taken}")
    return compiled


def _requests(network: Any) -> int:
    return int(network.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))


NETWORKS: dict[str, Callable[[Task], Work]] = {
    "gmixer": _gmixer,
    "gmixer-fp32": _gmixer_fp32,
    "timm-eager": _timm_eager,
    "timm-compiled": _timm_compiled,
    "onnxruntime": _onnxruntime,
    "openvino-latency": _openvino_latency,
    "openvino-throughput": _openvino_throughput,
    "openvino-throughput-split": _openvino_throughput_split,
    "openvino-default": _openvino_default,
}
