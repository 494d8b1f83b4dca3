"""The embedded model on an image made by a formula: its weights, its transform and its answer.

golden.json holds the correct values, computed by timm and torch in float64 with tools/make_golden.py.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.catalogue import EMBEDDED_MODEL
from gmixer.doctor.child_process import in_child
from gmixer.doctor.finding import Outcome, failed, ok
from gmixer.doctor.install import REINSTALL
from gmixer.options import FP32, NativePrecision

if TYPE_CHECKING:
    from gmixer.predictor import Predictor
    from gmixer.runtimes import Output

# One level of a pixel is at least 1/255/0.229 = 0.017 of the tensor. golden.json rounds at 1e-6.
TENSOR_TOLERANCE = 1e-5
# The bound of tests/runtimes/test_native.py for the worst element, in errors of PyTorch (in golden.json).
MAX_ERRORS = 4.0

# What golden.json keeps: every 16th pixel of each row and column, every 16th feature, the five best classes.
PIXELS = np.s_[:, 8::16, 8::16]
FEATURES = np.s_[::16]


def image() -> NDArray[np.uint8]:
    """(96, 128, 3), from integers alone: curves and a chequerboard. Its edges differ with each filter."""
    y, x = np.mgrid[0:96, 0:128]
    red = x * x // 61 + 2 * y
    green = 255 - (x * y // 48)
    blue = 200 * ((x // 11 + y // 13) % 2) + (3 * x + y) % 56
    return (np.dstack([red, green, blue]) % 256).astype(np.uint8)


def png() -> bytes:
    """The image as a lossless file, so that the answer also tests the decoder."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image()).save(file, "PNG")
    return file.getvalue()


def weights() -> Outcome:
    """The SHA-256 of the embedded weights, against the recorded one."""
    import hashlib

    from gmixer.weights import find

    path = find.EMBEDDED_WEIGHTS
    try:
        with open(path, "rb") as file:
            got = hashlib.file_digest(file, "sha256").hexdigest()
        wanted = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["sha256"]
    except OSError as error:
        return failed(f"{error.filename}: {error.strerror}", REINSTALL)
    if got != wanted:
        return failed(f"{path} has SHA-256 {got[:12]}…; wanted {wanted[:12]}…: the file is damaged", REINSTALL)
    return ok(f"{EMBEDDED_MODEL}, {path.stat().st_size / 2**20:.1f} MiB, SHA-256 {got[:12]}… as recorded")


def transform() -> Outcome:
    """Decoding, resizing, cropping and normalising, against timm's."""
    from PIL import __version__ as pillow

    from gmixer.catalogue import find_model
    from gmixer.data import Preprocess
    from gmixer.isa import available_isas

    _, _, pretrained = find_model(EMBEDDED_MODEL)
    assert pretrained is not None  # it is in the catalogue
    # The best ISA, because the check of the native core reports a wrong $GMIXER_ISA.
    got = Preprocess(pretrained.data, isa=available_isas()[0])(png())[PIXELS]
    off = float(np.abs(got - np.array(golden()["tensor"])).max())
    if not off <= TENSOR_TOLERANCE:
        return failed(
            f"the tensor of an image differs from timm's by up to {off:.2g}, with Pillow {pillow}; wanted the same",
            f"install the recorded version of Pillow: pip install pillow=={golden()['made_with']['pillow']}",
        )
    return ok(f"the tensor of an image equals timm's, with Pillow {pillow}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answers in one precision. errors: its largest error, in errors of that precision."""

    precision: NativePrecision
    isa: str
    best: str  # the class, with its probability
    errors: float
    right: bool


def answer() -> Outcome:
    """Classes and features of the image, in each precision, against those of timm and torch in float64.

    The bound counts errors of PyTorch in the same precision, which golden.json has: in bf16 and int8 with the operands
    of the MLPs' products rounded. In these, a class may change places with one that is as probable.
    """
    offered = [precision for precision in golden()["errors"] if _is_offered(precision)]
    answers = [_answer_in(precision) for precision in offered]
    shown = ", ".join(f"{a.precision} on {a.isa} by {a.errors:.2f}" for a in answers)
    if wrong := [a for a in answers if not a.right]:
        index, log_probability = golden()["top5"][0]
        named = "; ".join(f"in {a.precision} on {a.isa} it is {a.best}" for a in wrong)
        return failed(
            f"{named}; wanted {_labels()[index]} {np.exp(log_probability):.1%}; off, in errors of PyTorch's float32, "
            f"bf16 and int8 (at most {MAX_ERRORS:g} are allowed): {shown}",
            f"repair what failed above (weights, transform, instruction sets); if nothing failed: {REINSTALL}",
        )
    return ok(f"{answers[0].best}; off, in errors of PyTorch in the same precision (at most {MAX_ERRORS:g}): {shown}")


def _is_offered(precision: NativePrecision) -> bool:
    """False where only the slow scalar kernels have it; the check of the instruction sets runs these."""
    from gmixer.errors import EngineError
    from gmixer.isa import check_isa

    if precision == FP32:
        return True  # a wrong $GMIXER_ISA fails then
    try:
        check_isa(None, precision)
    except EngineError:
        return False
    return True


def _answer_in(precision: NativePrecision) -> Answer:
    wanted = golden()
    output, isa = in_child(partial(_output, precision))
    logits_K = output.logits[0].astype(np.float64)
    log_probability_K = logits_K - np.log(np.exp(logits_K - logits_K.max()).sum()) - logits_K.max()
    top5 = [index for index, _ in wanted["top5"]]
    got5 = np.argsort(-logits_K, kind="stable")[:5].tolist()
    features_error, logits_error = wanted["errors"][precision]
    # log softmax changes by at most twice the change of the logits.
    off_classes = np.abs(log_probability_K[top5] - [value for _, value in wanted["top5"]]).max() / (2 * logits_error)
    off_features = np.abs(output.features[0][FEATURES] - np.array(wanted["features"])).max() / features_error
    errors = float(np.maximum(off_classes, off_features))  # NaN if one of them is
    best = f"{_labels()[got5[0]]} {np.exp(log_probability_K[got5[0]]):.1%}"
    same = got5 == top5 if precision == FP32 else got5[0] == top5[0]
    return Answer(precision, isa, best, errors, same and errors <= MAX_ERRORS)


def _output(precision: NativePrecision) -> tuple[Output, str]:
    """The output of the forward pass, and the instruction set."""
    from gmixer.loading import load
    from gmixer.runtimes import Engine
    from gmixer.weights.find import TableName

    predictor: Predictor = load(TableName(EMBEDDED_MODEL), precision=precision)
    assert isinstance(predictor.runtime, Engine)
    return predictor.forward(predictor.transform([png()])), predictor.runtime.isa


def _labels() -> list[str]:
    from gmixer.labels import labels_for

    return [label.name.partition(",")[0] for label in labels_for(1000)]


@cache
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources.files("gmixer.doctor").joinpath("golden.json").read_text("utf-8"))
    return found
