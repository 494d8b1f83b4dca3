"""transparency.py: an alpha that would hide the whole image is ignored, and the note says so."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from gmixer.images.decode import decode
from gmixer.images.pixels import NotedPixels
from gmixer.images.transparency import HIDDEN
from gmixer.isolation.workers import Workers
from handmade import encoded, png

RNG = np.random.default_rng(0)
COLOUR_HWC = RNG.integers(0, 256, (11, 13, 3), np.uint8)
GREY_HWC = np.repeat(COLOUR_HWC[:, :, :1], 3, axis=2)
CLEAR_HW = np.zeros((11, 13), np.uint8)
RGBA_HWC = np.dstack([COLOUR_HWC, CLEAR_HW])
RGBA = Image.fromarray(RGBA_HWC)
LA_HWC = np.dstack([COLOUR_HWC[:, :, 0], CLEAR_HW])
PALETTE = Image.fromarray(COLOUR_HWC[:, :, 0] % 4, "P")
PALETTE.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
PALETTE_HWC = np.asarray(PALETTE.convert("RGB"))


def bmp(header_bytes: int) -> bytes:
    """32 bits with masks for red, green, blue and alpha. 56: V3 of Adobe, 108: V4, 124: V5."""
    pixels = RGBA_HWC[::-1, :, [2, 1, 0, 3]].tobytes()
    height, width = CLEAR_HW.shape
    header = struct.pack("<IiiHHIIiiII", header_bytes, width, height, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + (b"BGRs" if header_bytes >= 108 else b"")
    header = header.ljust(header_bytes, b"\0")
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels


def png16(array_HWC: np.ndarray, colour: int) -> bytes:
    height, width, _ = array_HWC.shape
    rows = b"".join(b"\0" + (row.astype(np.uint16) * 257).astype(">u2").tobytes() for row in array_HWC)
    return png(width, height, 16, colour, rows)


def tiff(array: np.ndarray, alpha: str, **options: Any) -> bytes:
    out = BytesIO()
    photometric = "rgb" if array.shape[2] == 4 else "minisblack"
    tifffile.imwrite(out, array, photometric=photometric, extrasamples=[alpha], planarconfig="contig", **options)
    return out.getvalue()


FILES = {
    "BMP V3": (bmp(56), COLOUR_HWC),
    "BMP V4": (bmp(108), COLOUR_HWC),
    "BMP V5": (bmp(124), COLOUR_HWC),
    "PNG": (encoded(RGBA, "PNG"), COLOUR_HWC),
    "PNG, grey": (encoded(Image.fromarray(LA_HWC, "LA"), "PNG"), GREY_HWC),
    "PNG, 16 bits": (png16(RGBA_HWC, 6), COLOUR_HWC),
    "PNG, grey, 16 bits": (png16(LA_HWC, 4), GREY_HWC),
    "PNG, palette": (encoded(PALETTE, "PNG", transparency=bytes(4)), PALETTE_HWC),
    "WebP": (encoded(RGBA, "WEBP", lossless=True, exact=True), COLOUR_HWC),
    "alpha from 0 to 1": (encoded(Image.fromarray(np.dstack([COLOUR_HWC, CLEAR_HW + 1])), "PNG"), COLOUR_HWC),
    "TIFF, grey, premultiplied": (tiff(LA_HWC, "assocalpha"), GREY_HWC),
} | {
    f"TIFF, {alpha}, {depth.__name__}, {compression}, {order}": (
        tiff(
            RGBA_HWC.astype(depth) * (np.iinfo(depth).max // 255), alpha, compression=compression, byteorder=order
        ),
        COLOUR_HWC,
    )
    for alpha in ("unassalpha", "assocalpha")
    for depth in (np.uint8, np.uint16)
    for compression, order in ((None, "<"), (None, ">"), ("zlib", "<"), ("zlib", ">"))
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_visible_pixel_is_opaque(name: str) -> None:
    data, want_HWC = FILES[name]
    pixels = decode(data)
    assert np.array_equal(pixels, want_HWC)
    assert pixels.note == HIDDEN


def test_an_avif_without_a_visible_pixel_is_opaque() -> None:
    smooth = Image.linear_gradient("L").resize((40, 40)).convert("RGB")
    clear = smooth.copy()
    clear.putalpha(0)
    pixels = decode(encoded(clear, "AVIF", quality=95))
    assert pixels.note == HIDDEN and np.abs(pixels.astype(int) - np.asarray(smooth)).max() < 12


@pytest.mark.parametrize(
    "image", [RGBA, Image.merge("RGBa", RGBA.split()), RGBA_HWC, Image.open(BytesIO(encoded(RGBA, "PNG")))]
)
def test_in_python_too(image: Image.Image | np.ndarray) -> None:
    pixels = decode(image)
    assert np.array_equal(pixels, COLOUR_HWC) and pixels.note == HIDDEN


@pytest.mark.parametrize(
    ("image", "image_format", "clear", "shown"),
    [
        (Image.new("L", (4, 4), 7), "PNG", 7, [7, 7, 7]),
        (Image.new("1", (4, 4), 1), "PNG", 1, [255, 255, 255]),
        (Image.new("RGB", (4, 4), (7, 8, 9)), "PNG", (7, 8, 9), [7, 8, 9]),
        (Image.new("I;16", (4, 4), 257 * 9), "PNG", 257 * 9, [9, 9, 9]),
        (Image.new("P", (4, 4), 0), "PNG", 0, [0, 0, 0]),
        (Image.new("P", (4, 4), 0), "GIF", 0, [0, 0, 0]),
    ],
)
def test_every_pixel_has_the_transparent_colour(
    image: Image.Image, image_format: str, clear: object, shown: list[int]
) -> None:
    pixels = decode(encoded(image, image_format, transparency=clear))
    assert (pixels == shown).all()
    assert pixels.note is not None and pixels.note.startswith(HIDDEN)


def test_an_empty_canvas_says_that_it_is_flat() -> None:
    assert decode(encoded(Image.new("RGBA", (4, 4)), "PNG")).note == f"{HIDDEN}; it is one flat colour"


def test_one_visible_pixel_and_the_alpha_counts() -> None:
    array_HWC = RGBA_HWC.copy()
    array_HWC[3, 4, 3] = 200
    pixels = decode(encoded(Image.fromarray(array_HWC), "PNG"))
    assert pixels.note is None and (pixels != 255).any(axis=2).sum() == 1


def test_a_stray_visible_pixel_is_named() -> None:
    noise = Image.fromarray(RNG.integers(0, 256, (50, 60, 4), np.uint8))
    visible = Image.new("L", noise.size)
    visible.paste(255, (7, 8, 9, 9))
    noise.putalpha(visible)
    assert decode(encoded(noise, "PNG")).note == "all but 2 of its 3,000 pixels are transparent"
    visible.paste(255, (7, 8, 9, 10))
    noise.putalpha(visible)
    assert decode(encoded(noise, "PNG")).note is None


@pytest.mark.parametrize("alpha", [2, RNG.integers(0, 256, (11, 13), np.uint8)])
def test_white_over_white_is_named(alpha: int | np.ndarray) -> None:
    logo_HWC = np.dstack([np.full_like(COLOUR_HWC, 255), CLEAR_HW + alpha])
    pixels = decode(encoded(Image.fromarray(logo_HWC.astype(np.uint8)), "PNG"))
    assert (pixels == 255).all()
    assert pixels.note == (None if np.isscalar(alpha) else "it is one flat colour over white")


@pytest.mark.parametrize("mode", ["P", "CMYK"])
def test_a_conversion_to_one_flat_colour_is_named(mode: str) -> None:
    image = PALETTE.copy() if mode == "P" else Image.merge("CMYK", [*RGBA.split()[:3], Image.new("L", RGBA.size, 255)])
    if mode == "P":
        image.putpalette([5, 5, 5] * 4)
    assert decode(image).note == "it is one flat colour"


@pytest.mark.parametrize(
    "image", [Image.new("RGBA", (4, 4), (9, 9, 9, 255)), Image.new("P", (4, 4)), RGBA.convert("RGB")]
)
def test_an_image_that_was_flat_or_has_no_alpha_has_no_note(image: Image.Image) -> None:
    assert decode(encoded(image, "PNG")).note is None


def test_the_note_comes_from_a_decoding_process() -> None:
    isolated = decode(FILES["BMP V5"][0], workers=Workers())
    assert isinstance(isolated, NotedPixels)
    assert isolated.note == HIDDEN and np.array_equal(isolated, COLOUR_HWC)
