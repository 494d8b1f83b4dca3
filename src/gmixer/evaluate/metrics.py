"""How good the answers are, and how sure that is. Pure functions of a Outcomes.

N pictures, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmixer.evaluate.outcomes import Outcomes

Z_95 = 1.959963984540054  # of the standard normal distribution: 95 % lie within ± this
BINS = 15  # of the confidence, as in Guo et al., "On calibration of modern neural networks", arXiv 1706.04599


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `right` of n were counted; (0, 1) without any.

    Wilson's score interval (J. Am. Stat. Assoc. 22, 1927), which stays within 0…1 and is sound for few pictures, where
    the usual ± of the normal approximation is not.
    """
    if not n:
        return 0.0, 1.0
    share, z2 = right / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0)  # rounding may cross the share


@dataclass(frozen=True, slots=True)
class Share:
    """A share of n pictures, 0…1, with its 95 % interval."""

    right: int
    n: int

    @property
    def value(self) -> float:
        return self.right / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.n)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2%} ({low:.2%} … {high:.2%}, n = {self.n:,})"


def top(outcomes: Outcomes, k: int) -> Share:
    """How many pictures have a right class among the k most probable."""
    return Share(int((outcomes.rank < k).sum()), len(outcomes.rank))


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures whose answer's probability lies in one bin: their mean probability, and how many of them were right."""

    confidence: float
    accuracy: Share


def calibration(outcomes: Outcomes) -> tuple[float, list[Bin]]:
    """The expected calibration error, 0…1, over BINS bins of equal width; and those that hold pictures, lowest first.

    0.05: the probability that an answer is given is 5 percentage points off the share of such answers that are right.
    """
    place_N = np.minimum((outcomes.probability * BINS).astype(np.int64), BINS - 1)
    right_N = outcomes.rank == 0
    bins, error = [], 0.0
    for place in np.unique(place_N):
        in_bin = place_N == place
        accuracy = Share(int(right_N[in_bin].sum()), int(in_bin.sum()))
        confidence = float(outcomes.probability[in_bin].mean(dtype=np.float64))
        bins.append(Bin(confidence, accuracy))
        error += accuracy.n / len(place_N) * abs(accuracy.value - confidence)
    return error, bins


def per_class(outcomes: Outcomes, num_classes: int) -> list[Share]:
    """top-1 of the pictures of each class."""
    counts_K = np.bincount(outcomes.label, minlength=num_classes)
    right_K = np.bincount(outcomes.label[outcomes.rank == 0], minlength=num_classes)
    return [Share(int(right), int(n)) for right, n in zip(right_K, counts_K, strict=True)]


def confusion(outcomes: Outcomes, num_classes: int) -> NDArray[np.int64]:
    """(K, K): how many pictures of class i were taken for class j."""
    pairs = outcomes.label * num_classes + outcomes.predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
