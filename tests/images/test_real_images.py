"""Real files of every mode, outcomes by formulas in float64; and docs/images.md, held to the code.

Where Pillow's convert("RGB"), which timm uses, is said to be wrong, a test shows it by the installed Pillow.
"""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gmixer.errors import IMAGE_ERROR_KINDS, ImageError
from gmixer.images import modes
from gmixer.images import structure_limits as pieces
from gmixer.images.decode import decode
from gmixer.images.frames import MAX_GIF_STEPS
from gmixer.images.transparency import WITH_ALPHA
from gmixer.options import Limits
from gmixer.sources.sniff import READABLE
from handmade import SHORT, Tags, adobe, chunk, encoded, flat, png, segments, tiff, with_marker

RNG = np.random.default_rng(0)
WHITE = [255, 255, 255]
ORDERS = ["<", ">"]


def row(data: bytes) -> list[list[int]]:
    """The first row of what gmixer makes of it."""
    return decode(data)[0].tolist()


def by_pillow(data: bytes) -> list[list[int]]:
    """The first row of what timm gets."""
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))[0].tolist()


def grey(values: object, white: int = 255) -> list[list[int]]:
    """In three channels, scaled to 8 bits and rounded."""
    return [[int(np.rint(value * 255.0 / white))] * 3 for value in values]  # type: ignore[attr-defined]


def over_white(colour: list[int], alpha: float) -> list[int]:
    """alpha in 0…1."""
    return [int(np.rint(c * alpha + 255.0 * (1 - alpha))) for c in colour]


