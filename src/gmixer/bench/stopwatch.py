"""Times calls, and measures the ceiling between them, because the speed of a shared machine changes every second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from gmixer import _native
from gmixer.isa import check_isa
from gmixer.options import FP32, Native
from gmixer.runtimes.threads import check_threads

SLICE_S = 0.05  # one measurement of the ceiling
BLOCK_S = 0.25  # of calls between two slices
MIN_CALLS = 3


def ceiling_meter(native: Native) -> Callable[[], float]:
    """A function that measures the arithmetic ceiling for SLICE_S: multiply-adds on registers alone.

    It returns the operations per second of all threads together, in the precision of `native`. Raises EngineError for
    an instruction set or a number of threads that is not available.
    """
    precision = native.precision or FP32
    isa, threads = check_isa(native.isa, precision), check_threads(native.threads)
    return partial(_native.ceiling, isa=isa, threads=threads, seconds=SLICE_S, precision=precision)


@dataclass(slots=True)
class Timing:
    call_s: list[float] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)  # of the mean ceiling before and after each block
    ceilings: list[float] = field(default_factory=list)  # FLOP/s


def time_beside_ceiling(
    call: Callable[[], object], *, flops: float, ceiling: Callable[[], float], seconds: float, settle_s: float = 0
) -> Timing:
    """Calls for that many seconds, at least MIN_CALLS times. A block lasts BLOCK_S, or one call if that is longer.
    A slice of the ceiling is measured before and after each block.

    flops: of one call. settle_s: the pause before each slice, for threads that spin on after a call.
    """
    timing = Timing(ceilings=[ceiling()])
    while sum(timing.call_s) < seconds or len(timing.call_s) < MIN_CALLS:
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
