"""Predictors that the tests of agreement share."""

from __future__ import annotations

import pytest

import gmixer


@pytest.fixture(scope="session")
def int8(predictor: gmixer.Predictor) -> gmixer.Predictor:
    """The embedded model in int8."""
    return gmixer.load(predictor.name, precision="int8")
