"""prefetch: a function over an iterable, in background threads, with results in order and few items in flight."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")
R = TypeVar("R")

FEW = 4  # items for which no thread is started: the import and the threads cost as much as decoding one image


def prefetch(function: Callable[[T], R], items: Iterable[T], *, threads: int, ahead: int) -> Generator[R, None, None]:
    """function(item) of each item, in order. `threads` threads work on the next items while the caller uses a result.

    items is advanced in the caller's thread, at most `ahead` items beyond the results given. For FEW items or less, the
    function runs in the caller's thread.

    An exception of function or items is raised after the results that precede it, and ends the generator. Closing the
    generator early drops the items that wait, and does not wait for running calls. After a fork, the child has none of
    the threads, and calls the function again for the items in flight.
    """
    calls = _calls(function, items)
    first = list(islice(calls, FEW + 1))
    if len(first) <= FEW:
        for call in first:
            yield call()
        return
    calls = chain(first, calls)
    in_flight: deque[tuple[Callable[[], R], Callable[[], R]]] = deque()  # a call, and the wait for its result
    executor, process = _executor(threads), os.getpid()
    try:
        while True:
            if os.getpid() != process:
                executor, process = _executor(threads), os.getpid()
                in_flight = deque((call, _start(call, executor)) for call, _ in in_flight)
            in_flight.extend((call, _start(call, executor)) for call in islice(calls, ahead - len(in_flight)))
            if not in_flight:
                return
            _, result = in_flight.popleft()
            yield result()
    finally:
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items; the last may be shorter. An exception of items is raised after the items before it.

    It pulls: a batch waits until `size` items have come. A caller that collects batches itself, such as a server, uses
    Preparer, run and Answerer of gmixer.prediction instead.
    """
    batch: list[T] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _calls(function: Callable[[T], R], items: Iterable[T]) -> Iterator[Callable[[], R]]:
    """A call for each item, and at an exception of items a call that raises it."""
    try:
        for item in items:
            yield partial(function, item)
    except Exception as error:
        yield partial(_raise, error)


def _executor(threads: int) -> Executor | None:
    """None if the main thread has ended: from then on Python starts no threads."""
    try:
        from concurrent.futures import ThreadPoolExecutor  # takes 2 ms, and a single image does not need it
    except RuntimeError:
        return None
    return ThreadPoolExecutor(threads, "gmixer-ahead")


def _start(call: Callable[[], R], executor: Executor | None) -> Callable[[], R]:
    """Starts the call in a thread, if possible. Returns the function that gives its result."""
    if executor is not None:
        with suppress(RuntimeError):  # the main thread has ended meanwhile
            return executor.submit(call).result
    return call


def _raise(error: Exception) -> NoReturn:
    raise error
