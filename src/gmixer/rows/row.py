"""The protocol of a row: the same content for a script, a pipe and a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import RenderableType

ColumnTypes = Mapping[str, Any]  # name → str, int, float, bool or list[int]
MAX_COLUMNS = 100  # in a wider terminal, labels would only move away from their numbers


class Row(Protocol):
    def to_dict(self) -> dict[str, Any]:
        """One JSON object."""
        ...

    def cells(self) -> Sequence[str]:
        """The fields of one line, for pipes."""
        ...

    def draw(self, columns: int) -> Iterable[RenderableType]:
        """What rich shows in a terminal of this width."""
        ...
