"""bench/stopwatch.py: calls in blocks, each between two slices of the ceiling; and the native ceiling itself."""

from __future__ import annotations

import time

import pytest

from gmixer import _native
from gmixer.bench import stopwatch
from gmixer.bench.stopwatch import ceiling_meter, time_beside_ceiling
from gmixer.catalogue import VARIANTS
from gmixer.errors import EngineError
from gmixer.isa import available_isas
from gmixer.options import Native, NativePrecision
from mixers import drawn_images, drawn_mixer, engine_of

ISAS = available_isas()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only a test moves."""
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])
    return now


def test_blocks_lie_between_two_slices(clock: list[float]) -> None:
    """At 0.1 s a call a block has three calls. Its fraction refers to the slices before and after it."""
    slices = iter([100.0, 200.0, 400.0])

    def call() -> None:
        clock[0] += 0.1

    timing = time_beside_ceiling(call, flops=6.0, ceiling=lambda: next(slices), seconds=0.5)
    assert timing.call_s == pytest.approx([0.1] * 6)
    assert timing.fractions == pytest.approx([60 / 150, 60 / 300])
    assert timing.ceilings == [100, 200, 400]


def test_a_long_call_is_still_made_three_times(clock: list[float]) -> None:
    def call() -> None:
        clock[0] += 10

    timing = time_beside_ceiling(call, flops=10.0, ceiling=lambda: 2.0, seconds=0.01)
    assert timing.call_s == [10, 10, 10] and timing.fractions == [0.5] * 3


@pytest.mark.parametrize("isa", ISAS)
def test_no_product_is_faster_than_the_ceiling(isa: str) -> None:
    """Compares the best of each, because the medians of a shared machine vary. Every ratio in CI has 25 % of slack."""
    config = VARIANTS["gmixer_8_64"].model
    engine, x_BCHW = engine_of(drawn_mixer(config), config, threads=1, isa=isa), drawn_images(config, 2)
    flops, ceiling = 2.0 * config.macs * len(x_BCHW), ceiling_meter(Native(isa=isa, threads=1))
    best_flops, best_ceiling = 0.0, 0.0
    for _ in range(10):  # a busy machine may slow every slice of one round down
        timing = time_beside_ceiling(lambda: engine.forward(x_BCHW), flops=flops, ceiling=ceiling, seconds=0.1)
        assert min(timing.ceilings) > 0
        best_flops = max(best_flops, flops / min(timing.call_s))
        best_ceiling = max(best_ceiling, *timing.ceilings)
        if best_flops < best_ceiling * 1.25:
            break
    assert best_flops < best_ceiling * 1.25


def test_threads_come_to_rest_before_a_slice(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that still spin would halve the ceiling, and double the fraction."""
    spinning_until = [0.0]

    def call() -> None:
        clock[0] += 10
        spinning_until[0] = clock[0] + 0.06

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(stopwatch.time, "sleep", sleep)
    meter = lambda: 1.0 if clock[0] < spinning_until[0] else 2.0  # noqa: E731
    timings = [time_beside_ceiling(call, flops=10.0, ceiling=meter, seconds=1, settle_s=s) for s in (0, 0.15)]
    assert [timing.fractions[-1] for timing in timings] == [1, 0.5]
    assert timings[1].call_s == [10, 10, 10], "the pause is not counted"


def test_the_ceiling_takes_the_seconds_it_is_given() -> None:
    begin = time.perf_counter()
    _native.ceiling(isa=ISAS[0], threads=3, seconds=0.2)
    assert 0.2 <= time.perf_counter() - begin < 5


def test_what_is_not_available_is_refused() -> None:
    with pytest.raises(EngineError, match="isa='mmx' is not available on this CPU"):
        ceiling_meter(Native(isa="mmx"))
    with pytest.raises(EngineError, match="threads is 0"):
        ceiling_meter(Native(threads=0))
    with pytest.raises(ValueError, match="isa='mmx' is not available on this CPU; it supports"):
        _native.ceiling(isa="mmx", threads=1, seconds=0.1)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_ceiling_is_that_of_the_precision(precision: NativePrecision, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def ceiling(**given: object) -> float:
        asked.append(given)
        return 1.0

    monkeypatch.setattr(_native, "ceiling", ceiling)
    isa = available_isas(precision)[0]
    assert ceiling_meter(Native(isa=isa, threads=2, precision=precision))() == 1.0
    assert asked == [{"isa": isa, "threads": 2, "seconds": stopwatch.SLICE_S, "precision": precision}]
