"""metrics.py against other ways to compute the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from gmixer.evaluate import Outcomes, Share, calibration, confusion, per_class, top, wilson
from gmixer.evaluate.metrics import Z_95
from gmixer.evaluate.outcomes import score_batch

K = 7


def outcomes(n: int, *, classes: int = K, seed: int = 0) -> Outcomes:
    """Logits with many ties, so that their order counts."""
    rng = np.random.default_rng(seed)
    logits = rng.integers(-3, 4, (n, classes)).astype(np.float32)
    return score_batch(range(n), logits, [[int(label)] for label in rng.integers(0, classes, n)])


def test_z_is_the_normal_distributions() -> None:
    assert norm.ppf(0.975) == pytest.approx(Z_95, abs=1e-12)


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 40), (40, 40), (1, 3), (309, 1000), (39024, 50000)])
def test_interval_equals_scipys(right: int, n: int) -> None:
    theirs = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_holds_the_share_and_lies_within_0_and_1(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1
    assert low < high


def test_nothing_is_known_without_images() -> None:
    assert Share(0, 0).interval == (0.0, 1.0) and Share(0, 0).value == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(0, 10**6))
def test_more_places_are_never_less_right(n: int, seed: int) -> None:
    found = outcomes(n, seed=seed)
    shares = [top(found, k) for k in range(1, K + 1)]
    assert all(a.correct <= b.correct for a, b in pairwise(shares))
    assert shares[-1].correct == n


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(0, 10**6))
def test_shares_of_a_set_add_up_to_the_whole(sizes: list[int], seed: int) -> None:
    """Several processes that each score some of the images give the same figures as one process."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    logits = rng.integers(-3, 4, (n, K)).astype(np.float32)
    labels = [[int(label)] for label in rng.integers(0, K, n)]
    order = rng.permutation(n)
    parts, at = [], 0
    for size in sizes:
        chosen = order[at : at + size]
        parts.append(score_batch(chosen.tolist(), logits[chosen], [labels[i] for i in chosen]))
        at += size
    ours, whole = Outcomes.joined(parts), score_batch(range(n), logits, labels)
    assert ours.image.tolist() == list(range(n))
    assert (top(ours, 1), top(ours, 5), per_class(ours, K)) == (top(whole, 1), top(whole, 5), per_class(whole, K))
    assert np.array_equal(confusion(ours, K), confusion(whole, K))
    assert calibration(ours) == calibration(whole)


def test_per_class_and_confusion_count_the_same_images() -> None:
    found = outcomes(500)
    by_hand = np.zeros((K, K), np.int64)
    for label, predicted in zip(found.label, found.predicted, strict=True):
        by_hand[label, predicted] += 1
    assert np.array_equal(confusion(found, K), by_hand)
    assert [share.n for share in per_class(found, K)] == by_hand.sum(axis=1).tolist()
    assert [share.correct for share in per_class(found, K)] == np.diag(by_hand).tolist()
    assert top(found, 1).correct == np.trace(by_hand)


def test_calibration_is_guos_sum_over_fifteen_bins() -> None:
    """The answers that are sure are wrong, the others right: gaps of both signs, which one bin alone would balance."""
    rng = np.random.default_rng(3)
    logits = (rng.standard_normal((2000, K)) * rng.uniform(0, 8, (2000, 1))).astype(np.float32)
    sure = score_batch(range(2000), logits, [[0]] * 2000).probability > 0.7
    best = logits.argmax(axis=1)
    found = score_batch(range(2000), logits, [[int(c)] for c in np.where(sure, (best + 1) % K, best)])
    expected = 0.0
    for b in range(15):
        inside = [
            (float(p), bool(r == 0))
            for p, r in zip(found.probability, found.rank, strict=True)
            if b / 15 <= p < (b + 1) / 15 or (b == 14 and p == 1)
        ]
        if inside:
            gap = np.mean([r for _, r in inside]) - np.mean([p for p, _ in inside])
            expected += len(inside) / len(found.rank) * abs(gap)
    error, bins = calibration(found)
    assert error == pytest.approx(expected, abs=1e-9)
    assert sum(bin.accuracy.n for bin in bins) == 2000
    assert [bin.confidence for bin in bins] == sorted(bin.confidence for bin in bins)


def test_calibration_of_one_who_is_always_sure_and_half_right() -> None:
    logits = np.full((10, 3), -100, np.float32)
    logits[:, 1] = 100
    error, (only,) = calibration(score_batch(range(10), logits, [[1]] * 5 + [[0]] * 5))
    assert error == pytest.approx(0.5) and only.confidence == 1 and only.accuracy.value == 0.5


def test_calibration_of_nothing() -> None:
    assert calibration(outcomes(0)) == (0.0, [])
