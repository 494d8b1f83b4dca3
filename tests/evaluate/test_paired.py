"""paired.py: two predictors on the same labelled images."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gmixer
from gmixer.evaluate import Share
from gmixer.evaluate.metrics import Z_95
from gmixer.evaluate.outcomes import score_batch
from gmixer.evaluate.paired import Paired, bonett_price, paired

COUNTS = st.integers(1, 10**6).flatmap(
    lambda n: st.integers(0, n).flatmap(lambda a: st.tuples(st.just(a), st.integers(0, n - a), st.just(n)))
)


def test_counts_are_of_the_same_images(predictor: gmixer.Predictor) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 300, 3)).astype(np.float32)
    labels = rng.integers(0, 3, 300)
    right, right_too = first.argmax(axis=1) == labels, second.argmax(axis=1) == labels
    correct = [[int(label)] for label in labels]
    found = paired(score_batch(range(300), first, correct), predictor, score_batch(range(300), second, correct))
    assert found == Paired(
        model=predictor.name,
        precision="fp32",
        runtime=repr(predictor.runtime),
        top1=Share(int(right_too.sum()), 300),
        only_first=int((right & ~right_too).sum()),
        only_against=int((right_too & ~right).sum()),
    )
    assert found.difference == pytest.approx(right.mean() - right_too.mean())


@given(COUNTS)
def test_the_interval_holds_the_difference_and_turns_with_it(counts: tuple[int, int, int]) -> None:
    first, second, n = counts
    low, high = bonett_price(first, second, n)
    assert -1 <= low <= (first - second) / n <= high <= 1 and low < high
    assert bonett_price(second, first, n) == pytest.approx((-high, -low), abs=1e-12)


@pytest.mark.parametrize(("first", "second", "n"), [(0, 0, 1), (0, 0, 5000), (13, 18, 5000), (200, 10, 300), (9, 0, 9)])
def test_the_interval_is_the_usual_one_of_the_images_and_two_more(first: int, second: int, n: int) -> None:
    """One more that only the first has right, and one more that only the second has right."""
    difference = np.repeat([1, -1, 0], [first + 1, second + 1, n - first - second])
    half = Z_95 * difference.std() / len(difference) ** 0.5
    expected = (difference.mean() - half, difference.mean() + half)
    assert bonett_price(first, second, n) == pytest.approx(np.clip(expected, -1, 1), abs=1e-12)


@pytest.mark.parametrize("shares", [(0.001, 0.001), (0.02, 0.02), (0.05, 0.01), (0.3, 0.1)])
@pytest.mark.parametrize("n", [30, 100])
def test_the_interval_covers_95_percent(n: int, shares: tuple[float, float]) -> None:
    """By the probability of every outcome. The usual interval of such rare differences covers far less."""
    p, q = shares
    covered = usual = 0.0
    for a in range(n + 1):
        for b in range(n + 1 - a):
            probability = comb(n, a) * comb(n - a, b) * p**a * q**b * (1 - p - q) ** (n - a - b)
            low, high = bonett_price(a, b, n)
            covered += probability * (low <= p - q <= high)
            half = 1.96 * ((a + b - (a - b) ** 2 / n) ** 0.5) / n
            usual += probability * (abs((a - b) / n - (p - q)) <= half)
    assert covered > 0.945
    assert covered >= usual or shares == (0.3, 0.1)


def test_words_and_numbers_are_points_and_shares() -> None:
    found = Paired(model="m", precision="fp32", runtime="native", top1=Share(400, 1000), only_first=10, only_against=30)
    assert str(found).startswith("-2.00 points (-3.") and "paired, n = 1,000" in str(found)
    assert found.to_dict()["difference"] == -0.02 and found.to_dict()["top1"] == 0.4
