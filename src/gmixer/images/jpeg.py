"""A JPEG's pixels by simplejpeg, in two thirds of Pillow's time, if they are certain to equal Pillow's.

Both use libjpeg-turbo and produce identical pixels for a sound file; they differ only in how they handle corrupt files.
So only a file with a plain header is decoded here, and the first warning ends the attempt. Pillow decodes every other
file. tests/images/test_jpeg.py compares the two.

H height, W width in pixels, as decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from struct import error as StructError
from struct import unpack_from

import numpy as np
from PIL import Image, features

from gmixer.images.exif import orientation_of, upright_pixels
from gmixer.images.pieces import jpeg_segments
from gmixer.images.pixels import Pixels

_OLDEST_TURBO = 3  # the major version inside simplejpeg; earlier ones upsample some files differently
_LEAST_REDUCED_PX = 8  # a shorter side has as many pixels at 5/8 as at 1/2, so the size does not tell the scale

_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive; others are arithmetic-coded, lossless, in stages
_ALL_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # without tables, JPG and arithmetic conditioning
_PLAIN = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # tables, restart interval, comment, applications' own
_SOS, _ADOBE = 0xDA, 0xEE
_MAX_SEGMENTS = 1_000  # guessed: a photograph has about twenty
# The number of each channel, as JFIF counts them, and its sampling factors: grey, or YCbCr.
_LAYOUTS = {((1,), (0x11,)), ((1,), (0x22,))} | {((1, 2, 3), (y, 0x11, 0x11)) for y in (0x11, 0x21, 0x12, 0x22, 0x41)}


def plain_pixels(image: Image.Image, data: bytes, *, apply_exif: bool) -> Pixels | None:
    """RGB of an opened JPEG, of the size of `image`: uint8 (H, W, 3). None if Pillow must decode it.

    data: the whole file. apply_exif: rotate by the EXIF orientation. `image` is not decoded.
    """
    decode_jpeg, size = _decoder(), _plain_size(data)
    if decode_jpeg is None or size is None or image.format != "JPEG":
        return None
    if image.size != size and min(size) < _LEAST_REDUCED_PX:
        return None
    pixels_HWC = np.empty((image.height, image.width, 3), np.uint8)
    try:  # an image that does not fit the buffer is refused before it is decoded
        decoded_HWC = decode_jpeg(
            data, "RGB", buffer=pixels_HWC, strict=True, min_height=image.height, min_width=image.width
        )
    except Exception:
        return None
    if decoded_HWC.shape != pixels_HWC.shape:
        return None
    return upright_pixels(pixels_HWC, orientation_of(image) if apply_exif else 1)


def whole_size(data: bytes, part_HWC: Pixels) -> tuple[int, int] | None:
    """(width, height) of a whole JPEG, turned as `part_HWC` is, its pixels at a part of the size. None if not stated.

    Where the sides of the part are equal, as the file states it.
    """
    height, width = part_HWC.shape[:2]
    for marker, start, end in jpeg_segments(data):
        if marker in _ALL_FRAMES and start + 9 <= min(end, len(data)):
            whole_height, whole_width = unpack_from(">HH", data, start + 5)
            is_turned = height != width and (height > width) != (whole_height > whole_width)
            return (whole_height, whole_width) if is_turned else (whole_width, whole_height)
    return None


@cache
def _decoder() -> Callable[..., Pixels] | None:
    """simplejpeg's; None if it cannot be imported, or if Pillow uses another JPEG library."""
    turbo = features.version("libjpeg_turbo")
    if turbo is None or int(turbo.split(".")[0]) < _OLDEST_TURBO:
        return None
    try:
        import simplejpeg  # type: ignore[import-untyped] # only a JPEG needs it
    except Exception:  # also ValueError: built for another numpy
        return None
    decode_jpeg: Callable[..., Pixels] = simplejpeg.decode_jpeg
    return decode_jpeg


def _plain_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a file with a header as cameras and programs commonly write it; None for every other."""
    at, size = 2, None
    try:
        for _ in range(_MAX_SEGMENTS):
            lead, marker, length = unpack_from(">BBH", data, at)
            if lead != 0xFF:
                return None
            if marker == _SOS:
                return size
            if marker in _FRAMES and size is None:
                bits, height, width, channels = unpack_from(">BHHB", data, at + 4)
                each = data[at + 10 : at + 2 + length]  # number, factors, table
                if bits != 8 or len(each) != 3 * channels or (tuple(each[::3]), tuple(each[1::3])) not in _LAYOUTS:
                    return None
                size = width, height
            elif marker not in _PLAIN or (marker == _ADOBE and not _is_ycbcr(data[at + 4 : at + 2 + length])):
                return None
            at += 2 + length
    except StructError:  # the end of the file
        pass
    return None


def _is_ycbcr(adobe: bytes) -> bool:
    """Whether the last of the twelve bytes of Adobe's segment says YCbCr. 0 is RGB or CMYK, 2 is YCCK."""
    return len(adobe) == 12 and adobe.startswith(b"Adobe") and adobe[-1] == 1
