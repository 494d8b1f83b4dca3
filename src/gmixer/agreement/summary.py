"""What differs in many images → the figures of an agreement. N images."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmixer.agreement.compare import Answers, Compared
from gmixer.errors import ImageError, InputError
from gmixer.evaluate.metrics import Share
from gmixer.evaluate.validate import named_few

CLEAR_MARGIN = 0.05  # an answer is clear if its probability exceeds the second one by this much
COSINE_PERCENTILES = (1, 5, 50)
DIVERGENCE_PERCENTILE = 99


class Changed(NamedTuple):
    """An image with two different answers."""

    path: str
    answers: Answers

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "answer": self.answers.given.to_dict(),
            "against": self.answers.expected.to_dict(),
            "margin": self.answers.margin,
        }


@dataclass(frozen=True)
class AnswersAgreement:
    """How far the answers agree; the figures of each image are in the order of the images (Answers has their meaning).

    changed: the images with two different answers, the largest margin first.
    """

    same_N: NDArray[np.bool_]
    margin_N: NDArray[np.float64]
    shared_N: NDArray[np.float64]
    divergence_N: NDArray[np.float64]
    probability_N: NDArray[np.float64]  # of the class that "against" answers, in "against"
    change_N: NDArray[np.float64]
    changed: Sequence[Changed]

    @property
    def same(self) -> Share:
        """The images with the same answer."""
        return Share(int(self.same_N.sum()), len(self.same_N))

    @property
    def clear(self) -> Share:
        """The same, of the images where the answer of "against" is clear (CLEAR_MARGIN)."""
        clear_N = self.margin_N >= CLEAR_MARGIN
        return Share(int((self.same_N & clear_N).sum()), int(clear_N.sum()))

    @property
    def shared(self) -> float:
        """The mean part of the five most probable classes that both have, 0…1."""
        return float(self.shared_N.mean())

    @property
    def mean_divergence(self) -> float:
        return float(self.divergence_N.mean())

    @property
    def high_divergence(self) -> float:
        """The percentile DIVERGENCE_PERCENTILE."""
        return float(np.percentile(self.divergence_N, DIVERGENCE_PERCENTILE))

    @property
    def mean_change(self) -> float:
        """Without the sign, 0…1."""
        return float(np.abs(self.change_N).mean())

    @property
    def largest_change(self) -> float:
        """Without the sign, 0…1."""
        return float(np.abs(self.change_N).max())

    def to_dict(self) -> dict[str, Any]:
        return {
            "same": self.same.value,
            "same_interval": self.same.interval,
            "clear_margin": CLEAR_MARGIN,
            "clear_n": self.clear.n,
            "clear_same": self.clear.value if self.clear.n else None,
            "clear_same_interval": self.clear.interval if self.clear.n else None,
            "top5_shared": self.shared,
            "probability_change": {"mean": self.mean_change, "largest": self.largest_change},
            "kl": {"mean": self.mean_divergence, f"p{DIVERGENCE_PERCENTILE}": self.high_divergence},
            "changed": [changed.to_dict() for changed in self.changed],
        }


@dataclass(frozen=True)
class Agreement:
    """answers: None for a model without classes. unreadable: the images that do not count. notes: path → note."""

    cosine_N: NDArray[np.float64]  # of the two embeddings of each image, -1…1
    answers: AnswersAgreement | None
    unreadable: Sequence[ImageError]
    notes: Mapping[str, str]

    @property
    def n(self) -> int:
        return len(self.cosine_N)

    @property
    def cosines(self) -> dict[int, float]:
        """By percentile: COSINE_PERCENTILES. The first one is the quality of the embeddings."""
        return {p: float(np.percentile(self.cosine_N, p)) for p in COSINE_PERCENTILES}

    def to_dict(self) -> dict[str, Any]:
        """What `gmixer agreement --json` prints, without the names of the two; shares are 0…1."""
        return {
            "n": self.n,
            "cosine": {f"p{percentile}": value for percentile, value in self.cosines.items()},
            "answers": self.answers and self.answers.to_dict(),
            "unreadable": [{"path": e.source, "kind": e.kind, "message": e.reason} for e in self.unreadable],
            "image_notes": [{"path": path, "note": note} for path, note in self.notes.items()],
        }


def summarise(results: Iterable[tuple[str, Compared | ImageError]]) -> Agreement:
    """results: each image's path or name, and what `compare` gives for it.

    Raises InputError if no image could be read.
    """
    cosines = array("d")
    rows = array("d")  # the figures of AnswersAgreement, image by image
    same, changed = list[bool](), list[Changed]()
    unreadable, notes = list[ImageError](), dict[str, str]()
    for path, found in results:
        if isinstance(found, ImageError):
            unreadable.append(found)
            continue
        if found.note:
            notes[path] = found.note
        cosines.append(found.cosine)
        if found.answers is not None:
            a = found.answers
            same.append(a.given.index == a.expected.index)
            rows.extend((a.margin, a.shared, a.divergence, a.expected.probability, a.change))
            if not same[-1]:
                changed.append(Changed(path, a))
    if not cosines:
        why = f" ({named_few(unreadable)})" if unreadable else ""
        raise InputError(f"no image can be read{why}; wanted at least one image, to compare two answers to it")
    answers = None
    if same:
        margin_N, shared_N, divergence_N, probability_N, change_N = np.array(rows).reshape(-1, 5).T
        changed.sort(key=lambda image: -image.answers.margin)
        answers = AnswersAgreement(
            np.array(same), margin_N, shared_N, divergence_N, probability_N, change_N, changed=changed
        )
    return Agreement(np.array(cosines), answers, unreadable, notes)
