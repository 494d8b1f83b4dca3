"""What is measured one after the other, and what comes of it: steps that give rows, in tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gmixer.bench.stats import Spread


@dataclass(frozen=True, slots=True)
class Column:
    heading: str
    width: int
    left: bool = False


class Row(Protocol):
    """A line of a table. Rows that follow each other under one title are one table."""

    @property
    def title(self) -> str: ...

    @property
    def columns(self) -> Sequence[Column]: ...

    def cells(self) -> Sequence[str]: ...

    @property
    def style(self) -> str:
        """rich's; empty for most."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON; "row" says which kind it is. Numbers whole, in the unit that the name ends with."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of work that takes seconds."""

    what: str  # is measured just now, for those who wait
    run: Callable[[], Sequence[Row]]


def figures(value: float) -> str:
    """Three figures, and never an exponent: 0.012, 0.123, 1.23, 12.3, 123, 1235."""
    places = next((places for places, end in ((3, 0.9995), (2, 9.995), (1, 99.95)) if value < end), 0)
    return f"{value:.{places}f}"


def per_cent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def tenths(spread: Spread) -> str:
    return f"{figures(spread.p10)} … {figures(spread.p90)}"


def ends(spread: Spread) -> str:
    return f"{figures(spread.least)} … {figures(spread.greatest)}"


def threads_in_words(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"
