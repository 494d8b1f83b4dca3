"""bench/stats.py: exact on known numbers."""

from __future__ import annotations

import numpy as np
import pytest

from gmixer.bench.stats import Spread, quantile


def test_median_tenths_and_ends() -> None:
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(3, 1.4, 4.6, 1, 5, 5)
    assert Spread.of([7.0]) == Spread(7, 7, 7, 7, 7, 1)
    assert Spread.of([1, 2]).median == 1.5


@pytest.mark.parametrize("n", [1, 2, 3, 10, 11, 99])
def test_quantiles_are_numpys(n: int) -> None:
    values = np.random.default_rng(n).standard_normal(n).tolist()
    for q in (0, 0.1, 0.25, 0.5, 0.9, 1):
        assert quantile(values, q) == pytest.approx(np.quantile(values, q), rel=1e-12)


def test_another_unit_keeps_n() -> None:
    assert Spread.of([1, 2, 3]).times(1000) == Spread(2000, 1200, 2800, 1000, 3000, 3)
    assert list(Spread.of([1]).to_dict()) == ["median", "p10", "p90", "least", "greatest", "n"]