def error_of(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return caught.value


# --- PNG: every type, with tRNS -------------------------------------------------------------------------------------


def trns(*values: int) -> bytes:
    return chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_grey_of_every_depth_and_its_clear_value(depth: int) -> None:
    white = 2**depth - 1
    values = list(range(white + 1))
    bits = "".join(f"{value:0{depth}b}" for value in values)
    rows = b"\0" + int(bits.ljust(-len(bits) % 8 + len(bits), "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    assert row(png(len(values), 1, depth, 0, rows)) == grey(values, white)
    for clear in {0, 1, white // 2}:
        want = grey(values, white)
        want[clear] = WHITE
        assert row(png(len(values), 1, depth, 0, rows, trns(clear))) == want


def test_png_sixteen_bit_grey_and_its_clear_value() -> None:
    values = [0, 1, 128, 129, 30_000, 30_001, 65_535]
    file = png(len(values), 1, 16, 0, b"\0" + struct.pack(">7H", *values), trns(30_000))
    want = grey(values, 65_535)
    want[4] = WHITE
    assert row(file) == want
    assert by_pillow(file)[4:6] == [WHITE, WHITE]  # clipped: wrong for 30,001


def test_png_rgb_of_both_depths_and_its_clear_colour() -> None:
    eight = png(3, 1, 8, 2, b"\0" + bytes([1, 2, 3, 1, 2, 4, 200, 100, 50]), trns(1, 2, 3))
    assert row(eight) == [WHITE, [1, 2, 4], [200, 100, 50]]
    assert by_pillow(eight)[0] == [1, 2, 3]  # dropped
    colours = [0x0102, 0x0304, 0x0506, 0x0103, 0x0304, 0x0506, 0x80FF, 0x7FFF, 0xFFFF, 2, 4, 6]
    sixteen = png(4, 1, 16, 2, b"\0" + struct.pack(">12H", *colours))
    upper = (np.array(colours) // 256).reshape(4, 3)
    assert row(sixteen) == upper.tolist() == by_pillow(sixteen)  # never clipped, and within 1 of the rounded value
    assert np.abs(upper - np.array(colours).reshape(4, 3) * (255 / 65_535)).max() < 1
    # As is said: all that shares the upper 8 bits is clear. The last pixel is what Pillow would have taken for it.
    clear = png(4, 1, 16, 2, b"\0" + struct.pack(">12H", *colours), trns(0x0102, 0x0304, 0x0506))
    assert row(clear) == [WHITE, WHITE, *upper[2:].tolist()]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_palette_of_every_depth_with_alpha(depth: int) -> None:
    palette = chunk(b"PLTE", bytes([9, 8, 7, 250, 120, 30]))
    rows = b"\0" + {1: b"\x40", 2: b"\x10", 4: b"\x01", 8: b"\x00\x01"}[depth]
    assert row(png(2, 1, depth, 3, rows, palette)) == [[9, 8, 7], [250, 120, 30]]
    graded = png(2, 1, depth, 3, rows, palette, chunk(b"tRNS", bytes([0, 51])))
    assert row(graded) == [WHITE, over_white([250, 120, 30], 51 / 255)]
    assert by_pillow(graded) == [[9, 8, 7], [250, 120, 30]]


@pytest.mark.parametrize(("colour", "channels"), [(4, [30]), (6, [30, 60, 240])])
def test_png_with_alpha_of_both_depths(colour: int, channels: list[int]) -> None:
    want = over_white(channels * 3 if len(channels) == 1 else channels, 51 / 255)
    assert row(png(1, 1, 8, colour, b"\0" + bytes([*channels, 51]))) == [want]
    sixteen = struct.pack(f">{len(channels) + 1}H", *(257 * value for value in [*channels, 51]))
    assert row(png(1, 1, 16, colour, b"\0" + sixteen)) == [want]


def test_a_clear_red_pixel_is_white_and_red_in_timm() -> None:
    image = flat("RGBA", (255, 0, 0, 0))
    image.putpixel((9, 9), (255, 0, 0, 255))
    file = encoded(image, "PNG")
    assert (row(file)[0], by_pillow(file)[0]) == (WHITE, [255, 0, 0])


def test_png_interlaced() -> None:
    """Adam7 of 3x3: passes 1, 4 (x2), 5 (row 2: x0, x2), 6 (x1), 7 (row 1)."""
    v = RNG.integers(0, 256, (3, 3), np.uint8)
    passes = [[v[0, 0]], [v[0, 2]], [v[2, 0], v[2, 2]], [v[0, 1]], [v[2, 1]], [*v[1]]]
    order = [passes[0], passes[1], passes[2], passes[3], passes[4], passes[5]]
    rows = b"".join(b"\0" + bytes(part) for part in order)
    assert np.array_equal(decode(png(3, 3, 8, 0, rows, interlace=1))[:, :, 1], v)


# --- JPEG -----------------------------------------------------------------------------------------------------------


def from_ycc(y: float, cb: float, cr: float) -> np.ndarray:
    """JFIF's formula."""
    rgb = [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)]
    return np.clip(rgb, 0, 255)


def inks(c: float, m: float, y: float, k: float) -> np.ndarray:
    """Inks, 0 is none → RGB, as Pillow has it: without a profile."""
    return (255.0 - np.array([c, m, y])) * (255.0 - k) / 255.0


def assert_all_near(data: bytes, want: object, most: float = 2) -> None:
    assert np.abs(decode(data).astype(float) - np.asarray(want)).max() <= most


STORED = (90, 140, 60, 200)  # the four values in the file; Pillow writes 255 less them
CMYK = encoded(flat("CMYK", tuple(255 - value for value in STORED)), "JPEG", quality=100)


def test_jpeg_cmyk_is_stored_inverted_with_adobes_marker_and_without() -> None:
    want = inks(*(255 - value for value in STORED))
    assert CMYK.count(b"Adobe") == 1
    assert_all_near(with_marker(CMYK, adobe(0)), want)
    assert_all_near(with_marker(CMYK, b""), want)


def test_jpeg_ycck() -> None:
    """The recipe: a CMYK file whose marker is edited to say 2; its values are then Y, Cb, Cr and K."""
    want = inks(*from_ycc(*STORED[:3]), 255 - STORED[3])
    assert_all_near(with_marker(CMYK, adobe(2)), want)


def test_jpeg_rgb_and_ycbcr_by_adobes_marker() -> None:
    """The recipe: a YCbCr file whose JFIF marker gives way to Adobe's; 0 makes its values R, G and B."""
    stored = np.array(flat("RGB", (200, 90, 30)).convert("YCbCr"))[0, 0].astype(float)
    file = encoded(flat("RGB", (200, 90, 30)), "JPEG", quality=100)
    assert_all_near(with_marker(file, adobe(0)), stored)
    assert_all_near(with_marker(file, adobe(1)), from_ycc(*stored))
    assert_all_near(with_marker(file, b""), from_ycc(*stored))
    assert_all_near(encoded(flat("RGB", (200, 90, 30)), "JPEG", quality=100, keep_rgb=True), [200, 90, 30])


@pytest.mark.parametrize("marker", [b"", adobe(0), adobe(1), adobe(2)])
def test_jpeg_grey_whatever_the_marker(marker: bytes) -> None:
    assert_all_near(with_marker(encoded(flat("L", 77), "JPEG", quality=100), marker), 77)


def patched(jpeg: bytes, marker: int, offset: int, value: int) -> bytes:
    """One byte of the data of its first such segment."""
    (start, *_) = [start for name, start, _ in segments(jpeg) if name == marker]
    return jpeg[: start + 4 + offset] + bytes([value]) + jpeg[start + 5 + offset :]


def test_jpeg_progressive_and_of_every_subsampling() -> None:
    image = flat("RGB", (200, 90, 30), (17, 13))
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            file = encoded(image, "JPEG", quality=100, subsampling=subsampling, progressive=progressive)
            assert decode(file).shape == (13, 17, 3)
            assert_all_near(file, [200, 90, 30])
    wide = encoded(flat("RGB", (200, 90, 30)), "JPEG", quality=100, subsampling=1)
    tall = patched(wide, 0xC0, 7, 0x12)  # 4:2:2 made 4:4:0, which has as many blocks here
    assert tall != wide
    assert_all_near(tall, [200, 90, 30])


def test_jpegs_that_pillow_does_not_read_are_unsupported() -> None:
    file = encoded(flat("RGB", 0), "JPEG")
    for data, words in (
        (patched(file, 0xC0, 0, 12), "cannot handle 12-bit layers"),
        (patched(file, 0xC0, 5, 2), "cannot handle 2-layer images"),
    ):
        error = error_of(data)
        assert error.kind == "unsupported"
        assert words in error.reason and "save it with 8 or 16 bits" in error.reason


# --- TIFF -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("compression", [1, 8])
def test_tiff_sixteen_bit_grey(order: str, compression: int) -> None:
    values = [0, 128, 129, 30_000, 65_535]
    raw = struct.pack(order + "5H", *values)
    tags: Tags = {259: (SHORT, [compression])}
    file = tiff(5, 1, [16], 1, zlib.compress(raw) if compression == 8 else raw, order=order, tags=tags)
    assert row(file) == grey(values, 65_535)
    assert by_pillow(file)[3] == WHITE  # 30,000 clipped


def test_tiff_sixteen_bit_grey_with_white_as_zero() -> None:
    values = [0, 1_000, 65_535]
    file = tiff(3, 1, [16], 0, struct.pack("<3H", *values))
    assert row(file) == grey([65_535 - value for value in values], 65_535)
    assert np.array_equal(decode(Image.open(BytesIO(file))), decode(file))
    assert by_pillow(file)[0] == [0, 0, 0]  # black for white
    eight = tiff(2, 1, [8], 0, bytes([0, 200]))
    assert row(eight) == by_pillow(eight) == grey([255, 55])  # that one Pillow knows


@pytest.mark.parametrize("compression", [1, 8])
def test_tiff_twelve_bit_grey(compression: int) -> None:
    """4095 is white, as in microscopes and X-rays; Pillow leaves it where 16 bits have a dark grey."""
    raw = bytes([0xFF, 0xF8, 0x00, 0x00, 0x10, 0x00])
    tags: Tags = {259: (SHORT, [compression])}
    file = tiff(4, 1, [12], 1, zlib.compress(raw) if compression == 8 else raw, tags=tags)
    assert row(file) == grey([0xFFF, 0x800, 0x001, 0], 4_095)
    assert by_pillow(file)[2] == [1, 1, 1] and by_pillow(file)[1] == WHITE


@pytest.mark.parametrize("order", ORDERS)
def test_tiff_thirty_two_bit_grey(order: str) -> None:
    signed: Tags = {339: (SHORT, [2])}
    within = tiff(3, 1, [32], 1, struct.pack(order + "3i", 0, 30_000, 65_535), order=order, tags=signed)
    assert row(within) == grey([0, 30_000, 65_535], 65_535)
    for value in (-1, 65_536):
        error = error_of(tiff(1, 1, [32], 1, struct.pack(order + "i", value), order=order, tags=signed))
        assert (error.kind, f"{value:,}" in error.reason) == ("unsupported", True)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("bits", "photometric", "letter"), [([32], 1, "f"), ([16], 1, "e"), ([32] * 3, 2, "f"), ([16] * 3, 2, "e")]
)
def test_tiff_of_floats_is_unsupported(order: str, bits: list[int], photometric: int, letter: str) -> None:
    data = struct.pack(f"{order}{len(bits)}{letter}", *[0.5] * len(bits))
    error = error_of(tiff(1, 1, bits, photometric, data, order=order, tags={339: (SHORT, [3] * len(bits))}))
    assert error.kind == "unsupported"
    assert "8 or 16 bits a channel" in error.reason


@pytest.mark.parametrize("order", ORDERS)
def test_tiff_colour_of_both_depths(order: str) -> None:
    colours = [0x80FF, 0x7FFF, 0x00FF, 0xFFFF, 0x0000, 0x1234]
    assert row(tiff(2, 1, [16] * 3, 2, struct.pack(order + "6H", *colours), order=order)) == [
        [0x80, 0x7F, 0x00],
        [0xFF, 0x00, 0x12],
    ]
    assert row(tiff(1, 1, [8] * 3, 2, bytes([5, 6, 7]), order=order)) == [[5, 6, 7]]
    assert error_of(tiff(1, 1, [32] * 3, 2, bytes(12), order=order)).kind == "unsupported"


@pytest.mark.parametrize("order", ORDERS)
def test_tiff_cmyk_is_not_inverted(order: str) -> None:
    for values in [(0, 255, 255, 0), (0, 0, 0, 0), (10, 60, 200, 100)]:
        want = inks(*values)
        assert_all_near(tiff(1, 1, [8] * 4, 5, bytes(values), order=order), want, 1)
        sixteen = struct.pack(order + "4H", *(257 * value for value in values))
        assert_all_near(tiff(1, 1, [16] * 4, 5, sixteen, order=order), want, 1)


def test_tiff_lab() -> None:
    """CIE L*a*b* of D50 → XYZ → by Bradford to D65 → sRGB, all in float64."""
    for lightness, a, b in [(100, 0, 0), (0, 0, 0), (53, 40, 30), (70, -30, 20), (40, 10, -40)]:
        f = np.array([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200])
        ratio = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
        xyz = np.array([0.96422, 1.0, 0.82521]) * ratio
        linear = (
            np.array([[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540],
                      [0.0719453, -0.2289914, 1.4052427]])
            @ xyz
        )  # fmt: skip
        linear = np.clip(linear, 0, 1)
        srgb = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
        data = struct.pack("Bbb", round(lightness * 2.55), a, b)
        assert_all_near(tiff(1, 1, [8] * 3, 8, data), 255 * srgb, 3)


def test_tiff_ycbcr() -> None:
    file = tiff(1, 1, [8] * 3, 6, bytes([128, 60, 200]), tags={530: (SHORT, [1, 1])})
    assert_all_near(file, from_ycc(128, 60, 200))
    subsampled = tiff(2, 2, [8] * 3, 6, bytes([9, 9, 9, 9, 60, 200]), tags={530: (SHORT, [2, 2])})
    assert error_of(subsampled).kind == "corrupt"  # never half an image


def test_tiff_alpha_of_every_kind() -> None:
    def extra(kind: int) -> Tags:
        return {338: (SHORT, [kind])}

    straight, premultiplied = [200, 100, 40], [40, 20, 8]
    want = over_white(straight, 51 / 255)
    assert row(tiff(1, 1, [8] * 4, 2, bytes([*straight, 51]), tags=extra(2))) == [want]
    assert_all_near(tiff(1, 1, [8] * 4, 2, bytes([*premultiplied, 51]), tags=extra(1)), want)
    assert row(tiff(1, 1, [8] * 4, 2, bytes([*straight, 51]), tags=extra(0))) == [straight]  # something else: not alpha
    assert row(tiff(1, 1, [8] * 2, 1, bytes([200, 51]), tags=extra(2))) == [over_white([200] * 3, 51 / 255)]
    assert_all_near(tiff(1, 1, [8] * 2, 1, bytes([40, 51]), tags=extra(1)), over_white([200] * 3, 51 / 255))
    entries = [[0, value << 8, *[0] * 254] for value in straight]  # the second of 256
    palette: Tags = {320: (SHORT, [*entries[0], *entries[1], *entries[2]])}
    assert row(tiff(1, 1, [8] * 2, 3, bytes([1, 51]), tags=extra(2) | palette)) == [want]
    sixteen = struct.pack("<4H", *(257 * value for value in [*straight, 51]))
    assert row(tiff(1, 1, [16] * 4, 2, sixteen, tags=extra(2))) == [want]


def test_tiff_black_and_white_both_ways() -> None:
    assert row(tiff(2, 1, [1], 1, b"\x40")) == [[0, 0, 0], WHITE]
    assert row(tiff(2, 1, [1], 0, b"\x40")) == [WHITE, [0, 0, 0]]


def test_bigtiff_is_read_in_little_endian_order_only() -> None:
    assert row(tiff(1, 1, [8] * 3, 2, bytes([5, 6, 7]), big=True)) == [[5, 6, 7]]
    other = tiff(1, 1, [8] * 3, 2, bytes([5, 6, 7]), big=True, order=">")
    error = error_of(other)
    assert (error.kind, "BigTIFF in big-endian order" in error.reason) == ("unsupported", True)
    with pytest.raises(OSError):  # else it is time to read it
        Image.open(BytesIO(other))


def test_of_a_tiff_the_first_page() -> None:
    pages = [flat("RGB", colour) for colour in ("red", "blue")]
    assert row(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))[0] == [255, 0, 0]


# --- animations -----------------------------------------------------------------------------------------------------

RED_GIF = encoded(flat("RGB", "red", (3, 2)), "GIF")


def gif_in_canvas(gif: bytes) -> bytes:
    """The recipe: a canvas of 6x4 around a frame of 3x2, put at (2, 1) by editing canvas and frame."""
    frame = gif.index(b"\x2c\0\0\0\0\x03\0\x02\0")
    return gif[:6] + struct.pack("<HH", 6, 4) + gif[10 : frame + 1] + struct.pack("<HH", 2, 1) + gif[frame + 5 :]


def test_gif_whose_first_frame_is_smaller_than_its_canvas() -> None:
    """What it leaves free is white where the GIF has a clear colour; else the palette's first entry, as in Pillow."""
    clear = flat("P", 0, (3, 2))
    clear.putpalette([10, 20, 30, 255, 0, 0])
    clear.putpixel((1, 0), 1)
    pixels = decode(gif_in_canvas(encoded(clear, "GIF", transparency=0)))
    want = np.full((4, 6, 3), 255)
    want[1, 3] = [255, 0, 0]
    assert np.array_equal(pixels, want)
    opaque = decode(gif_in_canvas(RED_GIF))
    assert (opaque[1:3, 2:5] == [255, 0, 0]).all()
    assert np.array_equal(opaque, np.asarray(Image.open(BytesIO(gif_in_canvas(RED_GIF))).convert("RGB")))


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_over_white(image_format: str) -> None:
    first, second = flat("RGBA", (0, 0, 0, 0)), flat("RGBA", (0, 0, 255, 255))
    first.paste((255, 0, 0, 255), (0, 0, 8, 16))
    file = encoded(first, image_format, save_all=True, append_images=[second], lossless=True)
    assert Image.open(BytesIO(file)).n_frames == 2
    assert (decode(file)[:, :8] == [255, 0, 0]).all()
    assert (decode(file)[:, 8:] == 255).all()


def test_apng_with_an_image_for_those_who_know_no_animations() -> None:
    frames = [flat("RGB", colour) for colour in ("lime", "red", "blue")]
    file = encoded(frames[0], "PNG", save_all=True, default_image=True, append_images=frames[1:])
    assert row(file)[0] == [0, 255, 0]  # as every other decoder of PNG


# --- the rest -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("white", [255, 256, 1_000, 4_095, 65_535])
def test_ppm_of_every_depth(white: int) -> None:
    values = [0, 1, white // 3, white]
    letter = "B" if white < 256 else "H"
    head = f"\n4 1\n{white}\n".encode()
    want = grey(values, white)
    deep = white > 255
    for got in (
        row(b"P5" + head + struct.pack(f">4{letter}", *values)),
        row(b"P2" + head + b" ".join(b"%d" % value for value in values)),
        row(b"P6" + head + struct.pack(f">12{letter}", *np.repeat(values, 3))),
    ):
        assert np.abs(np.array(got) - want).max() <= deep  # Pillow rounds once more on the way
    assert row(b"P1\n2 1\n1 0") == row(b"P4\n2 1\n\x80") == [[0, 0, 0], WHITE]


def test_bmp_of_16_and_32_bits() -> None:
    def bmp(bits: int, masks: tuple[int, ...], pixel: bytes) -> bytes:
        head = struct.pack("<IiiHHIIiiII", 108, 1, -1, 1, bits, 3, 0, 0, 0, 0, 0) + struct.pack("<4I", *masks)
        return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 108) + head.ljust(108, b"\0") + pixel

    assert row(bmp(16, (0xF800, 0x7E0, 0x1F, 0), struct.pack("<HH", 0xF800, 0))) == [[255, 0, 0]]
    with_alpha = bmp(32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), bytes([40, 100, 200, 51]))
    assert row(with_alpha) == [over_white([200, 100, 40], 51 / 255)]


@pytest.mark.parametrize("image_format", ["WEBP", "AVIF"])
def test_webp_and_avif_with_alpha(image_format: str) -> None:
    file = encoded(flat("RGBA", (200, 100, 40, 51)), image_format, lossless=True, quality=100)
    assert_all_near(file, over_white([200, 100, 40], 51 / 255), 3)
    assert np.abs(np.array(by_pillow(file)[0]) - [200, 100, 40]).max() <= 3  # its alpha dropped


# --- docs/images.md -------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "images.md").read_text()


def test_the_page_names_every_kind_of_error_with_an_example() -> None:
    named = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", PAGE, re.MULTILINE)
    assert [name for name in named if name in IMAGE_ERROR_KINDS] == list(IMAGE_ERROR_KINDS)


def test_the_page_names_every_mode_of_the_table() -> None:
    cells = re.findall(r"^\| [^|]+ \| (`[^|]+`) \| [^|]+ \| [^|]+ \|$", PAGE, re.MULTILINE)
    listed = {mode for cell in cells for mode in re.findall(r"`([^`]+)`", cell)}
    assert modes._BY_PILLOW | WITH_ALPHA | {"I;16", "I", "F"} <= listed
    first_cells = re.findall(r"^\| ([^|]+) \|", modes.__doc__ or "", re.MULTILINE)
    in_code = {mode for cell in first_cells for mode in re.findall(r"[\w;]+", cell)}
    assert modes._BY_PILLOW | WITH_ALPHA | {"I;16", "I", "F"} <= in_code


def test_the_page_says_the_limits_as_they_are() -> None:
    limits = Limits()
    shown = {limits.max_pixels, limits.max_frames}
    shown |= {MAX_GIF_STEPS} | {value for name, value in vars(pieces).items() if name.startswith("MAX_")}
    for value in shown:
        assert f"{value:,}" in PAGE, value
    assert limits.max_bytes == 64 * 2**20 and "64 MiB" in PAGE
    assert " and ".join(READABLE.rsplit(", ", 1)) in PAGE


def test_formats_that_are_not_read_are_named_on_the_page() -> None:
    for name in ("JPEG 2000", "Photoshop", "OpenEXR"):
        assert name in PAGE
