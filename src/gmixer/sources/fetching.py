"""Bytes that come over a network, fetched ahead of use and several at a time: a host that does not answer then costs
its own time only.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from gmixer.options import Reading
from gmixer.sources.address import is_url, read_path

T = TypeVar("T")

MAX_FETCHES = 16  # a batch of images. Each holds a connection, then at most Limits.max_bytes until they are taken.


@contextmanager
def fetch_urls(images: Iterable[T], reading: Reading) -> Iterator[Iterator[T | Fetch]]:
    """The images in order. Where reading allows URLs, a Fetch, which has begun, takes the place of each URL.

    When the block ends, no further ones begin.
    """
    with Fetches(MAX_FETCHES) as fetches:
        yield (
            fetches.add(image, partial(read_path, image, source=image, reading=reading))
            if reading.allow_urls and isinstance(image, str) and is_url(image)
            else image
            for image in images
        )


class Fetches:
    """At most `most` at a time run or hold bytes; they begin in order. A child of a fork begins none.

    As a context manager: when the block ends, no further ones begin.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._waiting: deque[Fetch] = deque()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if os.getpid() == self._process:
            with self._lock:
                self._waiting.clear()

    def add(self, name: str, get: Callable[[], bytes]) -> Fetch:
        """get: gives the bytes, or raises ImageError. It is called in a thread."""
        fetch = Fetch(name, get, self)
        if os.getpid() == self._process:
            with self._lock:
                self._waiting.append(fetch)
                self._begin()
        return fetch

    def is_running(self, fetch: Fetch) -> bool:
        """False also in another process. If False, the fetch does not begin any more: the caller gets the bytes."""
        if os.getpid() != self._process:
            return False
        with self._lock:
            if fetch in self._waiting:
                self._waiting.remove(fetch)
            return fetch.has_begun

    def ends(self) -> None:
        with self._lock:
            self._count -= 1
            self._begin()

    def _begin(self) -> None:
        while self._waiting and self._count < self._most:
            try:
                threading.Thread(target=self._waiting[0].run, name="gmixer-fetch", daemon=True).start()
            except RuntimeError:  # the main thread has ended: from then on Python starts no threads
                return
            self._waiting.popleft().has_begun = True
            self._count += 1


class Fetch:
    """The bytes of one file, which has this name. They come in a thread of their own, which ends with the process."""

    def __init__(self, name: str, get: Callable[[], bytes], fetches: Fetches) -> None:
        self.name = name
        self._get, self._fetches = get, fetches
        self.has_begun = False
        self._done = threading.Event()
        self._outcome: bytes | Exception | None = None

    def read(self) -> bytes:
        """Waits for the bytes. Raises what `get` raises."""
        if self._fetches.is_running(self):
            self._done.wait()
            outcome, self._outcome = self._outcome, None
            if isinstance(outcome, bytes):
                self._fetches.ends()
                return outcome
            if outcome is not None:
                raise outcome
        return self._get()

    def run(self) -> None:
        """Gets the bytes."""
        try:
            self._outcome = self._get()
        except Exception as error:
            self._outcome = error.with_traceback(None)  # its frames hold the bytes that came
            self._fetches.ends()
        finally:
            self._done.set()
