"""The machine's arithmetic ceiling, for every instruction set and number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from gmixer.bench.row import Step, figures, tenths, threads_in_words
from gmixer.bench.stats import Spread
from gmixer.bench.stopwatch import SLICE_S, ceiling_meter
from gmixer.isa import check_isa
from gmixer.options import FP32, Native, NativePrecision
from gmixer.rows.table import Column
from gmixer.runtimes.threads import check_threads

MIN_SLICES = 3


@dataclass(frozen=True, slots=True)
class CeilingRow:
    isa: str
    threads: int
    gflops: Spread  # 10⁹ operations per second of all threads together; a multiply-add counts as two
    precision: NativePrecision

    columns: ClassVar[Sequence[Column]] = (
        Column("isa", 8, left=True),
        Column("threads", 7),
        Column("GOP/s", 8),
        Column("p10 … p90", 13),
        Column("n", 4),
    )
    style: ClassVar[str] = ""

    @property
    def title(self) -> str:
        return f"ceiling: multiply-adds on registers alone, {self.precision}"

    def cells(self) -> Sequence[str]:
        return [self.isa, str(self.threads), figures(self.gflops.median), tenths(self.gflops), str(self.gflops.n)]

    def to_dict(self) -> dict[str, Any]:
        what = {"isa": self.isa, "precision": self.precision, "threads": self.threads}
        return {"row": "ceiling", **what, "gflops": self.gflops.to_dict()}


def ceiling_steps(natives: Sequence[Native], *, seconds: float) -> list[Step]:
    """One step for each row, of one of `natives`. Each takes `seconds`, and measures at least MIN_SLICES slices."""
    slices = max(MIN_SLICES, round(seconds / SLICE_S))
    steps = []
    for native in natives:
        precision = native.precision or FP32
        isa, threads = check_isa(native.isa, precision), check_threads(native.threads)
        chosen = replace(native, isa=isa, threads=threads, precision=precision)
        steps.append(Step(f"the ceiling of {isa}, {threads_in_words(threads)}", partial(_measure, chosen, slices)))
    return steps


def _measure(native: Native, slices: int) -> list[CeilingRow]:
    """native: with its isa, threads and precision."""
    assert native.isa is not None and native.threads is not None and native.precision is not None
    ceiling = ceiling_meter(native)
    gflops = Spread.of([ceiling() for _ in range(slices)]).times(1e-9)
    return [CeilingRow(native.isa, native.threads, gflops, native.precision)]
