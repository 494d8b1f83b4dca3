"""A window of an enlarged picture, without the rest: for pictures so elongated that the rest would fill the memory.

The slow clear version of Pillow's resize (its Resample.c), bit for bit: horizontally first, in integers of 22 bits.
(To shrink a picture's height, Pillow 13 goes vertically first where that is cheaper: not here.)

H, W height and width of the picture; h, w of the window; N output places along one axis, T weights for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmixer.config import Interpolation

_BITS = 22  # of a weight's fraction
_REACH = {"bicubic": 2.0, "bilinear": 1.0}  # in source pixels, when enlarging


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where each output place takes its values from, and their weights."""

    at_NT: NDArray[np.int64]
    weights_NT: NDArray[np.int64]


def resize_window(
    pixels: NDArray[np.uint8], size: tuple[int, int], rows: slice, columns: slice, interpolation: Interpolation
) -> NDArray[np.uint8]:
    """uint8 (H, W) or (H, W, C) → (h, w) or (h, w, C): those rows and columns of it resized to `size`, (height, width).

    size: no fewer rows than the picture has. Only those of its rows that the window needs are looked at; memory goes
    with their number times w.
    """
    pixels_HWC = np.atleast_3d(pixels)
    vertical = _axis(pixels_HWC.shape[0], size[0], rows, interpolation)
    horizontal = _axis(pixels_HWC.shape[1], size[1], columns, interpolation)
    first, last = int(vertical.at_NT.min()), int(vertical.at_NT.max())
    vertical = _Axis(vertical.at_NT - first, vertical.weights_NT)
    planes = [
        _weighted(vertical, _weighted(horizontal, pixels_HWC[first : last + 1, :, c].T).T)
        for c in range(pixels_HWC.shape[2])
    ]
    return np.dstack(planes) if pixels.ndim == 3 else planes[0]


def _axis(in_px: int, out_px: int, window: slice, interpolation: Interpolation) -> _Axis:
    """Source: Pillow's precompute_coeffs and normalize_coeffs_8bpc, the same operations in the same order."""
    places_N = np.arange(window.start, window.stop)
    if in_px == out_px:  # Pillow leaves this axis out
        return _Axis(places_N[:, None], np.full((len(places_N), 1), 1 << _BITS))
    scale = float(np.float32(in_px)) / out_px  # its box is of C floats
    stretch = max(scale, 1.0)
    reach = _REACH[interpolation] * stretch
    centre_N = (places_N + 0.5) * scale
    low_N = np.maximum((centre_N - reach + 0.5).astype(np.int64), 0)
    high_N = np.minimum((centre_N + reach + 0.5).astype(np.int64), in_px)
    at_NT = low_N[:, None] + np.arange((high_N - low_N).max())
    weights_NT = _kernel((at_NT - centre_N[:, None] + 0.5) * (1.0 / stretch), interpolation)
    weights_NT[at_NT >= high_N[:, None]] = 0.0
    weights_NT /= np.cumsum(weights_NT, axis=1)[:, -1:]  # summed one by one, as it does
    fixed_NT = np.trunc(weights_NT * (1 << _BITS) + np.where(weights_NT < 0, -0.5, 0.5)).astype(np.int64)
    return _Axis(np.minimum(at_NT, in_px - 1), fixed_NT)


def _kernel(x: NDArray[np.float64], interpolation: Interpolation) -> NDArray[np.float64]:
    x = np.abs(x)
    if interpolation == "bilinear":
        return np.where(x < 1, 1.0 - x, 0.0)
    a = -0.5
    near, far = ((a + 2.0) * x - (a + 3.0)) * x * x + 1, (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _weighted(axis: _Axis, plane_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) → (N, W): along the first axis."""
    sums_NW = np.full((len(axis.at_NT), plane_HW.shape[1]), 1 << (_BITS - 1), np.int64)
    for at_N, weight_N in zip(axis.at_NT.T, axis.weights_NT.T, strict=True):
        sums_NW += plane_HW[at_N] * weight_N[:, None]
    bytes_NW: NDArray[np.uint8] = np.clip(sums_NW >> _BITS, 0, 255).astype(np.uint8)
    return bytes_NW
