"""Pillow's resize, bit for bit, of a window of the result: what the crop would throw away is not computed.

The work is native (native/pixels). Only the order of the two passes depends on Pillow's version, and is decided here.
"""

from __future__ import annotations

import numpy as np
import PIL
from numpy.typing import NDArray

from gmixer import _native
from gmixer.config import Interpolation

_PILLOW = tuple(int(part) for part in PIL.__version__.split(".")[:2])


def resize_window(
    pixels_HWC: NDArray[np.uint8],
    size: tuple[int, int],
    rows: slice,
    columns: slice,
    interpolation: Interpolation,
    isa: str,
) -> NDArray[np.uint8]:
    """uint8 (H, W, C) → uint8 (h, w, C): these rows and columns of the image resized to `size`, (height, width).

    Any number of channels, each resized as Pillow would resize it alone. isa: the instruction set; all give the same
    bytes. Raises MemoryError.
    """
    window_hwC = np.empty((rows.stop - rows.start, columns.stop - columns.start, pixels_HWC.shape[2]), np.uint8)
    _native.resize_window(
        pixels=np.ascontiguousarray(pixels_HWC),
        height=size[0],
        width=size[1],
        top=rows.start,
        left=columns.start,
        bicubic=interpolation == "bicubic",
        vertical_first=vertical_first(pixels_HWC.shape[:2], size),
        window=window_hwC,
        isa=isa,
    )
    return window_hwC


def vertical_first(before: tuple[int, ...], after: tuple[int, int], pillow: tuple[int, ...] = _PILLOW) -> bool:
    """Whether Pillow resizes vertically first from `before` to `after`, both (height, width). Each pass rounds, so the
    order changes pixels.

    pillow: its version, (major, minor). A version after 13.0, the last known here, is assumed to behave as 13.0;
    tests/data/test_window.py fails if it does not. Source: Resample.c of 13.0, Image.py of 12.2.
    """
    (height, width), (to_height, to_width) = before, after
    if pillow >= (13, 0):
        return height > to_height and height - to_height > 2 * (width - to_width)
    if pillow >= (12, 2):
        return height > to_height and height > 100 * width
    return False
