"""Draws JPEGs to measure with: noise with about the spectrum of a photograph, and some shapes. No files are needed.

H height, W width.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

TYPICAL = (500, 375)  # width, height: ImageNet's most common size
QUALITY = 90

# The standard deviations of the pixel values, and the power of the frequency by which amplitudes fall. With these the
# files are about as large as photographs, 0.3 bytes a pixel.
_LUMA_STD, _CHROMA_STD = 45.0, 12.0
_FALL = 1.45
_SHARP_PX = 1024  # an image with a longer side is enlarged from this size, and gets sensor noise
_SENSOR_STD = 3.0
_SHAPES = 12


def drawn_jpeg(width: int, height: int, seed: int) -> bytes:
    """The bytes of a file as cameras write it: YCbCr, colour at half the resolution (4:2:0)."""
    rng = np.random.default_rng(seed)
    coarser = -(-max(width, height) // _SHARP_PX)
    planes = [
        _noise(rng, -(-height // coarser), -(-width // coarser), std) for std in (_LUMA_STD, _CHROMA_STD, _CHROMA_STD)
    ]
    image = Image.fromarray(np.dstack(planes), "YCbCr").convert("RGB")
    if coarser > 1:
        grain = rng.normal(0, _SENSOR_STD, (height, width, 1)).astype(np.int8)
        enlarged = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.int16)
        image = Image.fromarray(np.clip(enlarged + grain, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(_SHAPES):
        (left, right), (top, bottom) = sorted(rng.integers(0, width, 2)), sorted(rng.integers(0, height, 2))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((int(left), int(top), int(right), int(bottom)), outline=tuple(map(int, rng.integers(0, 256, 3))), width=3)
    out = BytesIO()
    image.save(out, "JPEG", quality=QUALITY, subsampling="4:2:0")
    return out.getvalue()


def _noise(rng: np.random.Generator, height: int, width: int, std: float) -> NDArray[np.uint8]:
    """Noise around middle grey whose amplitude falls about as 1/f, as in photographs: uint8 (H, W)."""
    vertical, horizontal = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(vertical, horizontal, dtype=np.float32)
    frequency[0, 0] = np.inf  # no mean
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), np.float32)) / frequency**_FALL
    noise = np.fft.irfft2(spectrum, (height, width))
    bytes_HW: NDArray[np.uint8] = np.clip(128 + noise * (std / noise.std()), 0, 255).astype(np.uint8)
    return bytes_HW
