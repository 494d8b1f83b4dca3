"""gmixer.load: flat keywords → a Predictor."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gmixer
from gmixer.errors import EngineError, ImageError, InputError
from gmixer.options import Native, Torch, runtime_options
from mixers import drawn_images


def test_options_reach_the_runtime() -> None:
    native = gmixer.load("gmixer_8_64", threads=1, isa="scalar", precision="fp32")
    assert isinstance(native.runtime, gmixer.Engine)
    assert (native.runtime.threads, native.runtime.isa) == (1, "scalar")
    assert repr(native) == "<Predictor gmixer_8_64.distill_in1k on <Engine: native on cpu, fp32, scalar, 1 threads>>"
    by_torch = gmixer.load("gmixer_8_64", runtime="torch", device="cpu", precision="bf16")
    assert repr(by_torch) == "<Predictor gmixer_8_64.distill_in1k on <TorchEngine: torch on cpu, bf16>>"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "onnx"}, r"runtime is 'onnx'; wanted 'native' or 'torch'"),
        ({"runtime": "torch", "threads": 2}, r"threads=2 is for runtime='native', not 'torch'"),
        ({"runtime": "torch", "isa": "avx2"}, r"isa='avx2' is for runtime='native', not 'torch'"),
        (
            {"device": "cpu"},
            r"device='cpu' is for runtime='torch', not 'native': leave it out, or pass runtime='torch'",
        ),
        ({"compile": True}, r"compile=True is for runtime='torch', not 'native'"),
        (
            {"precision": "fp16"},
            r"precision is 'fp16'; the native runtime computes in fp32, bf16, int8: leave it out, or pass "
            r"runtime='torch' \(--runtime torch\), which computes in fp16$",
        ),
        ({"precision": "int4"}, r"precision is 'int4'; the native runtime computes in fp32, bf16, int8: leave it out$"),
        (
            {"runtime": "torch", "precision": "int8"},
            r"precision is 'int8'; the torch runtime computes in fp32, bf16, fp16: .* runtime='native' \(--runtime",
        ),
    ],
)
def test_an_option_of_the_other_runtime_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        gmixer.load("gmixer_8_64", **options)
    with pytest.raises(InputError, match=message):
        gmixer.load("/no/such/model", **options)  # before anything is read


def test_a_device_that_torch_cannot_use_is_an_error() -> None:
    for device in ("nonsense", ""):
        with pytest.raises(gmixer.EngineError, match=f"device='{device}' cannot be used"):
            gmixer.load("gmixer_8_64", runtime="torch", device=device)


def test_the_options_of_a_runtime_are_those_of_its_object() -> None:
    assert runtime_options("native", threads=None, device=None, compile=False, precision=None) == Native()
    assert runtime_options("native", precision="int8") == Native(precision="int8")
    assert runtime_options("torch", device="cuda:1", threads=None, compile=True) == Torch(device="cuda:1", compile=True)
    for kind, name, other in ((Native, "native", "torch"), (Torch, "torch", "native")):
        for option in {field.name for field in fields(kind)} - {"precision"}:
            with pytest.raises(InputError, match=rf"{option}='x' is for runtime='{name}', not '{other}'"):
                runtime_options(other, **{option: "x"})  # type: ignore[arg-type]


def test_orientation_is_applied_or_ignored(photos: list[Path]) -> None:
    upright = Image.open(photos[0]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn to the right
    stored = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(stored, "png", exif=exif)
    apply, ignore = gmixer.load("gmixer_8_64"), gmixer.load("gmixer_8_64", orientation="ignore")
    np.testing.assert_array_equal(apply.transform(stored.getvalue()), apply.transform(photos[0]))
    turned = np.array(upright.transpose(Image.Transpose.ROTATE_90))
    np.testing.assert_array_equal(ignore.transform(stored.getvalue()), ignore.transform(turned))


def test_limits_are_the_callers(photos: list[Path]) -> None:
    predictor = gmixer.load("gmixer_8_64", limits=gmixer.Limits(max_pixels=1000))
    with pytest.raises(ImageError, match="the limit is 1,000") as caught:
        predictor.classify(photos[0])
    assert caught.value.kind == "too_large"


@pytest.mark.parametrize("runtime", ["native", "torch"])
def test_weights_are_adapted_to_other_images(runtime: Any, photos: list[Path]) -> None:
    adapted = gmixer.load("gmixer_8_64", runtime=runtime, image_px=96)
    assert (adapted.model.image_px, adapted.data.image_px) == (96, 96)
    assert adapted.transform(photos).shape == (len(photos), 3, 96, 96)
    assert len(adapted.classify(photos[0])) == 5
    assert len(adapted.classify([])) == 0 and adapted.transform([]).shape == (0, 3, 96, 96)
    for in_chans in (1, 4):
        adapted = gmixer.load("gmixer_8_64", runtime=runtime, in_chans=in_chans)
        x_BCHW = drawn_images(adapted.model, 2)
        assert x_BCHW.shape == (2, in_chans, 64, 64)
        assert adapted.forward(x_BCHW).logits.shape == (2, 1000)
        assert adapted.transform([]).shape == (0, in_chans, 64, 64)


def python(program: str) -> str:
    """What a fresh process prints."""
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_the_torch_runtime_says_what_it_needs() -> None:
    said = python("""
        import sys
        sys.modules["torch"] = None  # as if it were not installed
        import gmixer
        try:
            gmixer.load("gmixer_8_64", runtime="torch")
        except gmixer.MissingExtraError as error:
            print(error)
    """)
    assert said == "runtime='torch' needs torch: pip install 'gmixer[torch]'"


def test_the_native_runtime_imports_no_torch() -> None:
    said = python("""
        import sys, numpy, gmixer
        gmixer.load("gmixer_8_64").classify(numpy.zeros((70, 90, 3), numpy.uint8))
        print("torch" in sys.modules, "gmixer.runtimes.torch" in sys.modules)
    """)
    assert said == "False False"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"threads": False}, EngineError),
        ({"isa": False}, EngineError),
        ({"precision": False}, InputError),
        ({"runtime": "torch", "device": False}, EngineError),
        ({"runtime": "torch", "threads": False}, InputError),
        ({"runtime": "torch", "isa": False}, InputError),
    ],
)
def test_a_wrong_value_is_not_taken_for_a_missing_one(given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        gmixer.load("gmixer_8_64", **given)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (None, {}, "model is a NoneType; wanted a model's name, hf-hub:organization/model, or the path of a file or"),
        (5, {}, "model is a int; wanted"),
        (b"x.safetensors", {}, "model is a bytes; wanted"),
        ("a\0b.pth", {}, r"model is 'a\\x00b.pth', with a zero byte; wanted"),
        ("gmixer_8_64", {"limits": 5}, "limits is 5; wanted a gmixer.Limits"),
        ("gmixer_8_64", {"limits": 0}, "limits is 0; wanted a gmixer.Limits"),
        ("gmixer_8_64", {"name": 5}, "name is 5; wanted the name of a pretrained model, or None"),
    ],
)
def test_arguments_of_another_type_are_refused_in_words(model: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        gmixer.load(model, **options)


def test_a_torch_model_has_its_own_ways_in() -> None:
    model = gmixer.create_model("gmixer_8_64")
    with pytest.raises(InputError, match=r"model is a Mixer; .* gmixer.save_model\(.*, or gmixer.Engine.from_torch"):
        gmixer.load(model)  # type: ignore[arg-type]
