"""probability.py: one softmax and one order of the classes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gmixer.results import best_first, softmax

LOGITS = arrays.arrays(np.float32, (1, 7), elements=st.floats(-100, 100, width=32))


@given(LOGITS)
def test_the_order_of_logits_is_that_of_probabilities(logits_BK: np.ndarray) -> None:
    probability_BK = softmax(logits_BK, np.float64)
    ordered = np.take_along_axis(probability_BK, best_first(logits_BK), axis=1)
    assert (np.diff(ordered) <= 0).all()
    if np.unique(probability_BK).size == np.unique(logits_BK).size:  # logits nearer than 1e-16 have equal probabilities
        np.testing.assert_array_equal(best_first(logits_BK), np.argsort(-probability_BK, axis=1, kind="stable"))


@given(LOGITS)
def test_in_float32_it_is_the_same_to_rounding(logits_BK: np.ndarray) -> None:
    """The difference from the greatest logit, up to 200, rounds by 1e-5; exp makes that a share of the value."""
    in_float32 = softmax(logits_BK, np.float32)
    assert in_float32.dtype == np.float32
    np.testing.assert_allclose(in_float32, softmax(logits_BK, np.float64), rtol=2e-5, atol=1e-37)


def test_a_class_that_is_not_allowed_has_probability_0() -> None:
    logits_BK = np.array([[1, -np.inf, 3]], np.float32)
    assert softmax(logits_BK, np.float32)[0, 1] == 0 and best_first(logits_BK).tolist() == [[2, 0, 1]]
