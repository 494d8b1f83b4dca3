"""The core of the duplicates: exact, whatever the blocks; groups that do not chain."""

from __future__ import annotations

import numpy as np
import pytest

from gmixer.search import leaders
from gmixer.search.leaders import follow


def unit(x_NC: np.ndarray) -> np.ndarray:
    return (x_NC / np.linalg.norm(x_NC, axis=1, keepdims=True)).astype(np.float32)


def slowly(x_NC: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """By the definition, one vector after another."""
    leader, cosine = np.arange(len(x_NC)), np.ones(len(x_NC), np.float32)
    for i in range(len(x_NC)):
        earlier = [j for j in range(i) if leader[j] == j]
        cosines = x_NC[earlier] @ x_NC[i]
        if len(earlier) and cosines.max() >= threshold - leaders.ROUNDING:
            leader[i], cosine[i] = earlier[int(cosines.argmax())], cosines.max()
    return leader, cosine


@pytest.mark.parametrize("channels", [3, 48, 100])
@pytest.mark.parametrize("threshold", [0.7, 0.9, 0.99])
@pytest.mark.parametrize("threads", [1, 3])
def test_it_equals_the_definition(
    channels: int, threshold: float, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaders, "BLOCK", 64)
    rng = np.random.default_rng(channels)
    centres = rng.normal(size=(60, channels))
    spread = rng.choice([0.02, 0.1, 0.5], size=(500, 1))
    x_NC = unit(centres[rng.integers(0, 60, 500)] + spread * rng.normal(size=(500, channels)))
    done: list[int] = []
    leader, cosine = follow(x_NC, threshold, threads=threads, on_progress=done.append)
    expected, expected_cosine = slowly(x_NC, threshold)
    assert 5 < len(set(expected)) < 500
    assert np.array_equal(leader, expected) and np.allclose(cosine, expected_cosine, atol=1e-6)
    assert done[-1] == 500 and len(done) == 8


def test_groups_do_not_chain() -> None:
    turns = np.radians([0, 10, 20, 30])
    x_NC = unit(np.stack([np.cos(turns), np.sin(turns)], axis=1))
    leader, _ = follow(x_NC, float(np.cos(np.radians(11))), threads=1)
    assert leader.tolist() == [0, 0, 2, 2]


def test_equal_vectors_and_vectors_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaders, "BLOCK", 16)
    leader, cosine = follow(unit(np.ones((100, 7))), 1.0, threads=2)
    assert not leader.any() and np.allclose(cosine, 1) and cosine.max() <= 1
    assert follow(np.zeros((40, 7), np.float32), 0.01, threads=2)[0].tolist() == list(range(40))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few(count: int) -> None:
    assert follow(unit(np.eye(2, 5))[:count], 0.9, threads=1)[0].tolist() == list(range(count))
