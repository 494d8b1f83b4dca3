"""One image's row of an Output → its Result.

C channels, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gmixer.errors import InputError
from gmixer.labels import Label
from gmixer.options import FP32, Ask, Precision
from gmixer.results import Embedding, Prediction, Result, top_k

if TYPE_CHECKING:
    from gmixer.results.rollup import RollUp


class Answerer:
    """Names what one model gives.

    model: its name. labels: of its classes, none for a model without a classifier. precision: the runtime's.
    """

    def __init__(self, model: str, labels: Sequence[Label], precision: Precision = FP32) -> None:
        self.model, self.labels, self.precision = model, labels, precision

    def __call__(
        self, features_C: NDArray[np.float32], logits_K: NDArray[np.float32], ask: Ask, *, note: str | None = None
    ) -> Result:
        """note: of the image (ModelInput). Raises InputError if the ask cannot be answered, as `check` does."""
        embedding = Embedding(features_C, self.model, note, self.precision)
        if not self.labels:
            return Result(Prediction((), self.model, note=note, precision=self.precision), embedding)
        rollup = None if ask.rollup_at is None else partial(self._rollup.above, at=ask.rollup_at)
        (prediction,) = top_k(logits_K[None], ask.k, self.labels, self.model, rollup)
        return Result(replace(prediction, note=note, precision=self.precision), embedding)

    def check(self, ask: Ask) -> None:
        """Raises InputError for a roll-up if the model's classes are not ImageNet's, before any image is read."""
        if ask.rollup_at is not None:
            self.require_classes()
            self._rollup  # noqa: B018 - made here, so that it can be refused here

    def require_classes(self) -> None:
        """Raises InputError for a model without a classifier."""
        if not self.labels:
            raise InputError(f"{self.model} has no classes (num_classes 0); it can only embed")

    @cached_property
    def _rollup(self) -> RollUp:
        from gmixer.results.rollup import RollUp

        return RollUp(self.labels)
