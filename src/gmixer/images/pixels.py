"""A picture → Pixels. The one place where a decoded picture meets numpy; a decoding process does without."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gmixer.images.modes import in_channels, strips

Pixels: TypeAlias = NDArray[np.uint8]
"""uint8 (H, W, C), C-contiguous. C = 3 is RGB, 1 grey; any other number is planes, whatever they may be."""


def to_pixels(rgb: Image.Image, channels: int) -> Pixels:
    """A picture in mode RGB → (H, W, 3), or its grey (H, W, 1)."""
    picture = in_channels(rgb, channels)
    pixels_HWC, top = None, 0
    for strip in strips(picture):
        strip_HWC = np.atleast_3d(np.asarray(strip))
        if strip is picture:  # the only one
            return strip_HWC
        if pixels_HWC is None:
            pixels_HWC = np.empty((picture.height, picture.width, channels), np.uint8)
        pixels_HWC[top : top + strip.height] = strip_HWC
        top += strip.height
    assert pixels_HWC is not None  # a picture has at least one row
    return pixels_HWC
