"""Who speaks on stderr: the command, and nobody else.

C libraries below the decoders write to file descriptor 2, past Python: libtiff a line for every damaged strip. The
library leaves descriptors alone, they are its caller's; the command is the caller.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gmixer.cli import options

STDERR = 2


@contextmanager
def own_stderr() -> Iterator[None]:
    """While pictures are decoded: descriptor 2 leads nowhere, and sys.stderr is a private copy of where it led.

    What Python says, tracebacks and faulthandler's among it, goes to the copy. With --debug everybody may speak.
    """
    before = sys.stderr
    if options.debug_wanted() or _descriptor_of(before) != STDERR:
        yield
        return
    before.flush()
    copy = open(os.dup(STDERR), "w", buffering=1, encoding=before.encoding, errors=before.errors)  # noqa: SIM115
    watched = faulthandler.is_enabled()  # by PYTHONFAULTHANDLER
    try:
        sys.stderr = copy
        if watched:
            faulthandler.enable(copy)
        send_to_devnull(STDERR)
        yield
    finally:
        copy.flush()
        os.dup2(copy.fileno(), STDERR)
        if watched:
            faulthandler.enable(before)
        sys.stderr = before
        copy.close()


def send_to_devnull(descriptor: int) -> None:
    """What is written to it is gone; open or not, it is so now, and no file of ours can come to lie there."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _descriptor_of(stream: object) -> int | None:
    try:
        return stream.fileno()  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError):  # a stream that somebody put in its place
        return None
