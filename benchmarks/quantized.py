"""Makes the networks of the peers in int8 from the exported one. It runs in a fresh process, after networks.prepare.

B images of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.networks import ONNX_FILE, ONNXRUNTIME_FILES, OPENVINO_FILES, Float32
from gmixer.bench.workload import Workload, drawn_images

CALIBRATION_IMAGES = 32


def quantize(workload: dict[str, Any], folder: str, packages: Sequence[str]) -> None:
    """packages: only onnxruntime and nncf matter."""
    if "onnxruntime" in packages:
        _with_onnxruntime(Path(folder))
    if "nncf" in packages:
        load = Workload.from_dict(workload)
        x_BCHW = drawn_images(load.checkpoint().model, load.batch + CALIBRATION_IMAGES)
        _with_nncf(Path(folder), x_BCHW[load.batch :])  # not those that are measured


def _with_onnxruntime(folder: Path) -> None:
    """Dynamic quantization: each call computes the scales of its activations."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Only products: ONNX Runtime's convolution of integers is slower than the one of float32.
    quantize_dynamic(
        folder / ONNX_FILE,
        folder / ONNXRUNTIME_FILES["int8"],
        op_types_to_quantize=["MatMul"],
        weight_type=QuantType.QInt8,
    )


def _with_nncf(folder: Path, x_BCHW: Float32) -> None:
    """Post-training quantization for OpenVINO. The images give the ranges of the activations.

    The head stays in float32, as in gmixer. With its head in int8, the embedded model's error is 0.22 instead of 0.010,
    at the same speed (NNCF 3.4: SmoothQuant scales the head wrongly).
    """
    import nncf
    import openvino

    network = nncf.quantize(
        openvino.Core().read_model(folder / ONNX_FILE),
        nncf.Dataset([x_CHW[None] for x_CHW in x_BCHW]),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(patterns=[".*head.*"]),
        subset_size=len(x_BCHW),
    )
    # By default, save_model rounds all that is left in float32 to float16.
    openvino.save_model(network, folder / OPENVINO_FILES["int8"], compress_to_fp16=False)
