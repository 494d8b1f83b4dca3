"""The embedded model on an image made by a formula: its weights, its transform and its answer.

golden.json holds the correct values, computed by timm and torch in float64 with tools/make_golden.py.
"""

from __future__ import annotations

import io
import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.catalogue import EMBEDDED_MODEL
from gmixer.doctor.child_process import in_child
from gmixer.doctor.finding import Outcome, failed, ok
from gmixer.doctor.install import REINSTALL

if TYPE_CHECKING:
    from gmixer.predictor import Predictor
    from gmixer.runtimes import Output

# One level of a pixel is at least 1/255/0.229 = 0.017 of the tensor. golden.json rounds at 1e-6.
TENSOR_TOLERANCE = 1e-5
# The bound of tests/runtimes/test_native.py for the worst element, in errors of PyTorch's float32 (in golden.json).
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


def answer() -> Outcome:
    """Classes and features of the image, against those of timm and torch in float64."""
    wanted = golden()
    output, labels, engine = in_child(_output)
    logits_K = output.logits[0].astype(np.float64)
    log_probability_K = logits_K - np.log(np.exp(logits_K - logits_K.max()).sum()) - logits_K.max()
    top5 = [index for index, _ in wanted["top5"]]
    got5 = np.argsort(-logits_K, kind="stable")[:5].tolist()
    # log softmax changes by at most twice the change of the logits.
    off_classes = np.abs(log_probability_K[top5] - [value for _, value in wanted["top5"]]).max()
    off_features = np.abs(output.features[0][FEATURES] - np.array(wanted["features"])).max()
    errors = max(
        float(off_classes) / (2 * wanted["logits_fp32_error"]), float(off_features) / wanted["features_fp32_error"]
    )
    best = f"{labels[got5[0]]} {np.exp(log_probability_K[got5[0]]):.1%}"
    if got5 != top5 or not errors <= MAX_ERRORS:
        return failed(
            f"{best}; wanted {labels[top5[0]]} {np.exp(wanted['top5'][0][1]):.1%}; {engine} is off by {errors:.2g} "
            f"errors of PyTorch's float32, at most {MAX_ERRORS:g} are allowed",
            f"repair what failed above (weights, transform, instruction sets); if nothing failed: {REINSTALL}",
        )
    return ok(f"{best}, on {engine}; off by {errors:.2f} errors of PyTorch's float32 (at most {MAX_ERRORS:g})")


def _output() -> tuple[Output, list[str], str]:
    """The output of the forward pass, the class names, and the instruction set."""
    from gmixer.loading import load
    from gmixer.runtimes import Engine
    from gmixer.weights.find import TableName

    predictor: Predictor = load(TableName(EMBEDDED_MODEL))
    assert isinstance(predictor.runtime, Engine)
    output = predictor.forward(predictor.transform([png()]))
    return output, [label.name.partition(",")[0] for label in predictor.labels], predictor.runtime.isa


@cache
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources.files("gmixer.doctor").joinpath("golden.json").read_text("utf-8"))
    return found
