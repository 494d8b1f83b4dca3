"""A decoded image → Pixels. Apart from decoders.py, because a decoding process imports no numpy."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gmixer.images.modes import in_channels, strips

Pixels: TypeAlias = NDArray[np.uint8]
"""uint8 (H, W, C), C-contiguous. C = 3 is RGB, 1 grey; any other number means planes."""


class NotedPixels(np.ndarray[tuple[int, ...], np.dtype[np.uint8]]):
    """Pixels and a note on them: one plain sentence without the image's name, or None. Slices have no note.

    whole_px: (width, height) of the whole image, if a JPEG was decoded at a part of its size.
    """

    note: str | None = None
    whole_px: tuple[int, int] | None = None


def noted(pixels_HWC: Pixels, note: str | None) -> NotedPixels:
    """The same memory, with the note."""
    with_note = pixels_HWC.view(NotedPixels)
    with_note.note = note
    return with_note


def to_pixels(rgb: Image.Image, channels: int) -> Pixels:
    """An image in mode RGB → (H, W, 3), or its grey (H, W, 1)."""
    image = in_channels(rgb, channels)
    pixels_HWC, top = None, 0
    for strip in strips(image):
        strip_HWC = np.atleast_3d(np.asarray(strip))
        if strip is image:  # the only strip
            return strip_HWC
        if pixels_HWC is None:
            pixels_HWC = np.empty((image.height, image.width, channels), np.uint8)
        pixels_HWC[top : top + strip.height] = strip_HWC
        top += strip.height
    assert pixels_HWC is not None  # an image has at least one row
    return pixels_HWC
