"""Colour with 16 bits a channel. Pillow keeps the upper 8 bits of each value; the lower 8 can be had by a trick."""

from __future__ import annotations

import sys

from PIL import Image

from gmixer.images.raw_mode import in_planes, raw_mode, read_as

_WIDE_COLOUR = {f"{mode};16{order}" for mode in ("RGB", "RGBX", "RGBA", "RGBa", "LA") for order in "LBN"}
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


def has_sixteen_bits(image: Image.Image) -> bool:
    """Whether an opened image has RGB with 16 bits, or grey with alpha, and is not decoded yet."""
    return raw_mode(image) in _WIDE_COLOUR


def lower_channels(image: Image.Image) -> list[Image.Image] | None:
    """The lower 8 bits of each channel, in mode L, of an opened image that is not decoded yet; it is decoded here.

    Pillow reads the bytes of each value in the other order for it. None where Pillow cannot do this.
    """
    form = raw_mode(image)
    if in_planes(image):
        return None
    if form == "LA;16B":  # Pillow knows no other order: the four bytes are read as four channels
        read_as(image, "RGBA")
        return [image.getchannel(1)] * 3 + [image.getchannel(3)]
    read_as(image, form.replace("RGBa", "RGBA")[:-1] + _OTHER_ORDER[form[-1]])
    return list(image.split())


def together(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """Two channels of bytes → one in mode I;16."""
    return Image.frombytes("I;16", upper.size, Image.merge("LA", (lower, upper)).tobytes())
