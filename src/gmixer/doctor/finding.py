"""What a check finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed"]  # a warning: all works, but slower, or only as long as nothing is fetched


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer."""

    name: str
    status: Status
    fact: str  # what is so, with the numbers
    remedy: str  # what to do about it; of an "ok" it may be "", or what could be better still

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


Outcome = tuple[Status, str, str]  # a Finding without the name, which the table of checks gives


def ok(fact: str, remedy: str = "") -> Outcome:
    return "ok", fact, remedy


def warning(fact: str, remedy: str) -> Outcome:
    return "warning", fact, remedy


def failed(fact: str, remedy: str) -> Outcome:
    return "failed", fact, remedy
