"""Arrays → Pixels. The channel axis is the third one and never guessed: (3, 5) is grey and (3, 5, 3) three rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gmixer.errors import InputError
from gmixer.images.modes import Pixels, over_white


def from_array(array: NDArray[Any], *, source: str) -> Pixels:
    """uint8 (H, W, 3) RGB, (H, W, 4) RGBA, (H, W) or (H, W, 1) grey → Pixels; RGBA is laid over white.

    An array that is Pixels already is returned itself, not copied. Raises InputError for any other type or shape.
    """
    array = np.asarray(array)
    grey = array.ndim == 2 or array.shape[2:] == (1,)
    if array.dtype != np.uint8 or 0 in array.shape or not (grey or array.shape[2:] in {(3,), (4,)}):
        raise InputError(
            f"{source}: got {array.dtype} {array.shape}; wanted uint8 (height, width, 3) RGB, or 4 channels for RGBA, "
            f"1 or none for grey{_way_out(array)}"
        )
    if grey:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    if array.shape[2] == 4:
        return np.asarray(over_white(Image.fromarray(array)))
    return np.ascontiguousarray(array)


def _way_out(array: NDArray[Any]) -> str:
    if array.ndim == 4:
        return ": pass the pictures of a batch one by one, as a list"
    if array.ndim == 3 and array.shape[0] in {1, 3, 4} and 0 not in array.shape and array.shape[2] not in {1, 3, 4}:
        return ": channels come last, so pass array.transpose(1, 2, 0)"
    if np.issubdtype(array.dtype, np.floating):
        return ": for values in 0…1 pass (array * 255).round().astype(numpy.uint8)"
    return ""
