"""An image in any form → Pixels, uint8 (H, W, C), RGB by default."""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from gmixer.checks import whole
from gmixer.errors import ImageError, InputError
from gmixer.images.arrays import from_array, only_array
from gmixer.images.decoders import check_pixels, open_image, upright_rgb
from gmixer.images.jpeg import plain_pixels, whole_size
from gmixer.images.opened import Opened
from gmixer.images.pixels import NotedPixels, noted, to_pixels
from gmixer.images.reasons import as_image_error
from gmixer.images.settings import DecodeSettings
from gmixer.images.silence import silence_libtiff, silence_pillow
from gmixer.images.sixteen_bits import has_sixteen_bits
from gmixer.images.stated_range import stated_by_tiff
from gmixer.options import DEFAULT_READING, Reading
from gmixer.sources.address import read_path
from gmixer.sources.entry import too_many_bytes
from gmixer.sources.sniff import HEAD_BYTES, sniff, why_not

if TYPE_CHECKING:
    from gmixer.isolation.workers import Workers

ImageLike: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[np.uint8]

_OPTIONAL = {"WEBP", "AVIF"}  # a Pillow may be built without them
_IN_EXTRAS = {"HEIF", "JPEG XL"}
_NEVER_HERE = {"JPEG XL"}  # its decoder changes Pillow, and knows no limits

# Pillow reads an opened image when its pixels are first used. Two threads must not do this to the same image, which a
# list may hold twice. The lock is held over a fork, so that it is free in the child.
_one_pil_image = threading.RLock()
os.register_at_fork(
    before=_one_pil_image.acquire, after_in_parent=_one_pil_image.release, after_in_child=_one_pil_image.release
)


def decode(
    source: ImageLike,
    *,
    name: str | None = None,
    reading: Reading = DEFAULT_READING,
    channels: int = 3,
    workers: Workers | None = None,
    reduce_to_px: int = 0,
) -> NotedPixels:
    """An image → uint8 (H, W, channels), C-contiguous. Treat it as read-only: it may share the memory of `source`.

    Its `.note` is a sentence on what a user may not expect of these pixels, or None.

    source: a path (str or os.PathLike), a file's bytes, a PIL image, or a uint8 array (H, W, 3), (H, W, 4), (H, W) or
        (H, W, 1). Of an animation the first frame is taken, of a PIL image its current frame. A path may be a member of
        a tar or zip archive: `photos.tar::cat.jpg`.
    name: the image's name in errors; None: the path as given, "<bytes>", "<image>" or "<array>".
    reading: its limits are checked before decoding. Of a PIL image only the pixels are checked, of an array nothing. A
        TIFF, a HEIC and a JPEG XL are rotated in either case, because their decoders do it.
    channels: 3 is RGB; 1 is the grey of that RGB, as Pillow's convert("L") gives it, and grey stays as it is. For any
        other number, only a uint8 array (H, W, channels) is allowed: 4 channels are then four planes, not RGBA.
    workers: files are decoded in these processes, to the same pixels (isolation/workers.py), also if reading.isolate is
        False. A PIL image is decoded in this process. None: files are too, but JPEG XL is decoded in processes that all
        calls share.
    reduce_to_px: decode a JPEG file at a half, a quarter or an eighth of its size, if its short side keeps this many
        pixels: faster, but with other pixels than a resize gives. 0: never.

    Modes other than RGB become RGB by the table in modes.py. An upright RGB file is bit-identical to
    `PIL.Image.open(source).convert("RGB")`. Safe to call from many threads.

    Raises ImageError, of any kind, if the image cannot be read. Raises InputError for an argument of the wrong type,
    shape or value, and for anything but an array if channels is not 1 or 3.
    """
    whole("channels", channels, least=1)
    whole("reduce_to_px", reduce_to_px, least=0)
    settings = DecodeSettings.of(reading, channels=channels, reduce_to_px=reduce_to_px)
    try:
        with silence_pillow():
            return _decode(source, name or default_name(source), reading, settings, workers)
    except ImageError as error:
        failure = error
    # Raised again, outside the `except`. Otherwise an error that a long run keeps would also keep the file's bytes: the
    # frames of its traceback and of the decoder's own exception refer to them.
    failure.__cause__ = failure.__context__ = None
    try:
        raise failure.with_traceback(None)
    finally:
        del failure


