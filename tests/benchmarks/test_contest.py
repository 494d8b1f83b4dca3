"""benchmarks/contest.py: the order of the runs and the rows, on known numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from benchmarks.contest import Contest, Contestant, ContestRow, Measurement, Note, Run, ratios
from gmixer.bench.row import TableRow
from gmixer.errors import EngineError

OURS, LOWER, FAST, SLOW = (
    Contestant(key, key.title(), rival=key in ("fast", "slow")) for key in ("ours", "lower", "fast", "slow")
)


def run(contestant: Contestant, ms: list[float], log: list[str], **of_result: object) -> Run:
    """ms: one a round."""

    def measure() -> Mapping[str, Measurement]:
        log.append(contestant.key)
        return {contestant.key: Measurement(ms[log.count(contestant.key) - 1], **of_result)}  # type: ignore[arg-type]

    return Run([contestant], measure)


def contest(runs: list[Run], **options: object) -> Contest:
    fields = {"group": "forward", "what": "this", "title": "This and that", "unit": "image", "runs": runs}
    return Contest(**(fields | options))  # type: ignore[arg-type]


def held(contest: Contest, rounds: int) -> tuple[list[ContestRow], list[str]]:
    """The rows, and the texts of the notes."""
    rows: list[TableRow] = [row for step in contest.steps(rounds) for row in step.run()]
    return [row for row in rows if isinstance(row, ContestRow)], [row.text for row in rows if isinstance(row, Note)]


@pytest.fixture
def log() -> list[str]:
    return []


def test_ratios_are_of_the_same_round_and_the_best_peer_is_named(log: list[str]) -> None:
    """The machine halves its speed from round to round: medians of times say little, ratios everything."""
    runs = [
        run(OURS, [10, 20, 40], log),
        run(LOWER, [11, 22, 44], log),
        run(FAST, [12, 22, 52], log, how="on one leg"),
        run(SLOW, [30, 60, 120], log),
    ]
    rows, notes = held(contest(runs), 3)
    assert log == ["ours", "lower", "fast", "slow", "slow", "fast", "lower", "ours", "ours", "lower", "fast", "slow"]
    assert [row.times.median for row in rows] == pytest.approx([1, 1.1, 1.2, 3])
    fast = rows[2]
    assert (fast.times.least, fast.times.greatest, fast.times.n) == (pytest.approx(1.1), pytest.approx(1.3), 3)
    assert [row.contestant for row in rows if row.best_peer] == ["fast"], "lower is faster, but gmixer's own"
    assert notes == [
        "Fast: on one leg",
        "the best peer is Fast: it takes 1.20 (1.10 … 1.30, n = 3) times as long as gmixer",
    ]


def test_contestants_may_share_a_process(log: list[str]) -> None:
    both = Run([OURS, FAST], lambda: {"ours": Measurement(2.0), "fast": Measurement(5.0)})
    rows, _ = held(contest([both]), 2)
    assert [(row.contestant, row.ms.median, row.times.median, row.rounds) for row in rows] == [
        ("ours", 2, 1, 2),
        ("fast", 5, 2.5, 2),
    ]


def failing(contestant: Contestant, log: list[str]) -> Run:
    def measure() -> Mapping[str, Measurement]:
        log.append(contestant.key)
        raise EngineError("no compiler")

    return Run([contestant], measure)


def test_a_peer_that_fails_is_told_and_not_asked_again(log: list[str]) -> None:
    rows, notes = held(contest([run(OURS, [1, 1], log), failing(FAST, log), run(SLOW, [3, 3], log)]), 2)
    assert log.count("fast") == 1 and [row.contestant for row in rows] == ["ours", "slow"]
    assert notes[0] == "Fast failed: no compiler" and notes[1].startswith("the best peer is Slow")


def test_the_first_must_not_fail(log: list[str]) -> None:
    with pytest.raises(EngineError, match="no compiler"):
        held(contest([failing(OURS, log), run(SLOW, [3, 3], log)]), 2)


def test_cells_fit_their_columns(log: list[str]) -> None:
    outcomes = {"peak_mib": 1234.5, "fraction": 0.874, "ceiling_gflops": 200.0, "error": 0.987}
    (row,), _ = held(contest([run(OURS, [104.0, 110.4], log, **outcomes)], macs=10), 2)
    assert [column.heading for column in row.columns][-3:] == ["ceiling", "error", "MiB"]
    assert list(row.cells()) == ["Ours", "107", "104 … 110", "1.00", "1.00 … 1.00", "87 %", "0.99", "1234"]
    assert all(len(cell) <= column.width for cell, column in zip(row.cells(), row.columns, strict=True))
    (row,), _ = held(contest([run(OURS, [1.0], [])]), 1)
    assert len(row.columns) == len(row.cells()) == 5, "no ceiling, error or memory where none is asked for"


def test_a_remark_sees_every_round(log: list[str]) -> None:
    remark: Callable[[Mapping[str, list[float]]], str] = lambda ms: f"{ms}"  # noqa: E731
    _, notes = held(contest([run(OURS, [1, 2], log)], remark=remark), 2)
    assert notes == ["{'ours': [1, 2]}"]


def test_ratios_are_formed_round_by_round() -> None:
    """A machine half as fast in the second round changes both, and no ratio."""
    assert ratios([12, 24], [10, 20]) == [1.2, 1.2]
    with pytest.raises(ValueError, match="shorter"):
        ratios([1, 2], [1])
