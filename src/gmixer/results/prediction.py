"""Logits → the most probable classes by name.

B images, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from gmixer.labels import Label
from gmixer.options import FP32, Precision
from gmixer.results.probability import best_first, softmax


@dataclass(frozen=True, slots=True)
class Class:
    """One class with its probability, 0 … 1."""

    index: int
    synset: str  # WordNet 3.0 id such as "n02123045"; empty for a model's own classes
    label: str
    probability: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "synset": self.synset,
            "label": self.label,
            "probability": self.probability,
        }


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A WordNet parent category of several classes, such as dog, with the sum of their probabilities, 0 … 1."""

    synset: str
    label: str
    probability: float

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "probability": self.probability}


@dataclass(frozen=True, slots=True, repr=False)
class Prediction(Sequence[Class]):
    """The most probable classes of one image, the best first: `prediction[0].label`."""

    classes: tuple[Class, ...]
    model: str
    rollup: tuple[Ancestor, ...] = ()  # the most specific first, entity last; empty unless the caller asked for it
    note: str | None = None  # what the caller may not expect of the image as read, such as an alpha that was ignored
    precision: Precision = FP32  # of the products that computed it

    @overload
    def __getitem__(self, index: int) -> Class: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Class, ...]: ...
    def __getitem__(self, index: int | slice) -> Class | tuple[Class, ...]:
        return self.classes[index]

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[Class]:
        return iter(self.classes)

    def above(self, threshold: float) -> Prediction:
        """Only the classes with at least this probability; the roll-up does not change."""
        return replace(self, classes=tuple(c for c in self.classes if c.probability >= threshold))

    def to_dict(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "model": self.model,
            "precision": self.precision,
            "predictions": [c.to_dict() for c in self.classes],
        }
        if self.rollup:
            fields["rollup"] = [ancestor.to_dict() for ancestor in self.rollup]
        if self.note:
            fields["note"] = self.note
        return fields

    def __repr__(self) -> str:
        lines = "".join(f"\n  {c.probability:6.1%}  {c.label}" for c in self.classes) or " (no class)"
        if self.rollup:
            lines += "\n  in all: " + ", ".join(f"{a.label} {a.probability:.1%}" for a in self.rollup)
        if self.note:
            lines += f"\n  note: {self.note}"
        return f"<Prediction by {self.model} in {self.precision}{lines}>"


def top_k(
    logits_BK: NDArray[np.float32],
    k: int,
    labels: Sequence[Label],
    model: str,
    rollup: Callable[[NDArray[np.float64]], tuple[Ancestor, ...]] | None = None,
) -> list[Prediction]:
    """The k most probable classes of each image; of equal ones the lower index comes first.

    rollup: gives the ancestors to list, from the probabilities (K,) of one image.
    """
    probability_BK = softmax(logits_BK, np.float64)
    order_BK = best_first(logits_BK)[:, :k]
    return [
        Prediction(
            tuple(Class(int(i), labels[i].synset, labels[i].name, float(probability_K[i])) for i in order_K),
            model,
            rollup(probability_K) if rollup else (),
        )
        for probability_K, order_K in zip(probability_BK, order_BK, strict=True)
    ]
