"""`gmixer.load`: a model's name and flat keywords → a Predictor."""

from __future__ import annotations

import os

from gmixer.data import Preprocess
from gmixer.options import (
    Limits,
    Native,
    Orientation,
    Precision,
    Reading,
    RuntimeName,
    Torch,
    ValueRange,
    WeightsSource,
)
from gmixer.options import runtime_options as options_of
from gmixer.predictor import Predictor
from gmixer.runtimes import check_offered, open_runtime
from gmixer.weights import find_checkpoint


def load(
    model: str | os.PathLike[str],
    *,
    name: str | None = None,
    image_px: int | None = None,
    in_chans: int | None = None,
    runtime: RuntimeName = "native",
    threads: int | None = None,
    isa: str | None = None,
    device: str | None = None,
    precision: Precision | None = None,
    compile: bool = False,
    orientation: Orientation = "apply",
    range: ValueRange = "full",
    limits: Limits | None = None,
    allow_pickle: bool = False,
    allow_urls: bool = False,
    isolate: bool = False,
    fast_decode: bool = False,
) -> Predictor:
    """A Predictor of a model: a name, a Hub repository (`hf-hub:organization/model`, with or without `@revision`), a
    folder (timm's config.json + model.safetensors) or a `.safetensors` file.

    Weights that are on this machine are used without a look at the network; others are downloaded.
    name: which pretrained model a bare file is, if its shape fits several.
    image_px, in_chans: adapt the weights to images of another size or with other channels; None: as trained.
    runtime: "native", or "torch" (extra `gmixer[torch]`), which also runs on GPUs. Both give the same results.
    threads, isa: of the native runtime. threads: None takes what affinity and the control group allow. isa: "avx512",
        "avx2", "neon" or "scalar", for the network and for the resize; None takes $GMIXER_ISA, else the best.
    precision: of the products. The native runtime computes in "fp32", "bf16" or "int8", the torch runtime in "fp32",
        "bf16" or "fp16". None takes what the weights are stored for: int8 or bf16 for a folder that `gmixer convert`
        made, fp32 for all others (docs/precision.md).
    device, compile: of the torch runtime. device: None is "cpu"; else "cuda", "cuda:1", …. compile: by torch.compile,
        at the first batch.
    orientation: "apply" turns images as their EXIF data says; "ignore" is timm's behaviour.
    range: of values with more than 8 bits, where the file does not state it. "full" is that of their type; "used" is
        the lowest to the highest value of each image (docs/images.md).
    limits: an image that holds more is refused; None: Limits().
    allow_pickle: also read a `.pth` file (extra `gmixer[torch]`), with weights_only=True. If it holds averaged weights,
        these are used.
    allow_urls: whether an image may be an http or https URL. Only public addresses are asked.
    isolate: decode files in separate processes, to the same pixels, for images from strangers. A file that crashes or
        hangs the decoder, or fills the memory, then costs only its own result; limits has the time and the memory.
    fast_decode: decode large JPEGs at a half, a quarter or an eighth of their size: faster, but the pixels differ a
        little from timm's (docs/images.md).

    Raises UnknownModelError, WeightsError, EngineError, InputError, MissingExtraError. Never uses another model,
    runtime, device or precision instead.
    """
    runtime_options = options_of(runtime, threads=threads, isa=isa, device=device, precision=precision, compile=compile)
    weights = WeightsSource(name=name, allow_pickle=allow_pickle, fetch=True)
    reading = Reading(
        limits=Limits() if limits is None else limits,
        orientation=orientation,
        range=range,
        allow_urls=allow_urls,
        isolate=isolate,
        fast_decode=fast_decode,
    )
    return open_predictor(model, weights, reading, runtime_options, image_px=image_px, in_chans=in_chans)


def open_predictor(
    model: str | os.PathLike[str],
    weights: WeightsSource,
    reading: Reading,
    runtime: Native | Torch,
    *,
    image_px: int | None = None,
    in_chans: int | None = None,
) -> Predictor:
    """What `load` does, by the options as objects."""
    check_offered(runtime)  # before a download
    checkpoint = find_checkpoint(model, weights).adapted(image_px=image_px, in_chans=in_chans)
    opened = open_runtime(checkpoint, runtime)
    isa_of_resize = runtime.isa if isinstance(runtime, Native) else None
    preprocess = Preprocess(checkpoint.data, reading, isa=isa_of_resize)
    return Predictor(checkpoint, opened, preprocess)
