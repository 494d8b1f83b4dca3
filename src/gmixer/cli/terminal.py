"""Only the command itself writes to stderr.

C libraries below the decoders write to file descriptor 2, past Python: libtiff writes a line for each damaged strip.
The library leaves file descriptors to its caller. Here the caller is the command.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gmixer.cli import flags

STDERR = 2


@contextmanager
def own_stderr() -> Iterator[None]:
    """While images are decoded, descriptor 2 leads to /dev/null, and sys.stderr writes to a copy of the real one.

    The copy gets what Python writes, tracebacks and faulthandler included. With --debug, C libraries may write too.
    """
    before = sys.stderr
    if flags.debug_wanted() or _descriptor_of(before) != STDERR:
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
    """Discards what is written to the descriptor. If it was closed, no file can get its number from now on."""
    devnull = os.open(os.devnull, os.O_RDWR)
    if devnull != descriptor:
        os.dup2(devnull, descriptor)
        os.close(devnull)


def _descriptor_of(stream: object) -> int | None:
    try:
        return stream.fileno()  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError):  # a replaced stream
        return None
