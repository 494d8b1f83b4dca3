"""The answer of a check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed"]  # warning: gmixer works, but slowly or without downloads


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check."""

    name: str
    status: Status
    fact: str  # the state of this machine, with numbers
    remedy: str  # what to do; for "ok" it may be "", or a possible improvement

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


Outcome = tuple[Status, str, str]  # a Finding without its name, which stands in CHECKS


def ok(fact: str, remedy: str = "") -> Outcome:
    return "ok", fact, remedy


def warning(fact: str, remedy: str) -> Outcome:
    return "warning", fact, remedy


def failed(fact: str, remedy: str) -> Outcome:
    return "failed", fact, remedy
