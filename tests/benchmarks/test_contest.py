"""bench/contest.py: who takes turns when, and what comes of it, on known numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from benchmarks.contest import Contest, ContestRow, Entrant, Note, Result, Turn
from gmixer.bench.row import Row
from gmixer.errors import EngineError

OURS, LOWER, FAST, SLOW = (
    Entrant(key, key.title(), rival=key in ("fast", "slow")) for key in ("ours", "lower", "fast", "slow")
)


def turn(entrant: Entrant, ms: list[float], log: list[str], **of_result: object) -> Turn:
    """Its times, one a round."""

    def run() -> Mapping[str, Result]:
        log.append(entrant.key)
        return {entrant.key: Result(ms[log.count(entrant.key) - 1], **of_result)}  # type: ignore[arg-type]

    return Turn([entrant], run)


def contest(turns: list[Turn], **options: object) -> Contest:
    fields = {"group": "forward", "what": "this", "title": "This and that", "unit": "image", "turns": turns}
    return Contest(**(fields | options))  # type: ignore[arg-type]


def held(contest: Contest, rounds: int) -> tuple[list[ContestRow], list[str]]:
    """Its rows and its notes' texts."""
    rows: list[Row] = [row for step in contest.steps(rounds) for row in step.run()]
    return [row for row in rows if isinstance(row, ContestRow)], [row.text for row in rows if isinstance(row, Note)]


@pytest.fixture
def log() -> list[str]:
    return []


def test_ratios_are_of_the_same_round_and_the_best_peer_is_named(log: list[str]) -> None:
    """The machine halves its speed from round to round: medians of times say little, ratios everything."""
    turns = [
        turn(OURS, [10, 20, 40], log),
        turn(LOWER, [11, 22, 44], log),
        turn(FAST, [12, 22, 52], log, how="on one leg"),
        turn(SLOW, [30, 60, 120], log),
    ]
    rows, notes = held(contest(turns), 3)
    assert log == ["ours", "lower", "fast", "slow", "slow", "fast", "lower", "ours", "ours", "lower", "fast", "slow"]
    assert [row.times.median for row in rows] == pytest.approx([1, 1.1, 1.2, 3])
    fast = rows[2]
    assert (fast.times.least, fast.times.greatest, fast.times.n) == (pytest.approx(1.1), pytest.approx(1.3), 3)
    assert [row.entrant for row in rows if row.best_peer] == ["fast"], "lower is faster, but gmixer's own"
    assert notes == [
        "Fast: on one leg",
        "the best peer is Fast: it takes 1.20 (1.10 … 1.30, n = 3) times as long as gmixer",
    ]


def test_entrants_may_share_a_process(log: list[str]) -> None:
    both = Turn([OURS, FAST], lambda: {"ours": Result(2.0), "fast": Result(5.0)})
    rows, _ = held(contest([both]), 2)
    assert [(row.entrant, row.ms.median, row.times.median, row.rounds) for row in rows] == [
        ("ours", 2, 1, 2),
        ("fast", 5, 2.5, 2),
    ]


def failing(entrant: Entrant, log: list[str]) -> Turn:
    def run() -> Mapping[str, Result]:
        log.append(entrant.key)
        raise EngineError("no compiler")

    return Turn([entrant], run)


def test_a_peer_that_fails_is_told_and_not_asked_again(log: list[str]) -> None:
    rows, notes = held(contest([turn(OURS, [1, 1], log), failing(FAST, log), turn(SLOW, [3, 3], log)]), 2)
    assert log.count("fast") == 1 and [row.entrant for row in rows] == ["ours", "slow"]
    assert notes[0] == "Fast failed: no compiler" and notes[1].startswith("the best peer is Slow")


def test_the_first_must_not_fail(log: list[str]) -> None:
    with pytest.raises(EngineError, match="no compiler"):
        held(contest([failing(OURS, log), turn(SLOW, [3, 3], log)]), 2)


def test_cells_fit_their_columns(log: list[str]) -> None:
    outcomes = {"peak_mib": 1234.5, "fraction": 0.874, "ceiling_gflops": 200.0, "error": 0.987}
    (row,), _ = held(contest([turn(OURS, [104.0, 110.4], log, **outcomes)], macs=10), 2)
    assert [column.heading for column in row.columns][-3:] == ["ceiling", "error", "MiB"]
    assert list(row.cells()) == ["Ours", "107", "104 … 110", "1.00", "1.00 … 1.00", "87 %", "0.99", "1234"]
    assert all(len(cell) <= column.width for cell, column in zip(row.cells(), row.columns, strict=True))
    (row,), _ = held(contest([turn(OURS, [1.0], [])]), 1)
    assert len(row.columns) == len(row.cells()) == 5, "no ceiling, error or memory where none is asked for"


def test_a_remark_sees_every_round(log: list[str]) -> None:
    remark: Callable[[Mapping[str, list[float]]], str] = lambda ms: f"{ms}"  # noqa: E731
    _, notes = held(contest([turn(OURS, [1, 2], log)], remark=remark), 2)
    assert notes == ["{'ours': [1, 2]}"]
