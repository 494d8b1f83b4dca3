"""How good the answers are, with confidence intervals. Pure functions of Outcomes.

N images, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmixer.evaluate.outcomes import Outcomes

Z_95 = 1.959963984540054  # of the standard normal distribution: 95 % lie within ± this
BINS = 15  # of the probability, as in Guo et al., "On calibration of modern neural networks", arXiv 1706.04599


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share, `correct` of n; (0, 1) if n is 0.

    Wilson's score interval (J. Am. Stat. Assoc. 22, 1927). It stays within 0…1, and it is also valid for few images;
    the usual ± of the normal approximation is not.
    """
    if not n:
        return 0.0, 1.0
    share, z2 = correct / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0)  # rounding may cross the share


@dataclass(frozen=True, slots=True)
class Share:
    """A share of n images, 0…1, with its 95 % interval."""

    correct: int
    n: int

    @property
    def value(self) -> float:
        return self.correct / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.correct, self.n)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2%} ({low:.2%} … {high:.2%}, n = {self.n:,})"


def top(outcomes: Outcomes, k: int) -> Share:
    """How many images have a correct class among the k most probable."""
    return Share(int((outcomes.rank < k).sum()), len(outcomes.rank))


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers with a probability in one bin: their mean probability, and how many were correct."""

    confidence: float
    accuracy: Share


def calibration(outcomes: Outcomes) -> tuple[float, list[Bin]]:
    """The expected calibration error, 0…1, over BINS bins of equal width; and the bins that hold images, lowest first.

    An error of 0.05 means: on average, the probability of an answer differs by 5 percentage points from the share of
    such answers that are correct.
    """
    bin_N = np.minimum((outcomes.probability * BINS).astype(np.int64), BINS - 1)
    correct_N = outcomes.rank == 0
    bins, error = [], 0.0
    for number in np.unique(bin_N):
        in_bin = bin_N == number
        accuracy = Share(int(correct_N[in_bin].sum()), int(in_bin.sum()))
        confidence = float(outcomes.probability[in_bin].mean(dtype=np.float64))
        bins.append(Bin(confidence, accuracy))
        error += accuracy.n / len(bin_N) * abs(accuracy.value - confidence)
    return error, bins


def per_class(outcomes: Outcomes, num_classes: int) -> list[Share]:
    """top-1 of the images of each class."""
    counts_K = np.bincount(outcomes.label, minlength=num_classes)
    correct_K = np.bincount(outcomes.label[outcomes.rank == 0], minlength=num_classes)
    return [Share(int(correct), int(n)) for correct, n in zip(correct_K, counts_K, strict=True)]


def confusion(outcomes: Outcomes, num_classes: int) -> NDArray[np.int64]:
    """(K, K): for how many images of class i the answer was class j."""
    pairs = outcomes.label * num_classes + outcomes.predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
