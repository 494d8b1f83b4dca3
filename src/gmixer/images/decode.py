"""Anything that is a picture → Pixels, uint8 (H, W, C), RGB by default."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from gmixer.errors import ImageError, InputError
from gmixer.images.arrays import from_array, only_array
from gmixer.images.decoders import as_image_error, check_pixels, open_image, upright_rgb
from gmixer.images.jpeg import plain_pixels
from gmixer.images.pixels import Pixels, to_pixels
from gmixer.images.silence import silence_libtiff, silence_pillow
from gmixer.options import DEFAULT_LIMITS, Limits, Orientation
from gmixer.sources.address import read
from gmixer.sources.local import too_many_bytes
from gmixer.sources.sniff import HEAD_BYTES, sniff, why_not

if TYPE_CHECKING:
    from gmixer.isolation.workers import Workers

ImageLike: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[np.uint8]

_OPTIONAL = {"WEBP", "AVIF"}  # a Pillow may be built without them

# An image that was opened is read when its pixels are first asked for, which two threads must not do to the same one:
# a list may hold it twice. Held over a fork, so that it is free in the child.
_one_pil_image = threading.RLock()
os.register_at_fork(
    before=_one_pil_image.acquire, after_in_parent=_one_pil_image.release, after_in_child=_one_pil_image.release
)


def decode(
    source: ImageLike,
    *,
    name: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    orientation: Orientation = "apply",
    channels: int = 3,
    allow_urls: bool = False,
    workers: Workers | None = None,
    reduce_to_px: int = 0,
) -> Pixels:
    """A picture → uint8 (H, W, channels), C-contiguous; treat it as read-only, it may be a view of another's memory.

    source: a path (str or os.PathLike), a file's bytes, a PIL image, or a uint8 array (H, W, 3), (H, W, 4), (H, W) or
        (H, W, 1). Of an animation the first frame is taken, of a PIL image the one it stands at. A path may lead into
        a tar or zip archive: `photos.tar::cat.jpg`.
    name: what errors call the picture; else the path as given, "<bytes>", "<image>" or "<array>".
    limits: a file that holds more is refused before it is decoded; of a PIL image only the pixels count, of an array
        nothing does.
    orientation: "apply" turns the picture as its EXIF says; "ignore" leaves it, which is timm's behaviour. (A TIFF is
        turned either way: Pillow does it while decoding.)
    channels: 3 is RGB; 1 is the grey of that RGB, as Pillow's convert("L") gives it, and grey stays as it is. For any
        other number a uint8 array (H, W, channels) is taken as it is: 4 are four planes, not RGBA.
    allow_urls: whether a str that is a URL is fetched, from public addresses only (see web.py), or refused.
    workers: processes of their own (isolate.py) in which files are decoded, to the same pixels; a PIL image, which is
        open in this process already, is decoded in it all the same.
    reduce_to_px: decode the file of a JPEG at a half, a quarter or an eighth of its size, where its short side keeps
        as many pixels as this: faster, to other pixels than resizing it gives. 0 for never.

    Modes other than RGB become RGB by the table in modes.py. An upright RGB file is bit-identical to
    `PIL.Image.open(source).convert("RGB")`. Safe to call from many threads.

    Raises ImageError, of any kind, if the picture cannot be had; InputError for an argument of the wrong type, shape or
    value, and for anything but an array where channels are not 1 or 3.
    """
    if orientation not in ("apply", "ignore"):
        raise InputError(f'orientation is {orientation!r}; wanted "apply" or "ignore"')
    if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
        raise InputError(f"channels is {channels!r}; wanted a whole number above 0")
    if not isinstance(reduce_to_px, int) or reduce_to_px < 0:
        raise InputError(f"reduce_to_px is {reduce_to_px!r}; wanted a whole number, or 0 for never")
    try:
        with silence_pillow():
            how = _How(limits, orientation == "apply", channels, allow_urls, workers, reduce_to_px)
            return _decode(source, name or name_of(source), how)
    except ImageError as error:
        failure = error
    # Raised anew, outside the `except`: an error that a long run keeps must not keep the file's bytes alive, which
    # hang on the frames of its traceback and of the decoder's own exception.
    failure.__cause__ = failure.__context__ = None
    try:
        raise failure.with_traceback(None)
    finally:
        del failure


def name_of(source: object) -> str:
    """What errors call a picture that was given no name."""
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


@dataclass(frozen=True, slots=True)
class _How:
    """The arguments of `decode`; turn: as the EXIF says."""

    limits: Limits
    apply_exif: bool
    channels: int
    allow_urls: bool
    workers: Workers | None
    reduce_to_px: int


def _decode(source: Any, name: str, how: _How) -> Pixels:
    match source:
        case np.ndarray():
            return from_array(source, source=name, channels=how.channels)
        case _ if how.channels not in {1, 3}:
            raise InputError(f"{name}: got a {type(source).__name__}; {only_array(how.channels)}")
        case Image.Image():
            return _from_pil(source, name, how)
        case bytes() | bytearray() | memoryview():
            return _from_bytes(bytes(source), name, how)
        case str() | os.PathLike():
            data = read(source, source=name, limits=how.limits, allow_urls=how.allow_urls)
            return _from_bytes(data, name, how)
    got = f"{name}: got a {type(source).__name__}"
    raise InputError(f"{got}; wanted a path, bytes, a PIL image or a uint8 array (height, width, 3)")


def _from_bytes(data: bytes, source: str, how: _How) -> Pixels:
    if not data:
        raise ImageError("empty", "is empty: it holds no bytes at all", source)
    if len(data) > how.limits.max_bytes:
        raise too_many_bytes(f"{len(data):,}", source, how.limits)
    image_format = sniff(data[:HEAD_BYTES])
    if image_format is None:
        raise ImageError(*why_not(data[:HEAD_BYTES]), source)
    if image_format in _OPTIONAL and not features.check(image_format.lower()):
        raise ImageError("unsupported", f"is {image_format}, which this Pillow is built without: upgrade it", source)
    if how.workers is not None:
        return how.workers.decode(
            data,
            image_format,
            source=source,
            limits=how.limits,
            apply_exif=how.apply_exif,
            channels=how.channels,
            reduce_to_px=how.reduce_to_px,
        )
    if image_format == "TIFF":
        silence_libtiff()
    with as_image_error(f"decoded as {image_format}", source):
        image = open_image(
            data,
            image_format,
            source=source,
            max_pixels=how.limits.max_pixels,
            max_frames=how.limits.max_frames,
            reduce_to_px=how.reduce_to_px,
        )
        if image_format == "JPEG" and how.channels == 3:
            pixels_HWC = plain_pixels(image, data, apply_exif=how.apply_exif)
            if pixels_HWC is not None:
                return pixels_HWC
        return to_pixels(upright_rgb(image, source=source, apply_exif=how.apply_exif), how.channels)


def _from_pil(image: Image.Image, source: str, how: _How) -> Pixels:
    if 0 in image.size:
        raise InputError(f"{source}: got a PIL image of {image.width}x{image.height}; wanted at least one pixel")
    check_pixels(image, source, how.limits.max_pixels)
    with _one_pil_image, as_image_error("decoded", source):  # it may have been opened but not yet read
        return to_pixels(upright_rgb(image, source=source, apply_exif=how.apply_exif), how.channels)
