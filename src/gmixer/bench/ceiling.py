"""The machine's arithmetic ceiling, for every instruction set and number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

from gmixer.bench.row import Step, figures, tenths, threads_in_words
from gmixer.bench.stats import Spread
from gmixer.bench.stopwatch import SLICE_S, ceiling_meter
from gmixer.rows.table import Column

MIN_SLICES = 3


@dataclass(frozen=True, slots=True)
class CeilingRow:
    isa: str
    threads: int
    gflops: Spread  # GFLOP/s of all threads together; a multiply-add counts as two

    title: ClassVar[str] = "ceiling: multiply-adds on registers alone, fp32"
    columns: ClassVar[Sequence[Column]] = (
        Column("isa", 8, left=True),
        Column("threads", 7),
        Column("GFLOP/s", 8),
        Column("p10 … p90", 13),
        Column("n", 4),
    )
    style: ClassVar[str] = ""

    def cells(self) -> Sequence[str]:
        return [self.isa, str(self.threads), figures(self.gflops.median), tenths(self.gflops), str(self.gflops.n)]

    def to_dict(self) -> dict[str, Any]:
        return {"row": "ceiling", **asdict(self)}


def ceiling_steps(isas: Sequence[str], threads: Sequence[int], *, seconds: float) -> list[Step]:
    """One step for each row. Each takes `seconds`, and measures at least MIN_SLICES slices."""
    slices = max(MIN_SLICES, round(seconds / SLICE_S))
    return [
        Step(f"the ceiling of {isa}, {threads_in_words(count)}", partial(_measure, isa, count, slices))
        for isa in isas
        for count in threads
    ]


def _measure(isa: str, threads: int, slices: int) -> list[CeilingRow]:
    ceiling = ceiling_meter(isa, threads)
    return [CeilingRow(isa, threads, Spread.of([ceiling() for _ in range(slices)]).times(1e-9))]
