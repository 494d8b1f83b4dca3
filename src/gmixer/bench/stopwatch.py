"""Timing with the ceiling beside it: a machine that others share changes its speed from one second to the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from gmixer import _native
from gmixer.isa import check_isa
from gmixer.runtimes.threads import check_threads

SLICE_S = 0.05  # of the ceiling
BLOCK_S = 0.25  # of the work, between two slices
LEAST_CALLS = 3


def ceiling_meter(isa: str | None, threads: int | None) -> Callable[[], float]:
    """Measures the arithmetic ceiling when called, in SLICE_S: FLOP/s of multiply-adds on registers alone, all threads.

    Raises EngineError for an instruction set or a number of threads that cannot be had.
    """
    return partial(_native.ceiling, isa=check_isa(isa), threads=check_threads(threads), seconds=SLICE_S)


@dataclass(slots=True)
class Timing:
    call_s: list[float] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)  # of the ceiling before and after, block by block
    ceilings: list[float] = field(default_factory=list)  # FLOP/s


def time_beside_ceiling(
    call: Callable[[], object], *, flops: float, ceiling: Callable[[], float], seconds: float, settle_s: float = 0
) -> Timing:
    """Calls for that long, at least LEAST_CALLS times, in blocks of BLOCK_S or one call, each between two slices of
    the ceiling. flops: of one call. settle_s: of rest before each slice, for threads that go on spinning after a call.
    """
    timing = Timing(ceilings=[ceiling()])
    while sum(timing.call_s) < seconds or len(timing.call_s) < LEAST_CALLS:
        done = len(timing.call_s)
        while sum(timing.call_s[done:]) < BLOCK_S:
            begin = time.perf_counter()
            call()
            timing.call_s.append(time.perf_counter() - begin)
        time.sleep(settle_s)
        timing.ceilings.append(ceiling())
        block_s = timing.call_s[done:]
        beside = sum(timing.ceilings[-2:]) / 2
        timing.fractions.append(flops * len(block_s) / sum(block_s) / beside)
    return timing
