"""Two predictors' outputs for the same tensors → what differs, image by image.

B images of a batch, C channels, K classes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmixer.errors import ImageError
from gmixer.evaluate.paired import check_comparable
from gmixer.images.decode import ImageLike
from gmixer.prediction import run
from gmixer.predictor import Predictor
from gmixer.results import Class, best_first
from gmixer.runtimes import Output

TOP = 5  # classes of each answer that are compared


class Answers(NamedTuple):
    """Two answers to one image: that of a predictor, and that of the one that it is compared with, "against"."""

    given: Class  # the predictor's most probable class
    expected: Class  # that of "against"
    margin: float  # by which the probability of `expected` exceeds the second one, in "against", 0…1
    shared: float  # the part of the TOP most probable classes that both have, 0…1
    divergence: float  # Kullback and Leibler's, of the predictor from "against", in nats
    change: float  # of the probability of the class `expected`, -1…1


class Compared(NamedTuple):
    """cosine: of the two embeddings. answers: None for a model without classes. note: of the image."""

    cosine: float
    answers: Answers | None
    note: str | None


def compare(
    predictor: Predictor, against: Predictor, images: Iterable[ImageLike | ImageError]
) -> Generator[Compared | ImageError, None, None]:
    """For each image what differs between the two, or its ImageError, in order and in constant memory.

    Each image is read and decoded once, as `predictor` reads images; both networks get the same tensor.
    Raises InputError if the two have different networks, transforms or classes.
    """
    check_comparable(predictor, against)
    with closing(predictor.prepared(images)) as batches:
        for batch in batches:
            tensors = [prepared.x_CSS for prepared in batch if not isinstance(prepared, ImageError)]
            rows: Iterator[tuple[float, Answers | None]] = iter(())
            if tensors:
                given, expected = run(predictor.runtime, tensors), run(against.runtime, tensors)
                cosines = cosine(given.features, expected.features).tolist()
                rows = zip(cosines, _answers(predictor, given, expected), strict=True)
            for prepared in batch:
                yield prepared if isinstance(prepared, ImageError) else Compared(*next(rows), prepared.note)


def sides(predictor: Predictor, against: Predictor) -> tuple[str, str]:
    """What to call the two: by their precisions, or by their names if the precisions are the same."""
    if predictor.precision != against.precision:
        return predictor.precision, against.precision
    return predictor.name, against.name


def cosine(a_BC: NDArray[np.float32], b_BC: NDArray[np.float32]) -> NDArray[np.float64]:
    """(B,), -1…1. Of two vectors of zeros 1; of one vector of zeros 0."""
    a_BC, b_BC = a_BC.astype(np.float64), b_BC.astype(np.float64)  # the square of no float32 exceeds a float64
    lengths_B = np.linalg.norm(a_BC, axis=1) * np.linalg.norm(b_BC, axis=1)
    same_B = (a_BC == b_BC).all(axis=1).astype(np.float64)
    cosine_B = np.divide((a_BC * b_BC).sum(axis=1), lengths_B, out=same_B, where=lengths_B > 0)
    clipped_B: NDArray[np.float64] = cosine_B.clip(-1, 1)  # rounding may pass 1
    return clipped_B


def _answers(predictor: Predictor, given: Output, expected: Output) -> Iterator[Answers | None]:
    """Of each image of a batch."""
    if not predictor.labels:
        yield from [None] * len(given.features)
        return
    given_log_BK, expected_log_BK = _log_softmax(given.logits), _log_softmax(expected.logits)
    given_BK, expected_BK = np.exp(given_log_BK), np.exp(expected_log_BK)
    divergence_B = (expected_BK * (expected_log_BK - given_log_BK)).sum(axis=1)
    orders = zip(best_first(given.logits)[:, :TOP], best_first(expected.logits)[:, :TOP], strict=True)
    for b, (given_order, expected_order) in enumerate(orders):
        first, *others = map(int, expected_order)
        yield Answers(
            given=_class(predictor, int(given_order[0]), given_BK[b]),
            expected=_class(predictor, first, expected_BK[b]),
            margin=float(expected_BK[b, first] - (expected_BK[b, others[0]] if others else 0)),
            shared=len({*given_order} & {*expected_order}) / len(expected_order),
            divergence=max(float(divergence_B[b]), 0.0),  # rounding can make the sum negative
            change=float(given_BK[b, first] - expected_BK[b, first]),
        )


def _log_softmax(logits_BK: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithms of the probabilities: finite for finite logits, also where a probability is too small for a float."""
    log_BK = logits_BK.astype(np.float64)
    log_BK -= log_BK.max(axis=1, keepdims=True)
    log_BK -= np.log(np.exp(log_BK).sum(axis=1, keepdims=True))
    return log_BK


def _class(predictor: Predictor, index: int, probability_K: NDArray[np.float64]) -> Class:
    label = predictor.labels[index]
    return Class(index, label.synset, label.name, float(probability_K[index]))
