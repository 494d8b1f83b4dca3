"""modes.py: Pillow's modes → RGB."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.images.modes import to_rgb
from gmixer.images.opened import Opened

RNG = np.random.default_rng(0)
COLOUR_HWC = RNG.integers(0, 256, (11, 13, 3), np.uint8)
ALPHA_HW = RNG.integers(0, 256, (11, 13), np.uint8)
WHITE = (255, 255, 255)


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def over_white(colour_HWC: np.ndarray, alpha_HW: np.ndarray) -> np.ndarray:
    """The formula in float64: the judge of Pillow's integers."""
    a = alpha_HW[:, :, None] / 255
    return np.rint(colour_HWC * a + 255 * (1 - a)).astype(np.uint8)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_opaque_modes_are_pillows(mode: str) -> None:
    image = Image.fromarray(COLOUR_HWC).convert(mode)
    assert np.array_equal(decode(image), np.asarray(image.convert("RGB")))


def test_lab() -> None:
    white = Image.frombytes("LAB", (2, 1), bytes([255, 0, 0] * 2))
    assert decode(white).min() >= 250


def test_grey_is_the_same_in_three_channels() -> None:
    assert np.array_equal(decode(Image.fromarray(ALPHA_HW)), np.dstack([ALPHA_HW] * 3))


def test_rgba_lies_over_white() -> None:
    image = Image.fromarray(np.dstack([COLOUR_HWC, ALPHA_HW]))
    assert np.array_equal(decode(image), over_white(COLOUR_HWC, ALPHA_HW))
    assert np.array_equal(decode(encoded(image, "PNG")), over_white(COLOUR_HWC, ALPHA_HW))


def test_grey_with_alpha_lies_over_white() -> None:
    grey_HW = COLOUR_HWC[:, :, 0]
    image = Image.merge("LA", [Image.fromarray(grey_HW), Image.fromarray(ALPHA_HW)])
    assert np.array_equal(decode(image), over_white(np.dstack([grey_HW] * 3), ALPHA_HW))


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa", "PA"])
def test_a_clear_pixel_is_white_and_an_opaque_one_itself(mode: str) -> None:
    via = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
    opaque = Image.new("L", (1, 1), 60).convert(via).convert(mode)
    assert decode(opaque)[0, 0].tolist() == [60, 60, 60]
    both = opaque.resize((2, 1), Image.Resampling.NEAREST)  # which keeps the palette
    both.putpixel((0, 0), (0,) * len(both.getbands()))
    assert decode(both)[0].tolist() == [[255, 255, 255], [60, 60, 60]]


@pytest.mark.parametrize(
    ("image", "clear"),
    [
        (Image.new("RGB", (2, 1), (200, 0, 0)), (200, 0, 0)),
        (Image.new("L", (2, 1), 7), 7),
        (Image.new("P", (2, 1), 0), 0),
        (Image.new("I;16", (2, 1), 30_000), 30_000),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_the_colour_that_trns_names_is_white(image: Image.Image, clear: object) -> None:
    other = {"RGB": (0, 200, 0), "L": 9, "P": 1, "I;16": 30_100}[image.mode]
    image.putpixel((1, 0), other)
    png = encoded(image, "PNG", transparency=clear)
    assert "transparency" in Image.open(BytesIO(png)).info
    pixels = decode(png)
    assert tuple(pixels[0, 0]) == WHITE
    assert tuple(pixels[0, 1]) != WHITE


def test_a_palette_with_graded_alpha() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    pixels = decode(encoded(image, "PNG", transparency=bytes([0, 128, 255])))
    assert pixels[0].tolist() == [[255, 255, 255], [127, 255, 127], [0, 0, 255]]


SIXTEEN_HW = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
SCALED_HW = np.rint(SIXTEEN_HW * (255 / 65535)).astype(np.uint8)


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_sixteen_bits_are_scaled_not_clipped(byte_order: str) -> None:
    image = Image.fromarray(SIXTEEN_HW.astype(f"{byte_order}u2"))
    assert np.array_equal(decode(image)[:, :, 1], SCALED_HW)
    assert np.array_equal(decode(encoded(image, "TIFF"))[:, :, 1], SCALED_HW)


def test_sixteen_bit_files() -> None:
    assert np.array_equal(decode(encoded(Image.fromarray(SIXTEEN_HW), "PNG"))[:, :, 0], SCALED_HW)
    pgm = b"P5 256 256 65535\n" + SIXTEEN_HW.astype(">u2").tobytes()
    assert np.array_equal(decode(pgm)[:, :, 2], SCALED_HW)


def test_mode_i_within_sixteen_bits_is_scaled() -> None:
    assert np.array_equal(decode(Image.fromarray(SIXTEEN_HW.astype(np.int32)))[:, :, 0], SCALED_HW)


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (Image.new("I", (1, 1), 65_536), "65,536"),
        (Image.new("I", (1, 1), -1), "-1"),
        (Image.new("F", (1, 1), 0.5), "floating-point"),
    ],
)
def test_unknown_ranges_are_refused(image: Image.Image, word: str) -> None:
    with pytest.raises(ImageError) as caught:
        to_rgb(Opened(image), source="scan.tif")
    assert (caught.value.kind, caught.value.source) == ("unsupported", "scan.tif")
    assert word in caught.value.reason
    assert "8 or 16 bits" in caught.value.reason


def test_a_cmyk_jpeg_has_the_colours_it_was_made_of() -> None:
    red = Image.new("RGB", (16, 16), (200, 30, 30)).convert("CMYK")
    assert np.abs(decode(encoded(red, "JPEG", quality=95)).astype(int) - (200, 30, 30)).max() <= 3


def test_adobes_inverted_cmyk_is_turned_back() -> None:
    jpeg = encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG")  # no ink; Pillow writes Adobe's marker
    assert b"Adobe" in jpeg
    assert decode(jpeg).min() >= 250


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]), st.integers(1, 20), st.integers(1, 20), st.binary()
)
def test_every_png_mode_gives_pixels(mode: str, width: int, height: int, noise: bytes) -> None:
    image = Image.new(mode, (width, height))
    size = len(image.tobytes())
    image.frombytes((noise * size)[:size].ljust(size, b"\x5a"))
    pixels = decode(encoded(image, "PNG"))
    assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous) == ((height, width, 3), np.uint8, True)
