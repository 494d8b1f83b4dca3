"""One process at a time makes a part; and no process makes parts beside an update.

A lock of a part saves work and no more: two processes that make the same part write the same bytes. So a lease that
ends early, because the clocks of two machines differ, does no harm there.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from gmixer.bulk.owner import is_dead, this_process
from gmixer.bulk.place import LocalPlace, Place
from gmixer.errors import InputError

FOLDER = "_gmixer/locks"
LEASE_S = 120.0  # guessed: a process of another machine that ends by force holds its part this long, on object storage
PATIENCE_S = 0.5  # a run that ends takes the lock of a dead process for a moment, to remove it
UPDATE = "update"
RUN = "run-"  # of a run that is no update; a random name follows


class PartTaken(InputError):
    """Another process makes the part."""


@contextmanager
def part_lock(place: Place, number: int, *, lease_s: float = LEASE_S) -> Iterator[None]:
    """Raises PartTaken if another process has the part."""

    def taken(content: bytes) -> PartTaken:
        return PartTaken(
            f"part {number} of {place.name} is being made by {_who(content)}; wait for that process, or share the "
            "parts: --part 1/2 here and --part 2/2 there"
        )

    with _hold(place, f"{number:06}", taken, lease_s):
        yield


@contextmanager
def run_lock(place: Place, *, update: bool, lease_s: float = LEASE_S) -> Iterator[None]:
    """Runs may stand beside each other. An update stands alone: it moves entries between parts.

    Raises InputError for an update beside a run, and for a run beside an update.
    """

    def taken(content: bytes) -> InputError:
        if update:
            return InputError(f"{_who(content)} writes to {place.name}; an update must be alone: wait for its end")
        return InputError(f"{_who(content)} updates {place.name}; wait for its end")

    # Each side takes its own lock first and looks for the other's then, so that at least one of two sees the other.
    with _hold(place, UPDATE if update else RUN + os.urandom(8).hex(), taken, lease_s):
        for name in place.names(FOLDER):
            if name.startswith(RUN if update else UPDATE):
                content = _holder(place, name)
                if content is not None:
                    raise taken(content)
        yield


def remove_dead_locks(place: Place, finished: Container[int]) -> None:
    """Those that killed processes left: of runs, of updates and of finished parts, which nobody takes again."""
    for file in place.names(FOLDER):
        name = file.partition(".")[0]  # 000003.0, of a lease, belongs to 000003
        is_left = name.startswith(RUN) or name == UPDATE or (name.isdecimal() and int(name) in finished)
        if is_left and _holder(place, file) is None:
            with suppress(PartTaken), _hold(place, name, lambda _: PartTaken(), LEASE_S, patience_s=0):
                pass  # whoever lets go of a lock leaves no file


@contextmanager
def _hold(
    place: Place,
    name: str,
    taken: Callable[[bytes], InputError],
    lease_s: float,
    *,
    patience_s: float = PATIENCE_S,
) -> Iterator[None]:
    """taken: the error, from what the holder wrote."""
    end = time.monotonic() + patience_s
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(
                    _flock(place, name, taken) if isinstance(place, LocalPlace) else _lease(place, name, taken, lease_s)
                )
                break
            except InputError:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.05)
        yield


@contextmanager
def _flock(place: LocalPlace, name: str, taken: Callable[[bytes], InputError]) -> Iterator[None]:
    """A lock of the operating system, which ends with the process however that ends. The file is deleted at the end.

    Linux has it on NFS too, unless that is mounted with local_lock.
    """
    import fcntl

    path = place.root / FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed at the end of the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read()
            file.close()
            raise taken(holder) from None
        except OSError as error:
            file.close()
            raise OSError(error.errno, f"{error.strerror}: no lock is possible there", place.name) from error
        if _is_same(file.fileno(), path):
            break
        file.close()  # its holder deleted it between the two calls
    try:
        with suppress(OSError):  # a full disk; the lock holds, and only its file does not say whose it is
            file.truncate(0)
            file.write(_me(0))
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(place: Place, name: str) -> bytes | None:
    """What the holder of a lock wrote; None if it is dead, or holds the lock no more. name: of the lock's file."""
    content = place.read(f"{FOLDER}/{name}")
    if not isinstance(place, LocalPlace):
        return content if content is not None and _is_valid(content) else None
    import fcntl

    try:
        with open(place.root / FOLDER / name, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return content or b""
    return None


@contextmanager
def _lease(place: Place, name: str, taken: Callable[[bytes], InputError], lease_s: float) -> Iterator[None]:
    """A file that only one process can create, with the time at which it expires. The holder renews it.

    Whoever finds the last file expired creates the next one, `000003.1` after `000003.0`: only one process can.
    """
    names = sorted((found for found in place.names(FOLDER) if found.startswith(f"{name}.")), key=_turn)
    turn = 0
    if names:
        content = place.read(f"{FOLDER}/{names[-1]}")
        if content is not None and _is_valid(content):
            raise taken(content)
        turn = _turn(names[-1]) + 1
    own = f"{FOLDER}/{name}.{turn}"
    lease = _me(lease_s)
    if not place.create(own, lease) and (other := place.read(own) or b"") != lease:
        raise taken(other)  # equal: the answer to our own request was lost, and the library asked again
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
        for found in {*names, own.rpartition("/")[2]}:
            with suppress(OSError):  # it expires
                place.remove(f"{FOLDER}/{found}")


def _turn(name: str) -> int:
    turn = name.rpartition(".")[2]
    return int(turn) if turn.isdecimal() else 0


def _me(lease_s: float) -> bytes:
    """lease_s: 0 for a lock that needs no lease."""
    lease = {"expires": time.time() + lease_s} if lease_s else {}
    return json.dumps({"host": socket.gethostname(), **this_process(), **lease}).encode()


def _is_valid(content: bytes) -> bool:
    """Whether a lease holds: not one that has expired, that is damaged, or whose owner is known to be dead."""
    try:
        found = json.loads(content)
        return float(found["expires"]) > time.time() and not is_dead(found)
    except (ValueError, TypeError, KeyError):
        return False


def _who(content: bytes) -> str:
    with suppress(ValueError, TypeError, KeyError):
        found = json.loads(content)
        who = f"process {found['pid']} on {found['host']}"
        if "expires" in found:
            left_s = max(0, round(found["expires"] - time.time()))
            return f"{who} (if that process is dead, its lease ends in {left_s} s)"
        return who
    return "another process"
