"""The sentence that joins the rooms: bytes → pixels → tensor → model → results.

B images, C channels, K classes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray

from gmixer.config import DataConfig, ModelConfig
from gmixer.data import Preprocess
from gmixer.errors import ImageError, InputError, require_torch
from gmixer.images.decode import ImageLike
from gmixer.labels import labels_for
from gmixer.options import Limits, Orientation, Reading
from gmixer.prefetch import batches, prefetch
from gmixer.results import Embedding, Prediction, Result, top_k
from gmixer.runtimes import Engine, Output, Precision, Runtime, default_threads
from gmixer.runtimes.protocol import check_precision
from gmixer.weights import Checkpoint, find_checkpoint

if TYPE_CHECKING:
    from gmixer.results.rollup import RollUp
    from gmixer.runtimes.torch import TorchEngine

OnError = Literal["raise", "return"]
RuntimeName = Literal["native", "torch"]
BATCH = 16  # images run together, while as many are decoded; the time per image is flat from 4 up (native/README.md)
MAX_DECODERS = 4  # threads; each may hold a decoded picture, and what of decoding is Python runs in one at a time


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
    precision: Precision = "fp32",
    compile: bool = False,
    orientation: Orientation = "apply",
    limits: Limits | None = None,
    allow_pickle: bool = False,
    allow_urls: bool = False,
    isolate: bool = False,
    fast_decode: bool = False,
) -> Predictor:
    """A Predictor of a model name, a repository on the Hub (`hf-hub:organization/model`, with `@revision` or
    without), a folder (timm's config.json + model.safetensors) or a `.safetensors` file.

    Weights that are on this machine are taken as they are, without a look at the network; else they are fetched.
    name: which pretrained model a bare file is, where its shape fits several.
    image_px, in_chans: adapt the weights to pictures of another size or with other channels; None: as trained.
    runtime: "native", or "torch" (extra `gmixer[torch]`), which runs on GPUs too: the same pixels, the same results.
    threads, isa: of the native runtime. threads: None takes what affinity and the control group allow; isa: "avx512",
        "avx2", "neon" or "scalar", None takes $GMIXER_ISA, else the best there is.
    device, precision, compile: of the torch runtime. device: None is "cpu"; else "cuda", "cuda:1", …; precision:
        "fp32", "bf16" or "fp16", of the products; compile: by torch.compile, at the first batch.
    orientation: "apply" turns pictures as their EXIF says; "ignore" is timm's behaviour.
    allow_pickle: take a `.pth` file too (extra `gmixer[torch]`), read with weights_only=True; of a checkpoint with
        averaged weights those.
    allow_urls: whether an image may be an http or https URL; only public addresses are asked.
    isolate: decode files in processes of their own, to the same pixels, so that one which hangs or crashes the decoder,
        or fills the memory, costs only its own result; limits has the time and the memory. For pictures from strangers.
    fast_decode: decode large JPEGs at a half, a quarter or an eighth of their size: faster, and a little off timm's
        pixels (docs/pictures.md).

    Raises UnknownModelError, WeightsError, EngineError, InputError, MissingExtraError. Never falls back to another
    model, runtime, device or precision.
    """
    _check_runtime(
        runtime,
        {"threads": threads, "isa": isa, "device": device, "compile": compile or None},
        precision,
    )
    checkpoint = find_checkpoint(model, name=name, from_hub=True, allow_pickle=allow_pickle)
    checkpoint = checkpoint.adapted(image_px=image_px, in_chans=in_chans)
    source = str(checkpoint.path)
    engine: Runtime
    if runtime == "native":
        engine = Engine(checkpoint.model, checkpoint.tensors(), threads=threads, isa=isa, source=source)
    else:
        engine = _torch_engine()(
            checkpoint.model,
            checkpoint.tensors(),
            device="cpu" if device is None else device,
            precision=precision,
            compile=compile,
            source=source,
        )
    reading = Reading(
        limits=limits or Limits(),
        orientation=orientation,
        allow_urls=allow_urls,
        isolate=isolate,
        fast_decode=fast_decode,
    )
    return Predictor(checkpoint, engine, Preprocess(checkpoint.data, reading))


class Predictor:
    """A model with its transform, its labels and the runtime that it runs on. `gmixer.load` makes one.

    An image is a path, bytes, a PIL image or a uint8 array (H, W, 3). A path may lead into a tar or zip archive
    (`photos.tar::cat.jpg`); with allow_urls a URL will do. One image in, one result out; a list in, a list out. A
    picture that cannot be read raises ImageError; with on_error="return" the error stands in its place in the list, and
    every other result is exactly what it would have been without it.
    """

    def __init__(self, checkpoint: Checkpoint, engine: Runtime, preprocess: Preprocess | None = None) -> None:
        """preprocess: how pictures are read and what the model sees of them; None: as the checkpoint was trained."""
        if engine.config != checkpoint.model:
            raise InputError(f"{engine!r} holds another model than {checkpoint.name}; make it of checkpoint.model")
        self.checkpoint = checkpoint
        self.engine = engine
        self.preprocess = preprocess or Preprocess(checkpoint.data)
        self.labels = labels_for(checkpoint.model.num_classes, checkpoint.class_names)

    @property
    def name(self) -> str:
        return self.checkpoint.name

    @property
    def model(self) -> ModelConfig:
        return self.checkpoint.model

    @property
    def data(self) -> DataConfig:
        return self.preprocess.config

    def __repr__(self) -> str:
        return f"<Predictor {self.name} on {self.engine!r}>"

    @overload  # a str is one image, although it is also a sequence of str
    def classify(  # type: ignore[overload-overlap]
        self, images: ImageLike, k: int = 5, *, rollup_at: float | None = None
    ) -> Prediction: ...
    @overload
    def classify(
        self,
        images: Sequence[ImageLike],
        k: int = 5,
        *,
        rollup_at: float | None = None,
        on_error: Literal["raise"] = "raise",
    ) -> list[Prediction]: ...
    @overload
    def classify(
        self, images: Sequence[ImageLike], k: int = 5, *, rollup_at: float | None = None, on_error: OnError
    ) -> list[Prediction] | list[Prediction | ImageError]: ...
    def classify(
        self,
        images: ImageLike | Sequence[ImageLike],
        k: int = 5,
        *,
        rollup_at: float | None = None,
        on_error: OnError = "raise",
    ) -> Prediction | list[Prediction] | list[Prediction | ImageError]:
        """The k most probable classes of each image.

        rollup_at: also list, in Prediction.rollup, what WordNet has above the classes, such as dog above all breeds,
            where the classes below sum to this probability or more; for models with ImageNet's classes.
        """
        self.require_classes()
        results = self.predict(images, k, rollup_at=rollup_at, on_error=on_error)
        if isinstance(results, Result):
            return results.prediction
        return [r.prediction if isinstance(r, Result) else r for r in results]

    def embed(self, images: ImageLike | Sequence[ImageLike]) -> Embedding:
        """Features of the images: float32 (C,) for one, (B, C) for a list. Raises ImageError for the first bad one."""
        results = self.predict(images, k=1)
        if isinstance(results, Result):
            return results.embedding
        vectors_BC = np.empty((len(results), self.model.channels), np.float32)
        for row_C, result in zip(vectors_BC, results, strict=True):
            row_C[:] = result.embedding.vectors
        return Embedding(vectors_BC, self.name)

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, images: ImageLike, k: int = 5, *, rollup_at: float | None = None
    ) -> Result: ...
    @overload
    def predict(
        self,
        images: Sequence[ImageLike],
        k: int = 5,
        *,
        rollup_at: float | None = None,
        on_error: Literal["raise"] = "raise",
    ) -> list[Result]: ...
    @overload
    def predict(
        self,
        images: ImageLike | Sequence[ImageLike],
        k: int = 5,
        *,
        rollup_at: float | None = None,
        on_error: OnError = "raise",
    ) -> Result | list[Result] | list[Result | ImageError]: ...
    def predict(
        self,
        images: ImageLike | Sequence[ImageLike],
        k: int = 5,
        *,
        rollup_at: float | None = None,
        on_error: OnError = "raise",
    ) -> Result | list[Result] | list[Result | ImageError]:
        """Classes and embedding of each image, from one pass. rollup_at: as in `classify`."""
        if on_error not in ("raise", "return"):
            raise InputError(f"on_error is {on_error!r}; wanted 'raise' or 'return'")
        as_list, many = _as_list(images)
        results: list[Result | ImageError] = []
        for result in self.stream(as_list, k, rollup_at=rollup_at):
            if isinstance(result, ImageError) and (on_error == "raise" or not many):
                raise result
            results.append(result)
        return results if many else results[0]  # type: ignore[return-value] # one that failed was raised

    def stream(
        self, images: Iterable[ImageLike | ImageError], k: int = 5, *, rollup_at: float | None = None
    ) -> Iterator[Result | ImageError]:
        """A result for each image of any iterable, in its order, as they come; memory does not grow with their number.

        A picture that cannot be read gives its ImageError in its place, and costs no other result; an ImageError among
        the images comes out as it is. rollup_at: as in `classify`.

        While one batch runs, the next is read and decoded in other threads. images is advanced in the caller's thread
        alone, by at most 2 * BATCH more than results were handed out. What it raises, or an InputError for an image,
        comes after the results before it.
        """
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise InputError(f"k is {k!r}; wanted a whole number, 1 or more")
        if rollup_at is not None:
            self.require_rollup(rollup_at)
        with closing(prefetch(self._try_transform, images, threads=self._decoders, ahead=BATCH)) as tensors:
            for batch in batches(tensors, BATCH):
                good = [tensor for tensor in batch if not isinstance(tensor, ImageError)]
                answers = iter(self._answers(good, k, rollup_at))
                for tensor in batch:
                    yield tensor if isinstance(tensor, ImageError) else next(answers)

    def require_classes(self) -> None:
        """Raises InputError for a model without a classifier."""
        if self.model.num_classes == 0:
            raise InputError(f"{self.name} has no classes (num_classes 0); it can only embed")

    def require_rollup(self, at: float) -> None:
        """Raises InputError for a model whose classes are not ImageNet's, and where `at` is not above 0, at most 1."""
        self.require_classes()
        if isinstance(at, bool) or not isinstance(at, int | float) or not 0 < at <= 1:
            raise InputError(f"rollup_at is {at!r}; wanted a probability above 0, at most 1")
        self._rollup  # noqa: B018 - made here, where it can be refused

    @cached_property
    def _rollup(self) -> RollUp:
        from gmixer.results.rollup import RollUp

        return RollUp(self.labels)

    def transform(self, images: ImageLike | Sequence[ImageLike]) -> NDArray[np.float32]:
        """The exact tensor the model sees: float32 (in_chans, image_px, image_px); of a list (B, in_chans, …)."""
        as_list, many = _as_list(images)
        tensors = [self.preprocess(image) for image in as_list]
        return self._stack(tensors) if many else tensors[0]

    def forward(self, x_BCHW: NDArray[np.float32], *, tokens: bool = False) -> Output:
        """Normalised images → features, logits, and the tokens if asked for. Raises InputError for other arrays."""
        return self.engine.forward(x_BCHW, tokens=tokens)

    @cached_property
    def _decoders(self) -> int:
        return min(default_threads(), MAX_DECODERS)

    def _try_transform(self, image: ImageLike | ImageError) -> NDArray[np.float32] | ImageError:
        if isinstance(image, ImageError):
            return image
        try:
            return self.preprocess(image)
        except ImageError as error:
            return error

    def _stack(self, tensors: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        if tensors:
            return np.stack(tensors)
        return np.empty((0, self.model.in_chans, self.model.image_px, self.model.image_px), np.float32)

    def _answers(self, tensors: list[NDArray[np.float32]], k: int, rollup_at: float | None) -> list[Result]:
        if not tensors:
            return []
        output = self.engine.forward(self._stack(tensors))
        if self.model.num_classes:
            rollup = None if rollup_at is None else partial(self._rollup.above, at=rollup_at)
            predictions = top_k(output.logits, k, self.labels, self.name, rollup)
        else:
            predictions = [Prediction((), self.name)] * len(tensors)
        return [
            Result(prediction, Embedding(features_C, self.name))
            for prediction, features_C in zip(predictions, output.features, strict=True)
        ]


def _check_runtime(runtime: RuntimeName, options: Mapping[str, object], precision: Precision) -> None:
    """Raises InputError for an option (None: not said) that the runtime has no use for, before anything is loaded."""
    homes = {"threads": "native", "isa": "native", "device": "torch", "compile": "torch"}
    if runtime not in ("native", "torch"):
        raise InputError(f"runtime is {runtime!r}; wanted 'native' or 'torch'")
    for option, value in options.items():
        if value is not None and homes[option] != runtime:
            raise InputError(
                f"{option}={value!r} is for runtime={homes[option]!r}, not {runtime!r}: leave it out, or change runtime"
            )
    check_precision(precision)
    if runtime == "native" and precision != "fp32":
        raise InputError(
            f"precision is {precision!r}; the native engine computes in fp32: leave it out, or pass runtime='torch'"
        )


def _torch_engine() -> type[TorchEngine]:
    with require_torch("runtime='torch'"):
        from gmixer.runtimes.torch import TorchEngine
    return TorchEngine


def _as_list(images: ImageLike | Sequence[ImageLike]) -> tuple[list[ImageLike], bool]:
    """The images, and whether they came as a list or tuple."""
    if isinstance(images, list | tuple):
        return list(images), True
    return [images], False  # type: ignore[list-item] # any other sequence is a str or bytes, or decode refuses it
