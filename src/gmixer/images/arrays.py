"""Arrays → Pixels. The channel axis is the third one and never guessed: (3, 5) is grey and (3, 5, 3) three rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gmixer.errors import InputError
from gmixer.images.modes import to_rgb
from gmixer.images.opened import Opened
from gmixer.images.pixels import NotedPixels, noted, to_pixels


def from_array(array: NDArray[Any], *, source: str, channels: int) -> NotedPixels:
    """uint8 (H, W, 3) RGB, (H, W, 4) RGBA, (H, W) or (H, W, 1) grey → Pixels of 3 channels, or of 1.

    RGBA is laid over white. For any other number of channels the array must be (H, W, channels). An array that is
    already Pixels is not copied. Raises InputError for any other type or shape.
    """
    array = np.asarray(array)
    allowed = {1, 3, 4} if channels in {1, 3} else {channels}
    array_HWC = array[:, :, None] if array.ndim == 2 else array
    if array.dtype != np.uint8 or array_HWC.ndim != 3 or 0 in array.shape or array_HWC.shape[2] not in allowed:
        wanted = "wanted uint8 (height, width, 3) RGB, or 4 channels for RGBA, 1 or none for grey"
        wanted = wanted if channels in {1, 3} else only_array(channels)
        raise InputError(f"{source}: got {array.dtype} {array.shape}; {wanted}{_way_out(array, allowed)}")
    if array_HWC.shape[2] == channels:
        return noted(np.ascontiguousarray(array_HWC), None)
    if array_HWC.shape[2] == 1:
        return noted(np.repeat(array_HWC, channels, axis=2), None)
    rgb, note = to_rgb(Opened(Image.fromarray(array_HWC)), source=source)
    return noted(to_pixels(rgb, channels), note)


def only_array(channels: int) -> str:
    """The advice for an image file given to a model that takes neither 1 nor 3 channels."""
    return f"an image file has 1 or 3 channels, so for {channels} pass a uint8 array (height, width, {channels})"


def _way_out(array: NDArray[Any], allowed: set[int]) -> str:
    if array.ndim == 4:
        return ": pass the images of a batch one by one, as a list"
    if array.ndim == 3 and array.shape[0] in allowed and 0 not in array.shape and array.shape[2] not in allowed:
        return ": channels come last, so pass array.transpose(1, 2, 0)"
    if np.issubdtype(array.dtype, np.floating):
        return ": for values in 0…1 pass (array * 255).round().astype(numpy.uint8)"
    return ""
