"""How a bulk run divides its output, and which parts of it this process makes."""

from __future__ import annotations

from dataclasses import dataclass

from gmixer.checks import whole
from gmixer.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Ray:
    """Ray makes the parts, in actors on all machines of a cluster (extra `gmixer[ray]`).

    address: `ray://HOST:PORT`, or HOST:PORT on a machine of the cluster. None: $RAY_ADDRESS, else the cluster that runs
        on this machine, else a cluster of this machine alone.
    actors: how many; None: as many as the cluster's processors take, also of machines that come later.
    threads: of an actor. One thread gives the most images a processor.

    Raises InputError for actors or threads below 1.
    """

    address: str | None = None
    actors: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.actors is not None:
            whole("actors", self.actors, least=1)
        whole("threads", self.threads, least=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartOptions:
    """part_size: entries in a part. A part is the most that a crash costs, and what two processes share.

    update: the sources have changed since the last run: make the parts again that hold changed or removed entries, and
        put new entries into new parts.
    share: (i, n): make only the parts that fall to the i-th of n processes, counted from 1.
    on: what makes the parts. None: this process.

    Raises InputError for a part_size below 1, an update that is no bool, and a share that is not within 1…n,
    and for an `on` that is no Ray.
    """

    part_size: int = 4_096  # with gmixer_24_224 on two cores three minutes, with 384 channels 6 MB
    update: bool = False
    share: tuple[int, int] = (1, 1)
    on: Ray | None = None

    def __post_init__(self) -> None:
        whole("part_size", self.part_size, least=1)
        if not isinstance(self.update, bool):
            raise InputError(f"update is {self.update!r}; wanted True or False")
        if not isinstance(self.on, Ray | None):
            raise InputError(f"on is {self.on!r}; wanted a gmixer.bulk.Ray, or None")
        if not isinstance(self.share, tuple) or len(self.share) != 2:
            raise InputError(f"share is {self.share!r}; wanted (i, n), such as (1, 8) for the first of eight processes")
        whole("n of share", self.share[1], least=1)
        whole("i of share", self.share[0], least=1, most=self.share[1])
