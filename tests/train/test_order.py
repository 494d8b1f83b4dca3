"""order.py: which image comes when, and with which random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmixer.train.order import Order, balanced


@given(n=st.integers(1, 60), batch=st.integers(1, 40), seed=st.integers(0, 2**63), epochs=st.integers(1, 3))
def test_every_image_comes_once_an_epoch_whatever_the_batch(n: int, batch: int, seed: int, epochs: int) -> None:
    order = Order(n, batch, seed)
    steps = -(-n * epochs // batch)
    row = [order.image(int(place)) for step in range(steps) for place in order.places(step)]
    for epoch in range(epochs):
        assert sorted(row[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(Order(50, 8, seed).image(epoch * 50 + i) for i in range(50)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


@given(
    pairs=st.integers(1, 6),
    accumulate=st.integers(1, 4),
    world=st.integers(1, 4),
    step=st.integers(0, 1_000_000),
)
def test_the_parts_of_a_step_are_its_places_in_whole_pairs(pairs: int, accumulate: int, world: int, step: int) -> None:
    parts = accumulate * world
    order = Order(1000, 2 * pairs * parts, 0)
    shares = [order.places(step, part=part, parts=parts) for part in range(parts)]
    assert np.concatenate(shares).tolist() == order.places(step).tolist()
    assert all(len(share) == 2 * pairs and share[0] % 2 == 0 for share in shares)


@given(seed=st.integers(0, 2**63), first=st.integers(0, 2**40))
def test_no_two_places_nor_image_and_pair_draw_alike(seed: int, first: int) -> None:
    order = Order(10, 2, seed)
    seeds = [order.draw_seed(first + i, of=of) for i in range(20) for of in ("image", "pair")]
    assert len(set(seeds)) == 40
    assert all(0 <= drawn < 2**63 for drawn in seeds)


@pytest.mark.parametrize("kind", [np.int64, int])
def test_a_place_draws_the_same_whatever_was_asked_before(kind: type) -> None:
    order = Order(10, 2, 7)
    expected = order.draw_seed(5)
    for place in (9, 0, 31):
        order.draw_seed(place)
        order.image(place)
    assert order.draw_seed(kind(5)) == expected == Order(99, 32, 7).draw_seed(5)


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=6), balance=st.floats(0.05, 1), seed=st.integers(0, 2**63)
)
def test_a_balanced_epoch_is_as_long_and_draws_each_class_by_the_power_of_its_size(
    counts: list[int], balance: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)) - 1, counts)  # -1: without a label, which keep their share
    n = len(labels)
    order = Order(n, 8, seed, balanced(labels, balance))
    expected = np.array(counts, np.float64)
    sizes = expected[1:] ** (1 - balance)
    expected[1:] = sizes * (expected[1:].sum() / sizes.sum()) if len(sizes) else sizes
    for epoch in range(2):
        drawn = labels[[order.image(epoch * n + i) for i in range(n)]]
        got = np.bincount(drawn + 1, minlength=len(counts))
        assert np.abs(got - expected).max() <= 1 + 1e-6  # systematic sampling: no class is a whole image off


def test_without_balance_nothing_is_weighed() -> None:
    assert balanced(np.array([0, 0, 1]), 0.0) is None
    alike = [Order(3, 1, 5, draws).image(i) for draws in (None, np.ones(3)) for i in range(9)]
    assert alike[:9] == alike[9:]
