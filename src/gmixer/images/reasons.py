"""An exception of a decoder → the ImageError that the user gets. Decoders raise far more than OSError.

A decoder's own sentence is passed on, if it wrote one. Python's sentences, such as "string index out of range", say
nothing about a file, and no user gets them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.tiff_forms import tiff_form

_DAMAGED = "it is cut short, damaged or of a rare kind"
_UNSUPPORTED = ("unsupported", "not yet supported", "cannot handle", "unknown pixel mode", "unknown raw mode")
# Pillow writes most sentences into OSError, SyntaxError and EOFError, and these into the others, which Python uses too.
_BY_PILLOW = re.compile(
    r"truncated|apng|failed to decode|reached eof|token|maxval|channel value|non-decimal|invalid (tile )?dimensions"
    r"|missing dimensions|unsupported|unknown raw mode",
    re.IGNORECASE,
)
_MEANINGLESS = ("not identified by this driver", "decoder error")  # no mode or no size; a number of libtiff
_BYTES_OF_PYTHON = re.compile(r""" ?\([^()]*\bb(?:'[^']*'|"[^"]*")[^()]*\)""")  # in parentheses
_CHUNK = re.compile(r"\bb'(\w{4})'")  # the name of a PNG's chunk


@contextmanager
def as_image_error(what: str, source: str) -> Iterator[None]:
    """Every exception of the block becomes one ImageError. what: as in "decoded as PNG"."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:  # WebP, GIF and TIFF check Pillow's own limit too
        limit = f"{2 * (Image.MAX_IMAGE_PIXELS or 0):,}, twice PIL.Image.MAX_IMAGE_PIXELS"
        way_out = "make the image smaller, or raise Limits.max_pixels (--max-pixels), and in Python this limit too"
        reason = f"holds more pixels than Pillow itself allows, {limit}: {way_out}"
        raise ImageError("too_large", reason, source) from error
    except MemoryError as error:
        raise ImageError("too_large", _out_of_memory(what), source) from error
    except Exception as error:
        sentence = own_sentence(error)
        if "out of memory" in str(error).lower() or str(error) == "decoder error -9":
            raise ImageError("too_large", _out_of_memory(what), source) from error
        if any(words in sentence.lower() for words in _UNSUPPORTED):
            reason = f"cannot be {what}: {sentence}; save it with 8 or 16 bits a channel"
            raise ImageError("unsupported", reason, source) from error
        reason = f"cannot be {what}: {sentence}; {_DAMAGED}" if sentence else f"cannot be {what}: {_DAMAGED}"
        raise ImageError("corrupt", reason, source) from error


@contextmanager
def of_tiff(data: bytes, source: str) -> Iterator[None]:
    """Around the opening of a TIFF, which reads its tags: a form that Pillow does not know becomes "unsupported"."""
    try:
        yield
    except (Image.DecompressionBombError, MemoryError):
        raise
    except Exception as error:
        form = tiff_form(data)
        if form is None:
            raise
        reason = f"is a TIFF of {form}, a form that Pillow does not read"
        reason += ": save it uncompressed, as grey or RGB with 8 or 16 bits a channel"
        raise ImageError("unsupported", reason, source) from error


def own_sentence(error: Exception) -> str:
    """What Pillow wrote about the file, on one line; "" where only Python speaks."""
    if isinstance(error, SyntaxError) and isinstance(error.msg, Exception):  # Pillow puts Python's errors into its own
        error = error.msg
    sentence = " ".join(str(error).split())
    if not isinstance(error, (OSError, SyntaxError, EOFError)) and not _BY_PILLOW.match(sentence):
        return ""
    if sentence.startswith(_MEANINGLESS) or "codec can't decode" in sentence:  # pillow-heif repeats Python's words
        return ""
    return _BYTES_OF_PYTHON.sub("", _CHUNK.sub(r"\1", sentence))[:200].rstrip(". ")


def _out_of_memory(what: str) -> str:
    isolated = "--isolate sets a limit, in Python Limits.max_memory_bytes"
    way_out = "raise it, leave out --isolate, or make the image smaller"
    return f"cannot be {what}: it needs more memory than there is ({isolated}): {way_out}"
