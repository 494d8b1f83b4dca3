"""URLs among images → their bytes, fetched ahead of use and several at a time: a host that does not answer then costs
its own time only.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gmixer.options import Reading
from gmixer.sources.address import is_url, read_path

T = TypeVar("T")

MAX_FETCHES = 16  # a batch of images. Each holds a connection, then at most Limits.max_bytes until they are taken.


@contextmanager
def fetch_ahead(images: Iterable[T], reading: Reading) -> Iterator[Iterator[T | Fetch]]:
    """The images in order. Where reading allows URLs, a Fetch, which has begun, takes the place of each URL.

    When the block ends, no further ones begin.
    """
    fetches = _Fetches()
    try:
        yield (
            fetches.add(image, reading) if reading.allow_urls and isinstance(image, str) and is_url(image) else image
            for image in images
        )
    finally:
        fetches.close()


class Fetch:
    """One URL. Its bytes come in a thread of their own, which ends with the process."""

    def __init__(self, url: str, reading: Reading, fetches: _Fetches) -> None:
        self.url = url
        self._reading, self._fetches = reading, fetches
        self.has_begun = False
        self._done = threading.Event()
        self._outcome: bytes | Exception | None = None

    def read(self) -> bytes:
        """Waits for the bytes. Raises ImageError as read_path does."""
        if self._fetches.is_running(self):
            self._done.wait()
            outcome, self._outcome = self._outcome, None
            if isinstance(outcome, bytes):
                self._fetches.ends()
                return outcome
            if outcome is not None:
                raise outcome
        return read_path(self.url, source=self.url, reading=self._reading)

    def run(self) -> None:
        """Fetches the bytes."""
        try:
            self._outcome = read_path(self.url, source=self.url, reading=self._reading)
        except Exception as error:
            self._outcome = error.with_traceback(None)  # its frames hold the bytes that came
            self._fetches.ends()
        finally:
            self._done.set()


class _Fetches:
    """At most MAX_FETCHES at a time run or hold bytes; they begin in order. A child of a fork begins none."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._waiting: deque[Fetch] = deque()
        self._count = 0

    def add(self, url: str, reading: Reading) -> Fetch:
        fetch = Fetch(url, reading, self)
        if os.getpid() == self._process:
            with self._lock:
                self._waiting.append(fetch)
                self._begin()
        return fetch

    def is_running(self, fetch: Fetch) -> bool:
        """False also in another process. If False, the fetch does not begin any more: the caller reads the URL."""
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

    def close(self) -> None:
        if os.getpid() == self._process:
            with self._lock:
                self._waiting.clear()

    def _begin(self) -> None:
        while self._waiting and self._count < MAX_FETCHES:
            try:
                threading.Thread(target=self._waiting[0].run, name="gmixer-fetch", daemon=True).start()
            except RuntimeError:  # the main thread has ended: from then on Python starts no threads
                return
            self._waiting.popleft().has_begun = True
            self._count += 1
