"""A small training run ends with the recorded weights, also when it was killed and begun again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from net_probes import (
    RECIPES,
    digest_of_weights,
    embedded_weights,
    in_torch,
    killed_and_resumed,
    make_training_folder,
    summary,
    torch_key,
    trained,
    weights_in,
)
from record import recorded

RECORD = recorded("training")
BITS = RECORD["bits"].get(torch_key())  # None: another processor or another torch
Weights = dict[str, NDArray[np.float32]]

# Of how far a tensor moved. See the measurement in `assert_as_recorded`.
NORM_TOLERANCE, MEAN_TOLERANCE = 0.02, 0.02


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_folder(tmp_path_factory.mktemp("training"))


def assert_as_recorded(name: str, weights: Weights) -> None:
    if BITS is not None:
        assert digest_of_weights(weights) == BITS[name]
    assert_near(RECORD["summary"][name], summary(weights, embedded_weights()))


def assert_near(wanted: dict[str, Any], got: dict[str, Any]) -> None:
    assert wanted.keys() == got.keys()
    longest = max(norm for _, _, norm in wanted.values())
    for name, (shape, mean, norm) in wanted.items():
        shape_now, mean_now, norm_now = got[name]
        assert shape_now == shape, name
        way = max(norm, longest / 100)
        assert abs(norm_now - norm) <= NORM_TOLERANCE * way, (name, norm, norm_now)
        count = np.prod([int(side) for side in shape.split("x")])
        assert abs(mean_now - mean) <= MEAN_TOLERANCE * way / np.sqrt(count), (name, mean, mean_now)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_run_ends_with_the_recorded_weights(name: str, data: Path, tmp_path: Path) -> None:
    assert_as_recorded(name, weights_in(trained(name, data, tmp_path / "run")))


@pytest.mark.slow
def test_a_run_that_was_killed_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    assert_as_recorded("smoke", weights_in(killed_and_resumed("smoke", data, tmp_path / "run")))


def test_the_embedded_weights_are_the_recorded_ones() -> None:
    assert digest_of_weights(embedded_weights()) == RECORD["embedded"]


def test_the_network_in_pytorch_has_the_recorded_bits() -> None:
    found = in_torch()
    if BITS is not None:
        assert found == {name: BITS[name] for name in found}
