"""One process at a time makes a part.

A lock saves work and no more: two processes that make the same part write the same bytes. So a lease that ends early,
because the clocks of two machines differ, does no harm.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gmixer.bulk.place import LocalPlace, Place
from gmixer.errors import InputError

FOLDER = "_gmixer/locks"
LEASE_S = 120.0  # guessed: a process that ends by force holds its part this long, on object storage


class PartTaken(InputError):
    """Another process makes the part."""


@contextmanager
def part_lock(place: Place, number: int, *, lease_s: float = LEASE_S) -> Iterator[None]:
    """Raises PartTaken if another process has the part."""
    held = _flock(place, number) if isinstance(place, LocalPlace) else _lease(place, number, lease_s)
    with held:
        yield


@contextmanager
def _flock(place: LocalPlace, number: int) -> Iterator[None]:
    """A lock of the operating system, which ends with the process however that ends. The file is deleted at the end."""
    import fcntl

    path = place.root / FOLDER / f"{number:06}"
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = open(path, "a+b")  # noqa: SIM115 - closed at the end of the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read()
            file.close()
            raise _taken(place, number, holder) from None
        except OSError as error:
            file.close()
            raise OSError(error.errno, f"{error.strerror}: no lock is possible there", place.name) from error
        if _is_same(file.fileno(), path):
            break
        file.close()  # its holder deleted it between the two calls
    try:
        file.truncate(0)
        file.write(_me(0))
        file.flush()
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def _lease(place: Place, number: int, lease_s: float) -> Iterator[None]:
    """A file that only one process can create, with the time at which it expires. The holder renews it.

    Whoever finds the last file expired creates the next one, `000003.1` after `000003.0`: only one process can.
    """
    names = _leases(place, number)
    turn = 0
    if names:
        content = place.read(f"{FOLDER}/{names[-1]}")
        if content is not None and _expires(content) > time.time():
            raise _taken(place, number, content)
        turn = _turn(names[-1]) + 1
    own = f"{FOLDER}/{number:06}.{turn}"
    if not place.create(own, _me(lease_s)):
        raise _taken(place, number, place.read(own) or b"")
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(lease_s / 4):
            with suppress(OSError):  # the next time may work; if none does, the lease expires
                place.write(own, _me(lease_s))

    renewal = threading.Thread(target=renew, name="gmixer-lease", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()
        for name in {*names, own.rpartition("/")[2]}:
            with suppress(OSError):  # it expires
                place.remove(f"{FOLDER}/{name}")


def _leases(place: Place, number: int) -> list[str]:
    return sorted((name for name in place.names(FOLDER) if name.startswith(f"{number:06}.")), key=_turn)


def _turn(name: str) -> int:
    turn = name.rpartition(".")[2]
    return int(turn) if turn.isdecimal() else 0


def _me(lease_s: float) -> bytes:
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "expires": time.time() + lease_s}).encode()


def _expires(content: bytes) -> float:
    try:
        return float(json.loads(content)["expires"])
    except (ValueError, TypeError, KeyError):
        return 0.0


def _taken(place: Place, number: int, content: bytes) -> PartTaken:
    who = "another process"
    with suppress(ValueError, TypeError, KeyError):
        found = json.loads(content)
        who = f"process {found['pid']} on {found['host']}"
    return PartTaken(
        f"part {number} of {place.name} is being made by {who}; wait for that process, or share the parts: "
        "--part 1/2 here and --part 2/2 there"
    )
