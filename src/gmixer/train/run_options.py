"""How a run proceeds, without any effect on its weights."""

from __future__ import annotations

from dataclasses import dataclass

from gmixer.checks import number, whole
from gmixer.options import DEFAULT_STORAGE, Storage


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """workers: processes that read and augment images; 0: none. validate_every: epochs; 0: only at the end.
    storage: how object storage is reached, which may hold stored embeddings.

    Raises InputError unless all numbers are 0 or more, and workers is a whole number.
    """

    workers: int = 1
    checkpoint_every_s: float = 300.0
    validate_every: float = 1.0
    storage: Storage = DEFAULT_STORAGE

    def __post_init__(self) -> None:
        whole("workers", self.workers, least=0)
        number("checkpoint_every_s", self.checkpoint_every_s, least=0)
        number("validate_every", self.validate_every, least=0)
