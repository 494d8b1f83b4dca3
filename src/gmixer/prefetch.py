"""Work begun before its turn: a function over an iterable, in threads, with the results in order and few in flight."""

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

FEW = 4  # items for which no thread is started: with the import that costs as much as decoding one picture


def prefetch(function: Callable[[T], R], items: Iterable[T], *, threads: int, ahead: int) -> Generator[R, None, None]:
    """function(item) of each item, in order. So many threads are at work on the items to come, while the caller is at
    work on the last result.

    items is advanced in the caller's thread, by at most `ahead` items more than results were handed out. Of FEW items
    or less each is done in the caller's thread, in its turn.

    An Exception that function or items raises is raised in its place, after the results before it, and ends it all. Who
    leaves early closes the generator: what waits is dropped, and what is half done is not waited for. In a child of a
    fork, which has none of the threads, what was in flight is begun anew.
    """
    calls = _calls(function, items)
    first = list(islice(calls, FEW + 1))
    if len(first) <= FEW:
        for call in first:
            yield call()
        return
    calls = chain(first, calls)
    in_flight: deque[tuple[Callable[[], R], Callable[[], R]]] = deque()  # a call, and what waits for its result
    executor, process = _executor(threads), os.getpid()
    try:
        while True:
            if os.getpid() != process:
                executor, process = _executor(threads), os.getpid()
                in_flight = deque((call, _begin(call, executor)) for call, _ in in_flight)
            in_flight.extend((call, _begin(call, executor)) for call in islice(calls, ahead - len(in_flight)))
            if not in_flight:
                return
            _, result = in_flight.popleft()
            yield result()
    finally:
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter. An Exception of items is raised after a list of those before it."""
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
    """What is to be called for each item, and where items raises, to raise that."""
    try:
        for item in items:
            yield partial(function, item)
    except Exception as error:
        yield partial(_raise, error)


def _executor(threads: int) -> Executor | None:
    """None where the main thread has ended: from then on Python begins nothing in threads."""
    try:
        from concurrent.futures import ThreadPoolExecutor  # 2 ms that no single picture needs
    except RuntimeError:
        return None
    return ThreadPoolExecutor(threads, "gmixer-ahead")


def _begin(call: Callable[[], R], executor: Executor | None) -> Callable[[], R]:
    """Begins in a thread, where that may be. What is returned gives the result."""
    if executor is not None:
        with suppress(RuntimeError):  # the main thread has ended since
            return executor.submit(call).result
    return call


def _raise(error: Exception) -> NoReturn:
    raise error
