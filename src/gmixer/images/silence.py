"""Pillow speaks through `warnings`, `logging` and libtiff; gmixer says what is wrong in one ImageError instead.

`warnings.catch_warnings` swaps the filters of the whole process, so two threads that decode at once would undo each
other's. Here one filter stays in place for good, and it matches only in a thread that is decoding at that moment:
the user's own use of Pillow warns as before.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from PIL import _imaging

_here = threading.local()


class _WhileDecoding(type):
    def __subclasscheck__(cls, subclass: type) -> bool:
        return getattr(_here, "decoding", False)


class _AnyWarning(Warning, metaclass=_WhileDecoding):
    """What the filter asks "is this warning one of yours?"."""


@contextmanager
def silence_pillow() -> Iterator[None]:
    """No warning raised in this thread reaches the user, nor becomes an exception under `python -W error`."""
    if not warnings.filters or warnings.filters[0][2] is not _AnyWarning:  # others may have put theirs in front
        warnings.simplefilter("ignore", _AnyWarning)
    before = getattr(_here, "decoding", False)
    _here.decoding = True
    try:
        yield
    finally:
        _here.decoding = before


# Without any handler, Python prints errors that Pillow logs to stderr. Handlers of the user's still see them.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@cache
def silence_libtiff() -> None:
    """libtiff writes a line to stderr for every damaged strip, past Python; it offers no other way to stop that.

    The command could do without (cli/terminal.py), a program that uses the library could not; Pillow itself does the
    same with libtiff's warnings. For the whole process and once, before the first TIFF. Found through Pillow's module,
    which is linked to it.
    """
    import ctypes  # only a TIFF needs it

    with suppress(AttributeError, OSError):  # a Pillow without libtiff, or with one whose names are hidden
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
