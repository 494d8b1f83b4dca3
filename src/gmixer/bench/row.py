"""Steps that are measured one after the other, and the rows of tables that they return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gmixer.bench.stats import Spread
from gmixer.rows.table import Column


class TableRow(Protocol):
    """A line of a table. Consecutive rows with the same title form one table."""

    @property
    def title(self) -> str: ...

    @property
    def columns(self) -> Sequence[Column]: ...

    def cells(self) -> Sequence[str]: ...

    @property
    def style(self) -> str:
        """A style of rich's; empty for most rows."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The same row for JSON; "row" holds its kind. Numbers are not rounded; each name ends with its unit."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of work that takes seconds."""

    what: str  # shown while the step runs
    run: Callable[[], Sequence[TableRow]]


def figures(value: float) -> str:
    """Three significant figures without an exponent: 0.012, 0.123, 1.23, 12.3, 123, 1235."""
    places = next((places for places, end in ((3, 0.9995), (2, 9.995), (1, 99.95)) if value < end), 0)
    return f"{value:.{places}f}"


def per_cent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def tenths(spread: Spread) -> str:
    return f"{figures(spread.p10)} … {figures(spread.p90)}"


def threads_in_words(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"
