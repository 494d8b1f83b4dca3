"""Entrants that take turns, round by round, each time in a fresh process; the first one is who the others are held to.

A ratio is formed within a round, so that it holds where the machine's speed drifts from one round to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, ClassVar

from gmixer.bench.row import Column, Row, Step, ends, figures, per_cent
from gmixer.bench.stats import Spread, ratios
from gmixer.errors import EngineError


@dataclass(frozen=True, slots=True)
class Result:
    """Of one entrant in one round."""

    ms: float
    peak_mib: float | None = None
    fraction: float | None = None  # of the ceiling
    ceiling_gflops: float | None = None
    error: float | None = None  # of the logits against float64, in PyTorch's own
    how: str = ""  # what a reader must know to understand the time, such as the number of requests


@dataclass(frozen=True, slots=True)
class Entrant:
    key: str  # in JSON
    label: str
    rival: bool = True  # whether it counts for the best peer; no: another way of gmixer's own


@dataclass(frozen=True, slots=True)
class Turn:
    """A fresh process that measures one entrant; or several, where they take turns within it, call by call."""

    entrants: Sequence[Entrant]
    run: Callable[[], Mapping[str, Result]]  # by the entrant's key

    @property
    def labels(self) -> str:
        return ", ".join(entrant.label for entrant in self.entrants)


@dataclass(frozen=True, slots=True)
class Contest:
    group: str  # of plan.GROUPS
    what: str  # is done, such as "batch 16, 2 threads"
    title: str
    unit: str  # of what the milliseconds are, such as "image"
    turns: Sequence[Turn]
    macs: int | None = None  # of a unit, where there is a ceiling to hold it to
    remark: Callable[[Mapping[str, Sequence[float]]], str] | None = None  # on the ms of each round, by entrant

    @property
    def entrants(self) -> list[Entrant]:
        return [entrant for turn in self.turns for entrant in turn.entrants]

    @property
    def first(self) -> Entrant:
        return self.turns[0].entrants[0]

    def steps(self, rounds: int) -> list[Step]:
        """The last one gives the rows. Every other round goes the other way round, so that nobody always follows the
        same one. Who fails is not asked again; raises what the first one raised.
        """
        results: dict[str, list[Result]] = {entrant.key: [] for entrant in self.entrants}
        failures: dict[str, str] = {}
        steps = []
        for number in range(rounds):
            for turn in self.turns if number % 2 == 0 else reversed(self.turns):
                what = f"{self.what}, round {number + 1} of {rounds}: {turn.labels}"
                steps.append(Step(what, partial(self._take, turn, results, failures)))
        return [*steps, Step(f"{self.what}: summing up", partial(self._rows, results, failures))]

    def _take(self, turn: Turn, results: dict[str, list[Result]], failures: dict[str, str]) -> list[Row]:
        if turn.entrants[0].key not in failures:
            try:
                for key, result in turn.run().items():
                    results[key].append(result)
            except EngineError as error:
                if turn is self.turns[0]:
                    raise
                failures |= {entrant.key: str(error) for entrant in turn.entrants}
        return []

    def _rows(self, results: dict[str, list[Result]], failures: dict[str, str]) -> list[Row]:
        ms = {key: [result.ms for result in of_key] for key, of_key in results.items()}
        rows: list[ContestRow] = []
        notes: list[Row] = []
        for entrant in self.entrants:
            if entrant.key in failures:
                notes.append(Note(self, f"{entrant.label} failed: {failures[entrant.key]}", failed=True))
                continue
            of_entrant = results[entrant.key]
            rows.append(ContestRow.of(self, entrant, of_entrant, ratios(ms[entrant.key], ms[self.first.key])))
            if how := of_entrant[0].how:
                notes.append(Note(self, f"{entrant.label}: {how}"))
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
    entrant: str
    label: str
    rival: bool
    rounds: int
    ms: Spread  # an image, or whatever the contest's unit is
    times: Spread  # the first entrant's time
    peak_mib: float | None
    fraction: Spread | None
    ceiling_gflops: float | None
    error: float | None
    how: str
    best_peer: bool = field(default=False)

    @classmethod
    def of(cls, contest: Contest, entrant: Entrant, results: Sequence[Result], times: Sequence[float]) -> ContestRow:
        def all_of(name: str) -> Spread | None:
            values = [getattr(result, name) for result in results]
            return None if None in values else Spread.of(values)

        peak, ceiling, error = all_of("peak_mib"), all_of("ceiling_gflops"), all_of("error")
        return cls(
            contest=contest,
            entrant=entrant.key,
            label=entrant.label,
            rival=entrant.rival,
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
        """Without what the contest does not ask for."""
        outcomes = self.contest.macs is not None
        return [
            Column(f"n = {self.rounds}", 19, left=True),
            Column(f"ms/{self.contest.unit}", 8),
            Column("min … max", 11),
            Column("times", 5),
            Column("min … max", 11),
            *([Column("ceiling", 7), Column("error", 5)] if outcomes else []),
            *([Column("MiB", 5)] if self.peak_mib is not None else []),
        ]

    def cells(self) -> Sequence[str]:
        outcomes = self.contest.macs is not None
        return [
            self.label,
            figures(self.ms.median),
            ends(self.ms),
            f"{self.times.median:.2f}",
            f"{self.times.least:.2f} … {self.times.greatest:.2f}",
            *([per_cent(self.fraction.median) if self.fraction else "–"] if outcomes else []),
            *([f"{self.error:.2f}" if self.error is not None else "–"] if outcomes else []),
            *([f"{self.peak_mib:.0f}"] if self.peak_mib is not None else []),
        ]

    @property
    def style(self) -> str:
        return "bold" if self.entrant == self.contest.first.key else "bold yellow" if self.best_peer else ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "row": "contest",
            "group": self.contest.group,
            "what": self.contest.what,
            "unit": self.contest.unit,
            "entrant": self.entrant,
            "best_peer": self.best_peer,
            "ms": self.ms.to_dict(),
            "times_first": self.times.to_dict(),
            "first": self.contest.first.key,
            "rounds": self.rounds,
            "fraction": asdict(self.fraction) if self.fraction else None,
            "ceiling_gflops": self.ceiling_gflops,
            "error_in_pytorchs": self.error,
            "peak_mib": self.peak_mib,
            "how": self.how,
        }


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence below a contest's rows."""

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