def default_name(source: object) -> str:
    """The name in errors of an image that was given without a name."""
    match source:
        case np.ndarray():
            return "<array>"
        case Image.Image():
            return "<image>"
        case bytes() | bytearray() | memoryview():
            return "<bytes>"
        case str() | os.PathLike():
            return os.fsdecode(source)
    return "source"


def _decode(source: Any, name: str, reading: Reading, settings: DecodeSettings, workers: Workers | None) -> NotedPixels:
    match source:
        case np.ndarray():
            return from_array(source, source=name, channels=settings.channels)
        case _ if settings.channels not in {1, 3}:
            raise InputError(f"{name}: got a {type(source).__name__}; {only_array(settings.channels)}")
        case Image.Image():
            return _from_pil(source, name, settings)
        case bytes() | bytearray() | memoryview():
            return _from_bytes(bytes(source), name, reading, settings, workers)
        case str() | os.PathLike():
            return _from_bytes(read_path(source, source=name, reading=reading), name, reading, settings, workers)
    got = f"{name}: got a {type(source).__name__}"
    raise InputError(f"{got}; wanted a path, bytes, a PIL image or a uint8 array (height, width, 3)")


def _from_bytes(
    data: bytes, source: str, reading: Reading, settings: DecodeSettings, workers: Workers | None
) -> NotedPixels:
    if not data:
        raise ImageError("empty", "is empty: it holds no bytes at all", source)
    if len(data) > reading.limits.max_bytes:
        raise too_many_bytes(f"{len(data):,}", source, reading.limits)
    image_format = sniff(data[:HEAD_BYTES])
    if image_format is None:
        raise ImageError(*why_not(data[:HEAD_BYTES]), source)
    if image_format in _OPTIONAL and not features.check(image_format.lower()):
        raise ImageError("unsupported", f"is {image_format}, which this Pillow is built without: upgrade it", source)
    if image_format in _IN_EXTRAS:
        from gmixer.images.extras import check_installed  # only these need it

        check_installed(image_format, source=source)
    if workers is None and image_format in _NEVER_HERE:
        workers = _shared_workers()
    if workers is not None:
        pixels = workers.decode(data, image_format, source=source, limits=reading.limits, settings=settings)
    else:
        pixels = _decode_here(data, image_format, source, settings)
    if settings.reduce_to_px and image_format == "JPEG":
        pixels.whole_px = whole_size(data, pixels)
    return pixels


def _decode_here(data: bytes, image_format: str, source: str, settings: DecodeSettings) -> NotedPixels:
    if image_format == "TIFF":
        silence_libtiff()
    with as_image_error(f"decoded as {image_format}", source):
        opened = open_image(data, image_format, settings, source=source)
        if image_format == "JPEG" and settings.channels == 3:
            pixels_HWC = plain_pixels(opened.image, data, apply_exif=settings.apply_exif)
            if pixels_HWC is not None:
                return noted(pixels_HWC, None)
        rgb, note = upright_rgb(opened, settings, source=source)
        return noted(to_pixels(rgb, settings.channels), note)


@cache
def _shared_workers() -> Workers:
    """They end with the program."""
    from gmixer.isolation.workers import Workers

    return Workers()


def _from_pil(image: Image.Image, source: str, settings: DecodeSettings) -> NotedPixels:
    if 0 in image.size:
        raise InputError(f"{source}: got a PIL image of {image.width}x{image.height}; wanted at least one pixel")
    check_pixels(image, settings, source=source)
    with _one_pil_image, as_image_error("decoded", source):  # it may be opened but not yet read
        opened = Opened(image, has_sixteen_bits(image), stated=stated_by_tiff(image))
        rgb, note = upright_rgb(opened, settings, source=source)
        return noted(to_pixels(rgb, settings.channels), note)
