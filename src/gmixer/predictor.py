"""Predictor, which joins the rooms: images → tensors → the network's output → results.

B images, C channels, K classes.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from typing import Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gmixer.config import DataConfig, ModelConfig
from gmixer.data.preprocess import ModelInput, Preprocess
from gmixer.errors import ImageError, InputError
from gmixer.images.decode import ImageLike
from gmixer.labels import Label, labels_for
from gmixer.options import Ask, Precision
from gmixer.prediction import Answerer, Prepared, Preparer, run, stack
from gmixer.results import Embedding, Prediction, Result
from gmixer.runtimes import Output, Runtime
from gmixer.sources.fetching import Fetch, fetch_urls
from gmixer.weights import Checkpoint

OnError = Literal["raise", "return"]


class ImageOutput(NamedTuple):
    """The network's output for one image. note, size_px: of its ModelInput."""

    features_C: NDArray[np.float32]
    logits_K: NDArray[np.float32]
    note: str | None
    size_px: tuple[int, int]


class Predictor:
    """A model with its transform, its labels and its runtime. `gmixer.load` makes one.

    An image is a path, bytes, a PIL image or a uint8 array (H, W, 3). A path may name a member of a tar or zip archive
    (`photos.tar::cat.jpg`); with allow_urls it may be a URL. One image returns one result, a list returns a list. An
    image that cannot be read raises ImageError. With on_error="return" the list holds the error in the image's place,
    and every other result is unchanged.
    """

    def __init__(self, checkpoint: Checkpoint, runtime: Runtime, preprocess: Preprocess | None = None) -> None:
        """preprocess: how images are read and turned into tensors; None: as the checkpoint was trained.

        Raises InputError for a runtime that holds another model.
        """
        if runtime.config != checkpoint.model:
            raise InputError(f"{runtime!r} holds another model than {checkpoint.name}; make it of checkpoint.model")
        self.checkpoint = checkpoint
        self.runtime = runtime
        self.preprocess = preprocess or Preprocess(checkpoint.data)
        labels = labels_for(checkpoint.model.num_classes, checkpoint.class_names)
        self.answer = Answerer(self.name, labels, runtime.precision)

    @property
    def name(self) -> str:
        return self.checkpoint.name

    @property
    def precision(self) -> Precision:
        """Of the blocks' products. Every result carries it."""
        return self.runtime.precision

    @property
    def model(self) -> ModelConfig:
        return self.checkpoint.model

    @property
    def data(self) -> DataConfig:
        return self.preprocess.config

    @property
    def labels(self) -> Sequence[Label]:
        return self.answer.labels

    def __repr__(self) -> str:
        return f"<Predictor {self.name} on {self.runtime!r}>"

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

        rollup_at: also list WordNet parent categories, such as dog for all breeds, in Prediction.rollup: each one with
            classes that together reach this probability. Only for models with ImageNet's classes.
        """
        self.answer.require_classes()
        results = self.predict(images, k, rollup_at=rollup_at, on_error=on_error)
        if isinstance(results, Result):
            return results.prediction
        return [r.prediction if isinstance(r, Result) else r for r in results]

    def embed(self, images: ImageLike | Sequence[ImageLike]) -> Embedding:
        """Features: float32 (C,) of one image, (B, C) of a list. Raises ImageError for the first bad image."""
        as_list, many = _as_list(images)
        vectors_BC = np.empty((len(as_list), self.model.channels), np.float32)
        notes: list[str] = []
        for i, outcome in enumerate(self.outputs(as_list)):
            if isinstance(outcome, ImageError):
                raise outcome
            vectors_BC[i] = outcome.features_C
            if outcome.note:
                notes.append(f"image {i}: {outcome.note}" if many else outcome.note)
        vectors = vectors_BC if many else vectors_BC[0]
        return Embedding(vectors, self.name, "; ".join(notes) or None, self.runtime.precision)

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
        return results if many else results[0]  # type: ignore[return-value] # an error of one image was raised

    def stream(
        self, images: Iterable[ImageLike | ImageError], k: int = 5, *, rollup_at: float | None = None
    ) -> Iterator[Result | ImageError]:
        """A result for each image of any iterable, in its order, in constant memory.

        An image that cannot be read yields its ImageError; all other results are unchanged. An ImageError among the
        images is yielded as it is. rollup_at: as in `classify`. Raises InputError for one image, such as a str.

        `stream` pulls images until a batch is full. A caller that collects batches itself, such as a server, uses
        Preparer, run and Answerer (gmixer.prediction).

        While one batch runs, other threads read and decode the next. `images` is advanced only in the caller's thread,
        by less than two batches (Runtime.batch_hint) more than results were yielded. An exception that `images` raises,
        or an InputError for an image, is raised after the results before it.
        """
        ask = Ask(k=k, rollup_at=rollup_at)
        self.answer.check(ask)
        with closing(self.outputs(images)) as outputs:
            for outcome in outputs:
                if isinstance(outcome, ImageError):
                    yield outcome
                else:
                    yield self.answer(outcome.features_C, outcome.logits_K, ask, note=outcome.note)

    def outputs(self, images: Iterable[ImageLike | ImageError]) -> Generator[ImageOutput | ImageError, None, None]:
        """The features and logits of each image, or its ImageError, in order: `stream` without classes."""
        with closing(self.prepared(images)) as batches:
            for batch in batches:
                yield from self.outputs_of(batch)

    def outputs_of(self, batch: Sequence[Prepared]) -> Iterator[ImageOutput | ImageError]:
        """One forward pass over the tensors of a batch. The outputs, or the errors as they are, in order."""
        tensors = [prepared.x_CSS for prepared in batch if not isinstance(prepared, ImageError)]
        output = run(self.runtime, tensors) if tensors else None
        rows = zip(output.features, output.logits, strict=True) if output else iter(())
        for prepared in batch:
            if isinstance(prepared, ImageError):
                yield prepared
            else:
                yield ImageOutput(*next(rows), prepared.note, prepared.size_px)

    def prepared(self, images: Iterable[ImageLike | ImageError]) -> Generator[list[Prepared], None, None]:
        """The batches that `outputs` runs: the tensor of each image, or its ImageError, in order."""
        _check_many(images)
        with (
            fetch_urls(images, self.preprocess.reading) as fetched,
            closing(self._prepare.batches(fetched, size=self.runtime.batch_hint)) as batches,
        ):
            yield from batches

    def transform(self, images: ImageLike | Sequence[ImageLike]) -> NDArray[np.float32]:
        """The exact tensor that the model sees: float32 (in_chans, image_px, image_px); for a list (B, in_chans, …)."""
        as_list, many = _as_list(images)
        tensors = [self.preprocess(image) for image in as_list]
        return stack(tensors, self.model) if many else tensors[0]

    def forward(self, x_BCHW: NDArray[np.float32], *, tokens: bool = False) -> Output:
        """Normalised images → features, logits, and tokens if wanted. Raises InputError for other arrays."""
        return self.runtime.forward(x_BCHW, tokens=tokens)

    def require_classes(self) -> None:
        """Raises InputError for a model without a classifier."""
        self.answer.require_classes()

    def require_rollup(self, at: float) -> None:
        """Raises InputError for a model with other classes than ImageNet's, and unless `at` is above 0, at most 1."""
        self.answer.check(Ask(rollup_at=at))

    @cached_property
    def _prepare(self) -> Preparer[ImageLike | Fetch]:
        return Preparer(self._model_input)

    def _model_input(self, image: ImageLike | Fetch) -> ModelInput:
        if isinstance(image, Fetch):
            return self.preprocess.with_note(image.read(), name=image.name)
        return self.preprocess.with_note(image)


def _check_many(images: object) -> None:
    """Raises InputError for a single image: iterating over it gives letters, numbers or rows."""
    is_one_array = isinstance(images, np.ndarray) and images.ndim < 4
    if is_one_array or isinstance(images, str | bytes | bytearray | memoryview | os.PathLike | Image.Image):
        raise InputError(
            f"images is a single {type(images).__name__}; wanted several images: pass a list, as in [image], or call "
            "classify, embed or predict for one image"
        )


def _as_list(images: ImageLike | Sequence[ImageLike]) -> tuple[list[ImageLike], bool]:
    """The images, and whether they came as a list or tuple."""
    if isinstance(images, list | tuple):
        return list(images), True
    return [images], False  # type: ignore[list-item] # a str or bytes is one image; decode refuses other sequences
