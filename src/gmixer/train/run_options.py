"""How a run proceeds, without any effect on its weights."""

from __future__ import annotations

from dataclasses import dataclass

from gmixer.checks import number, whole


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """workers: processes that read and augment images; 0: none. validate_every: epochs; 0: only at the end.

    Raises InputError unless all are 0 or more, and workers is a whole number.
    """

    workers: int = 1
    checkpoint_every_s: float = 300.0
    validate_every: float = 1.0

    def __post_init__(self) -> None:
        whole("workers", self.workers, least=0)
        number("checkpoint_every_s", self.checkpoint_every_s, least=0)
        number("validate_every", self.validate_every, least=0)
