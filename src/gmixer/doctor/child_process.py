"""Native code that may be broken runs in a forked child: what dies or hangs there is one finding, and ends no other.

A fork costs some milliseconds, a fresh Python with numpy a fifth of a second.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

LIMIT_S = 30  # guessed: a hundred times what the slowest check takes here


class ChildDied(Exception):
    """The child ended without an answer; the message says by what."""


def in_child(work: Callable[[], T], *, limit_s: int = LIMIT_S) -> T:
    """What work() returns, computed in a forked child; it must pickle.

    Raises what work() raised, or ChildDied where the child was killed or was not done after limit_s seconds.
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
        raise ChildDied(f"was not done after {limit_s} seconds")
    if code:
        raise ChildDied(f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}")
    good, value = pickle.loads(answer)  # our own child wrote it
    if not good:
        raise value
    result: T = value
    return result


def _answer(work: Callable[[], Any], writer: int, limit_s: int) -> None:
    """The child's whole life. The alarm's default action kills it, whatever lock it hangs on."""
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
