"""Runs native code that may be broken in a forked child. A crash or a hang there fails one check, and no other.

A fork takes some milliseconds; a fresh Python with numpy takes 0.2 s.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

LIMIT_S = 30  # guessed: a hundred times the time of the slowest check


class ChildDied(Exception):
    """The child ended without an answer. The message names the signal or the status."""


def in_child(work: Callable[[], T], *, limit_s: int = LIMIT_S) -> T:
    """Calls work() in a forked child, and returns its result, which must pickle.

    Raises the exception of work(). Raises ChildDied if the child was killed, or had not ended after limit_s seconds.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _answer(work, writer, limit_s)
    os.close(writer)
    try:
        with open(reader, "rb") as pipe:
            answer = pipe.read()
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == -signal.SIGALRM:
        raise ChildDied(f"had not ended after {limit_s} seconds")
    if code:
        raise ChildDied(f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}")
    good, value = pickle.loads(answer)  # our own child wrote it
    if not good:
        raise value
    result: T = value
    return result


def _answer(work: Callable[[], Any], writer: int, limit_s: int) -> None:
    """Runs in the child, and ends it. The default action of the alarm kills it even if it waits for a lock."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(limit_s)
        try:
            answer = pickle.dumps((True, work()))
        except Exception as error:
            answer = pickle.dumps((False, error))
        with open(writer, "wb") as pipe:
            pipe.write(answer)
        status = 0
    finally:
        os._exit(status)
