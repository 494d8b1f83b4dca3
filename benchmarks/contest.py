"""Contestants that take turns, round by round, each in a fresh process. The first contestant is the reference.

A ratio is formed within a round, so it holds even if the speed of the machine changes from round to round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, ClassVar

from gmixer.bench.row import Step, TableRow, figures, per_cent
from gmixer.bench.stats import Spread
from gmixer.errors import EngineError
from gmixer.rows.table import Column


@dataclass(frozen=True, slots=True)
class Measurement:
    """Of one contestant in one round."""

    ms: float
    peak_mib: float | None = None
    fraction: float | None = None  # of the ceiling
    ceiling_gflops: float | None = None
    error: float | None = None  # of the logits against float64, in the contest's error_unit
    how: str = ""  # explains the time, such as the number of requests


@dataclass(frozen=True, slots=True)
class Contestant:
    key: str  # in JSON
    label: str
    rival: bool = True  # whether it may be the best peer; False: another measurement of gmixer's own


@dataclass(frozen=True, slots=True)
class Run:
    """A fresh process that measures one contestant; or several, which take turns within the process, call by call."""

    contestants: Sequence[Contestant]
    measure: Callable[[], Mapping[str, Measurement]]  # by the contestant's key

    @property
    def labels(self) -> str:
        return ", ".join(contestant.label for contestant in self.contestants)


@dataclass(frozen=True, slots=True)
class Contest:
    group: str  # of contest_plan.GROUPS
    what: str  # such as "batch 16, 2 threads"
    title: str
    unit: str  # what the milliseconds are for, such as "image"
    runs: Sequence[Run]
    macs: int | None = None  # of a unit, if it is compared with the ceiling
    error_unit: str | None = None
    remark: Callable[[Mapping[str, Sequence[float]]], str] | None = None  # takes the ms of each round, by contestant

    @property
    def contestants(self) -> list[Contestant]:
        return [contestant for run in self.runs for contestant in run.contestants]

    @property
    def first(self) -> Contestant:
        return self.runs[0].contestants[0]

    def steps(self, rounds: int) -> list[Step]:
        """The last step returns the rows.

        Every second round runs in reverse order, so that no contestant always follows the same other one. A peer that
        fails is not run again. Raises the EngineError of the first contestant.
        """
        results: dict[str, list[Measurement]] = {contestant.key: [] for contestant in self.contestants}
        failures: dict[str, str] = {}
        steps = []
        for number in range(rounds):
            for run in self.runs if number % 2 == 0 else reversed(self.runs):
                what = f"{self.what}, round {number + 1} of {rounds}: {run.labels}"
                steps.append(Step(what, partial(self._take, run, results, failures)))
        return [*steps, Step(f"{self.what}: summing up", partial(self._rows, results, failures))]

    def _take(self, run: Run, results: dict[str, list[Measurement]], failures: dict[str, str]) -> list[TableRow]:
        if run.contestants[0].key not in failures:
            try:
                for key, result in run.measure().items():
                    results[key].append(result)
            except EngineError as error:
                if run is self.runs[0]:
                    raise
                failures |= {contestant.key: str(error) for contestant in run.contestants}
        return []

    def _rows(self, results: dict[str, list[Measurement]], failures: dict[str, str]) -> list[TableRow]:
        ms = {key: [result.ms for result in of_key] for key, of_key in results.items()}
        rows: list[ContestRow] = []
        notes: list[TableRow] = []
        for contestant in self.contestants:
            if contestant.key in failures:
                notes.append(Note(self, f"{contestant.label} failed: {failures[contestant.key]}", failed=True))
                continue
            measured = results[contestant.key]
            rows.append(ContestRow.of(self, contestant, measured, ratios(ms[contestant.key], ms[self.first.key])))
            if how := measured[0].how:
                notes.append(Note(self, f"{contestant.label}: {how}"))
        if rivals := [row for row in rows[1:] if row.rival]:
            best = min(rivals, key=lambda row: row.times.median)
            best.best_peer = True
            times = f"{best.times.median:.2f} ({best.times.least:.2f} … {best.times.greatest:.2f}, n = {best.times.n})"
            notes.append(Note(self, f"the best peer is {best.label}: it takes {times} times as long as gmixer"))
        if self.remark:
            notes.append(Note(self, self.remark(ms)))
        return [*rows, *notes]


@dataclass(slots=True)
class ContestRow:
    contest: Contest
    contestant: str
    label: str
    rival: bool
    rounds: int
    ms: Spread  # for one unit of the contest, such as an image
    times: Spread  # the time of the first contestant
    peak_mib: float | None
    fraction: Spread | None
    ceiling_gflops: float | None
    error: float | None
    how: str
    best_peer: bool = field(default=False)

    @classmethod
    def of(
        cls, contest: Contest, contestant: Contestant, results: Sequence[Measurement], times: Sequence[float]
    ) -> ContestRow:
        def all_of(name: str) -> Spread | None:
            values = [getattr(result, name) for result in results]
            return None if None in values else Spread.of(values)

        peak, ceiling, error = all_of("peak_mib"), all_of("ceiling_gflops"), all_of("error")
        return cls(
            contest=contest,
            contestant=contestant.key,
            label=contestant.label,
            rival=contestant.rival,
            rounds=len(results),
            ms=Spread.of([result.ms for result in results]),
            times=Spread.of(times),
            peak_mib=peak.greatest if peak else None,
            fraction=all_of("fraction"),
            ceiling_gflops=ceiling.median if ceiling else None,
            error=error.greatest if error else None,
            how=results[0].how,
        )

    @property
    def title(self) -> str:
        return self.contest.title

    @property
    def columns(self) -> Sequence[Column]:
        """Only the columns that the contest measures."""
        has_ceiling = self.contest.macs is not None
        return [
            Column(f"n = {self.rounds}", 19, left=True),
            Column(f"ms/{self.contest.unit}", 8),
            Column("min … max", 11),
            Column("times", 5),
            Column("min … max", 11),
            *([Column("ceiling", 7), Column("error", 7)] if has_ceiling else []),
            *([Column("MiB", 5)] if self.peak_mib is not None else []),
        ]

    def cells(self) -> Sequence[str]:
        has_ceiling = self.contest.macs is not None
        return [
            self.label,
            figures(self.ms.median),
            ends(self.ms),
            f"{self.times.median:.2f}",
            f"{self.times.least:.2f} … {self.times.greatest:.2f}",
            *([per_cent(self.fraction.median) if self.fraction else "–"] if has_ceiling else []),
            *([f"{self.error:.2g}" if self.error is not None else "–"] if has_ceiling else []),
            *([f"{self.peak_mib:.0f}"] if self.peak_mib is not None else []),
        ]

    @property
    def style(self) -> str:
        return "bold" if self.contestant == self.contest.first.key else "bold yellow" if self.best_peer else ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "row": "contest",
            "group": self.contest.group,
            "what": self.contest.what,
            "unit": self.contest.unit,
            "contestant": self.contestant,
            "best_peer": self.best_peer,
            "ms": self.ms.to_dict(),
            "times_first": self.times.to_dict(),
            "first": self.contest.first.key,
            "rounds": self.rounds,
            "fraction": asdict(self.fraction) if self.fraction else None,
            "ceiling_gflops": self.ceiling_gflops,
            "error": self.error,
            "error_unit": self.contest.error_unit,
            "peak_mib": self.peak_mib,
            "how": self.how,
        }


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence below the rows of a contest."""

    contest: Contest
    text: str
    failed: bool = False

    columns: ClassVar[Sequence[Column]] = (Column("", 0, left=True),)

    @property
    def title(self) -> str:
        return self.contest.title

    @property
    def style(self) -> str:
        return "red" if self.failed else "dim"

    def cells(self) -> Sequence[str]:
        return [self.text]

    def to_dict(self) -> dict[str, Any]:
        where = {"group": self.contest.group, "what": self.contest.what}
        return {"row": "note", **where, "text": self.text, "failed": self.failed}


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    """Their time / our time, round by round. A machine that is slower in one round changes no ratio."""
    return [their / our for their, our in zip(theirs, ours, strict=True)]


def ends(spread: Spread) -> str:
    return f"{figures(spread.least)} … {figures(spread.greatest)}"
