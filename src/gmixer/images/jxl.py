"""JPEG XL by pillow-jxl-plugin, which decodes the whole image when it opens the file, by several threads.

So jxl_header.py reads the header first. The import of the plugin changes Pillow for the whole process. Therefore this
module opens files in a decoding process only (isolation).
"""

from __future__ import annotations

import math
from importlib import import_module
from io import BytesIO
from resource import RLIM_INFINITY, RLIMIT_DATA, getrlimit
from typing import Any

from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.boxes import boxes
from gmixer.images.extras import package_works
from gmixer.images.jxl_header import MAX_EXTRA_CHANNELS, Header, read_header

# Of memory. libjxl does not say that memory is lacking. Measured with 88 megapixels: without loss 16, a packed JPEG 20.
LEAST_PIXEL_BYTES, MOST_PIXEL_BYTES = 6, 24

_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_NEEDED = {b"JXL ", b"ftyp", b"jxll", b"jxlc", b"jxlp"}  # all that the decoder needs of a file without a JPEG in it


def open_jxl(data: bytes, header: Header, *, source: str) -> Image.Image:
    """The decoded image. See is_turned for its orientation.

    Raises ImageError "unsupported" and "too_large", and the exceptions of the plugin.
    """
    _refuse_misread(header, source)
    if _needed_bytes(header, LEAST_PIXEL_BYTES) > _memory_limit():  # libjxl would end the process
        raise ImageError("too_large", _lacks_memory(), source)
    with package_works("JPEG XL", source=source):
        plugin: Any = import_module("pillow_jxl.JpegXLImagePlugin")
    plugin.DECODE_THREADS = 0  # none besides this one
    try:
        image: Image.Image = plugin.JXLImageFile(BytesIO(_without_metadata(data, source)), "")
    except (ImageError, MemoryError):
        raise
    except BaseException as error:  # a panic in Rust is no Exception; and the plugin's sentences are for programmers
        if _needed_bytes(header, MOST_PIXEL_BYTES) > _memory_limit():
            raise ImageError("too_large", f"is damaged, or {_lacks_memory()}", source) from error
        reason = "cannot be decoded as JPEG XL: it is cut short, damaged or of a rare kind"
        raise ImageError("corrupt", reason, source) from error
    if header.premultiplied and image.mode == "RGBA":
        image.rawmode = image._mode = "RGBa"  # type: ignore[attr-defined]
    return image


def _memory_limit() -> float:
    """Of this process, in bytes."""
    limit = getrlimit(RLIMIT_DATA)[0]
    return math.inf if limit == RLIM_INFINITY else limit


def _needed_bytes(header: Header, pixel_bytes: int) -> int:
    return header.width * header.height * (pixel_bytes + 4 * header.extra_channels)


def _lacks_memory() -> str:
    limit = f"{_memory_limit():,} bytes, the limit, set by Limits.max_memory_bytes"
    return f"needs more memory than {limit}: raise it, or make the image smaller"


def is_turned(image: Image.Image) -> bool:
    """Whether libjxl turned an image that pillow-jxl-plugin opened, as the file says. EXIF must not turn it again.

    It does not turn a JPEG that was packed without loss: the plugin unpacks the JPEG, and Pillow decodes it.
    """
    file, is_jpeg = getattr(image, "fc", None), getattr(image, "jpeg", False)
    return isinstance(file, bytes) and not is_jpeg and read_header(file, source="").orientation != 1


def _refuse_misread(header: Header, source: str) -> None:
    if header.animated:
        reason = "is an animated JPEG XL, and pillow-jxl-plugin reads no animations: save its first frame as an image"
        raise ImageError("unsupported", reason, source)
    if header.cmyk:
        reason = "is a JPEG XL in CMYK, which pillow-jxl-plugin misreads: save it in RGB"
        raise ImageError("unsupported", reason, source)
    if header.extra_channels > MAX_EXTRA_CHANNELS:
        reason = f"holds {header.extra_channels:,} channels besides its colours; the limit is {MAX_EXTRA_CHANNELS}"
        raise ImageError("too_large", f"{reason}: save it with fewer", source)


def _without_metadata(data: bytes, source: str) -> bytes:
    """The file without texts and the like, which the plugin would read and unpack. The first EXIF stays.

    A JPEG that was packed without loss is unpacked to all its bytes, so its boxes all stay.
    """
    if not data.startswith(_CONTAINER):
        return data
    every = list(boxes(data, 0, len(data), source=source))
    if any(box.kind == b"jbrd" for box in every):
        return data
    exif = next((box for box in every if box.kind == b"Exif"), None)
    return b"".join(data[box.start : box.end] for box in every if box.kind in _NEEDED or box is exif)
