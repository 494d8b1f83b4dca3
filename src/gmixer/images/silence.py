"""Pillow reports through `warnings`, `logging` and libtiff; gmixer reports a failure in one ImageError instead.

`warnings.catch_warnings` changes the filters of the whole process, so two threads that decode at once would undo each
other's change. Here one filter stays in place, and it matches only in a thread that is decoding at that moment. The
user's own use of Pillow warns as before.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from PIL import Image, _imaging

_here = threading.local()


class _WhileDecoding(type):
    def __subclasscheck__(cls, subclass: type) -> bool:
        return getattr(_here, "decoding", False)


class _AnyWarning(Warning, metaclass=_WhileDecoding):
    """The category of the filter: every warning is a subclass of it while this thread decodes."""


@contextmanager
def silence_pillow() -> Iterator[None]:
    """No warning raised in this thread reaches the user, nor becomes an exception under `python -W error`."""
    if not warnings.filters or warnings.filters[0][2] is not _AnyWarning:  # other code may insert filters before it
        warnings.simplefilter("ignore", _AnyWarning)
    before = getattr(_here, "decoding", False)
    _here.decoding = True
    try:
        yield
    finally:
        _here.decoding = before


def let_pillow_read(max_pixels: int) -> None:
    """Only for a process of gmixer's own: Pillow refuses no image for its size that gmixer's limit allows.

    Elsewhere the limit belongs to the user's program, PIL.Image.MAX_IMAGE_PIXELS. Pillow refuses twice as many pixels.
    """
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)


# Without any handler, Python prints errors that Pillow logs to stderr. The user's handlers still get them.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@cache
def silence_libtiff() -> None:
    """libtiff writes a line to stderr for every damaged strip, without Python; only an error handler stops this.

    The command has its own stderr (cli/terminal.py), but a program that uses the library does not. Pillow itself sets
    libtiff's handler for warnings in the same way. Set once for the whole process, before the first TIFF. The function
    is found through Pillow's module, which is linked to libtiff.
    """
    import ctypes  # only a TIFF needs it

    with suppress(AttributeError, OSError):  # a Pillow without libtiff, or with hidden names
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
