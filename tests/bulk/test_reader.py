"""reader.py: records → their bytes, ahead of use and in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gmixer.bulk.reader import AHEAD, read_ahead
from gmixer.bulk.record import Record
from gmixer.errors import ImageError, InputError
from gmixer.options import Limits, Reading
from gmixer.sources.entry import Opened
from gmixer.sources.local import LocalFile


@dataclass
class Server:
    """Files on another machine: the content of each is its name. It counts what happens at a time."""

    seconds: float = 0.02
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: int = 0
    most: int = 0
    begun: list[str] = field(default_factory=list)

    @contextmanager
    def request(self, name: str) -> Iterator[None]:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.begun.append(name)
        time.sleep(self.seconds)
        yield
        with self.lock:
            self.running -= 1


@dataclass
class Remote:
    key: str
    server: Server
    read_at_once: bool = False
    named: bool = False
    size: int | None = None
    version: int | None = None

    @contextmanager
    def open(self, source: str) -> Iterator[Opened]:
        with self.server.request(self.key):
            if "bad" in self.key:
                raise ImageError("unreadable", "the server answers 500", source)
            rest = [self.key.encode()]
            yield Opened(None, lambda count: rest.pop() if rest else b"")


def record(entry: object) -> Record:
    key = entry.source if isinstance(entry, ImageError) else entry.key  # type: ignore[attr-defined]
    return Record(key, None, None, None, entry)  # type: ignore[arg-type]


def outcome(read: object) -> bytes | str:
    try:
        data: bytes = read()  # type: ignore[operator]
    except ImageError as error:
        return error.kind
    return data


def test_remote_files_come_many_at_a_time_and_in_order() -> None:
    server = Server()
    names = [f"{i}" for i in range(160)]
    start = time.monotonic()
    found = [(f.record.key, f.read()) for f in read_ahead((record(Remote(n, server)) for n in names), Reading())]
    assert found == [(name, name.encode()) for name in names]
    assert 8 < server.most <= AHEAD
    assert time.monotonic() - start < 1.6, "one after another they take 3.2 s"


def test_no_more_are_read_than_that_many_ahead() -> None:
    server, taken = Server(seconds=0), 0

    def endless() -> Iterator[Record]:
        nonlocal taken
        while True:
            taken += 1
            yield record(Remote(f"{taken}", server))

    files = read_ahead(endless(), Reading())
    for n in range(1, 100):
        next(files).read()
        assert taken <= n + AHEAD and len(server.begun) <= n + AHEAD
    files.close()


def test_each_file_fails_alone(tmp_path: Path) -> None:
    server = Server()
    (tmp_path / "large").write_bytes(bytes(2_000))
    (tmp_path / "small").write_bytes(b"small")
    refused = ImageError("unreadable", "the folder cannot be read", "folder")
    entries = [
        Remote("a", server),
        Remote("bad", server),
        refused,
        LocalFile(str(tmp_path / "large")),
        LocalFile(str(tmp_path / "small")),
        LocalFile(str(tmp_path / "absent")),
        Remote("bad at once", server, read_at_once=True),
        Remote("b", server),
    ]
    reading = Reading(limits=Limits(max_bytes=1_000))
    found = [outcome(file.read) for file in read_ahead(map(record, entries), reading)]
    assert found == [b"a", "unreadable", "unreadable", "too_large", b"small", "missing", "unreadable", b"b"]


def test_what_must_be_read_at_once_is_read_before_the_listing_goes_on() -> None:
    server, order = Server(seconds=0), list[str]()

    def listed() -> Iterator[Record]:
        for name in "abc":
            yield record(Remote(name, server, read_at_once=True))
            order.append(f"after {name}: {len(server.begun)}")

    assert [file.read() for file in read_ahead(listed(), Reading())] == [b"a", b"b", b"c"]
    assert order == ["after a: 1", "after b: 2", "after c: 3"]


def test_a_failure_of_the_listing_comes_after_the_files_before_it() -> None:
    server = Server(seconds=0)

    def listed() -> Iterator[Record]:
        yield from (record(Remote(name, server)) for name in "ab")
        raise InputError("the list ends in line 3")

    files = read_ahead(listed(), Reading())
    assert [next(files).read(), next(files).read()] == [b"a", b"b"]
    with pytest.raises(InputError, match="line 3"):
        next(files)
