"""One run at a time in a folder: two would mix their checkpoints and tables."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gmixer.errors import InputError

_held: set[int] = set()  # descriptors of locked folders


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Locks the folder, and makes it first if it does not exist. The lock ends with the block, and with the process.

    Raises InputError where another run holds it. A file system without locks gives none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder} is a file, or lies in one; wanted a folder for the run (-o)") from None
    descriptor = os.open(folder, os.O_RDONLY)
    _held.add(descriptor)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{folder} is the folder of a run that has not ended; wait for its end, or choose another folder (-o)"
        ) from None
    except OSError:
        pass  # no locks here, such as on NFS


def _in_child_of_fork() -> None:
    """A worker of the run would hold the lock longer than the run, if the run is killed."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_in_child_of_fork)
