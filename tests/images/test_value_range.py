"""value_range.py and stated_range.py: values of 12 bits in 16, by the range that the file states, or that they use."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.images.pixels import NotedPixels
from gmixer.isolation.workers import Workers
from gmixer.options import Reading
from handmade import chunk, encoded, png

SHORT, RATIONAL, SSHORT, FLOAT, DOUBLE, ASCII = 3, 5, 8, 11, 12, 2
MIN, MAX, SMIN, SMAX = 280, 281, 340, 341
RNG = np.random.default_rng(0)
VALUES_HW = np.append(RNG.integers(0, 4096, 19 * 23 - 2), [0, 4095]).reshape(19, 23).astype(np.uint16)
COLOUR_HWC = np.append(RNG.integers(0, 4096, 19 * 23 * 3 - 2), [0, 4095]).reshape(19, 23, 3).astype(np.uint16)
OPAQUE_HW = np.full((19, 23), 65535, np.uint16)
USED = Reading(range="used")
SIX_PERCENT = "its values, 0 to 4,095, use 6 % of the range 0 to 65,535"


def spread(values: np.ndarray, low: float = 0, high: float = 4095) -> np.ndarray:
    return np.clip(np.floor((values.astype(float) - low) * 255 / (high - low) + 0.5), 0, 255).astype(np.uint8)


def tiff(array: np.ndarray, *tags: tuple[int, int, int, Any], **options: Any) -> bytes:
    out = BytesIO()
    kind = {"photometric": "rgb"} if array.ndim == 3 else {}
    tifffile.imwrite(out, array, extratags=[(*tag, True) for tag in tags], **kind | options)
    return out.getvalue()


def png16(array_HWC: np.ndarray, colour: int, *significant: int) -> bytes:
    """significant: the bits that the chunk sBIT states."""
    height, width, _ = array_HWC.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array_HWC)
    chunks = [chunk(b"sBIT", bytes(significant))] if significant else []
    return png(width, height, 16, colour, rows, *chunks)


GREY = {
    "MaxSampleValue": tiff(VALUES_HW, (MAX, SHORT, 1, 4095)),
    "big-endian": tiff(VALUES_HW, (MAX, SHORT, 1, 4095), byteorder=">"),
    "both": tiff(VALUES_HW, (MIN, SHORT, 1, 0), (MAX, SHORT, 1, 4095), compression="zlib"),
    "a fraction": tiff(VALUES_HW, (MAX, RATIONAL, 1, (8190, 2))),
    "a floating-point number": tiff(VALUES_HW, (SMAX, FLOAT, 1, 4095.0)),
    "SMaxSampleValue before MaxSampleValue": tiff(VALUES_HW, (MAX, SHORT, 1, 9999), (SMAX, DOUBLE, 1, 4095.0)),
    "ImageJ": tiff(VALUES_HW, imagej=True, metadata={"min": 0.0, "max": 4095.0}),
    "OME-XML": tiff(VALUES_HW, ome=True, metadata={"SignificantBits": 12}),
    "sBIT of values stored as they are": png16(VALUES_HW[:, :, None], 0, 12),
}
COLOUR = {
    "MaxSampleValue of each channel": tiff(COLOUR_HWC, (MAX, SHORT, 3, (4095, 4000, 4095))),
    "big-endian": tiff(COLOUR_HWC, (MAX, SHORT, 3, (4095,) * 3), byteorder=">"),
    "compressed": tiff(COLOUR_HWC, (SMAX, SHORT, 3, (4095,) * 3), compression="zlib"),
    "with alpha": tiff(
        np.dstack([COLOUR_HWC, OPAQUE_HW]), (MAX, SHORT, 4, (4095, 4095, 4095, 65535)), extrasamples=["unassalpha"]
    ),
    "premultiplied": tiff(
        np.dstack([COLOUR_HWC, OPAQUE_HW]), (MAX, SHORT, 4, (4095, 4095, 4095, 65535)), extrasamples=["assocalpha"]
    ),
    "sBIT": png16(COLOUR_HWC, 2, 12, 12, 12),
    "sBIT with alpha": png16(np.dstack([COLOUR_HWC, OPAQUE_HW]), 6, 12, 12, 12, 16),
}


@pytest.mark.parametrize("name", GREY)
def test_the_stated_range_of_grey_counts(name: str) -> None:
    pixels = decode(GREY[name])
    assert np.array_equal(pixels[:, :, 1], spread(VALUES_HW)) and pixels.note is None
    assert np.array_equal(decode(GREY[name], reading=USED), pixels)


@pytest.mark.parametrize("name", COLOUR)
def test_the_stated_range_of_colour_counts(name: str) -> None:
    pixels = decode(COLOUR[name])
    assert np.array_equal(pixels, spread(COLOUR_HWC)) and pixels.note is None


def test_grey_with_alpha_has_both_bytes_too() -> None:
    both_HWC = np.dstack([VALUES_HW, OPAQUE_HW])
    assert np.array_equal(decode(png16(both_HWC, 4, 12, 16))[:, :, 2], spread(VALUES_HW))
    assert np.array_equal(decode(png16(both_HWC, 4), reading=USED)[:, :, 2], spread(VALUES_HW))


@pytest.mark.parametrize("alpha", [4095, 2047])
def test_alpha_has_as_few_bits_as_its_colours(alpha: int) -> None:
    """A camera's pipeline writes an opaque alpha as 4,095 too: by 16 bits, the image would be nearly white."""
    alpha_HW = np.full((19, 23), 4095, np.uint16)
    alpha_HW[4:9, 5:9] = alpha
    want_HWC = spread(COLOUR_HWC).astype(float)
    want_HWC[4:9, 5:9] = 255 + (want_HWC[4:9, 5:9] - 255) * alpha / 4095
    rgba_HWC = np.dstack([COLOUR_HWC, alpha_HW])
    tagged = tiff(rgba_HWC, (MAX, SHORT, 4, (4095,) * 4), extrasamples=["unassalpha"])
    for data in (tagged, png16(rgba_HWC, 6, 12, 12, 12, 12)):
        pixels = decode(data)
        assert np.abs(pixels - want_HWC).max() <= 1 and pixels.note is None
    for data in (tiff(rgba_HWC, extrasamples=["unassalpha"]), png16(rgba_HWC, 6)):
        assert np.abs(decode(data, reading=USED) - want_HWC).max() <= 1, "as the note on it advises"
    grey = decode(png16(np.dstack([VALUES_HW, alpha_HW]), 4, 12, 12))
    assert np.array_equal(grey[9:, :, 1], spread(VALUES_HW)[9:])


def test_a_faint_alpha_of_16_bits_stays_faint() -> None:
    rgba_HWC = np.dstack([COLOUR_HWC << 4, OPAQUE_HW // 5])
    used, full = decode(png16(rgba_HWC, 6), reading=USED), decode(png16(rgba_HWC, 6))
    assert np.abs(used.astype(int) - full).max() <= 1


def test_a_stated_minimum_is_black() -> None:
    data = tiff(VALUES_HW + 1000, (MIN, SHORT, 1, 1000), (MAX, SHORT, 1, 5095))
    assert np.array_equal(decode(data)[:, :, 0], spread(VALUES_HW))


def test_what_lies_beyond_a_display_range_is_clipped() -> None:
    data = tiff(VALUES_HW, imagej=True, metadata={"min": 500.0, "max": 3000.0})
    assert np.array_equal(decode(data)[:, :, 0], spread(VALUES_HW, 500, 3000))


def test_a_few_hot_pixels_do_not_refute_the_file() -> None:
    hot_HW = VALUES_HW.copy()
    hot_HW[5, 5] = 60_000
    assert np.array_equal(decode(tiff(hot_HW, (MAX, SHORT, 1, 4095)))[:, :, 0], spread(hot_HW))


@pytest.mark.parametrize(
    "tags",
    [
        [(MAX, SHORT, 1, 255)],
        [(MIN, SHORT, 1, 5000), (MAX, SHORT, 1, 4095)],
        [(MIN, SHORT, 1, 4095), (MAX, SHORT, 1, 4095)],
        [(MAX, SHORT, 1, 0)],
        [(MAX, SHORT, 1, 65535)],
        [(SMAX, DOUBLE, 1, 1e300)],
        [(SMIN, DOUBLE, 1, -1e308), (SMAX, DOUBLE, 1, 1e308)],
        [(MAX, RATIONAL, 1, (4095, 0))],
        [(SMAX, DOUBLE, 1, float("nan"))],
        [(SMAX, DOUBLE, 1, float("inf"))],
        [(MAX, ASCII, 6, "white")],
    ],
)
def test_a_statement_that_cannot_be_true_is_ignored(tags: list[tuple[int, int, int, Any]]) -> None:
    pixels = decode(tiff(VALUES_HW, *tags))
    assert np.array_equal(pixels, decode(tiff(VALUES_HW)))
    assert pixels.note is not None and SIX_PERCENT in pixels.note
    assert ("its MaxSampleValue (0 to 255) does not fit" in pixels.note) == (tags[0][3] == 255)


def test_a_png_that_follows_its_standard_is_scaled_up_already() -> None:
    repeated_HW = (VALUES_HW << 4) | (VALUES_HW >> 8)
    shifted_HW = VALUES_HW << 4
    dark_HW = (VALUES_HW >> 5) << 4
    for values_HW in (repeated_HW, shifted_HW, dark_HW):
        assert np.array_equal(
            decode(png16(values_HW[:, :, None], 0, 12)), decode(png16(values_HW[:, :, None], 0))
        )  # fmt: skip
    unscaled_HW = VALUES_HW >> 4 << 4  # 8 bits as 12: too bright to be scaled up by chance
    assert np.array_equal(decode(png16(unscaled_HW[:, :, None], 0, 12))[:, :, 0], spread(unscaled_HW))
    wide_HWC = (COLOUR_HWC << 4) | (COLOUR_HWC >> 8)
    assert np.array_equal(decode(png16(wide_HWC, 2, 12, 12, 12)), wide_HWC >> 8), "the upper bits, as timm has them"


@pytest.mark.parametrize(
    "data",
    [
        tiff(VALUES_HW),
        encoded(Image.fromarray(VALUES_HW), "PNG"),
        tiff(COLOUR_HWC),
        tiff(COLOUR_HWC, byteorder=">", compression="zlib"),
        png16(COLOUR_HWC, 2),
        png16(np.dstack([COLOUR_HWC, OPAQUE_HW]), 6),
    ],
)
def test_without_a_statement_the_reading_decides(data: bytes) -> None:
    values = COLOUR_HWC if decode(data)[:, :, 0].tolist() != decode(data)[:, :, 1].tolist() else VALUES_HW[:, :, None]
    full, used = decode(data), decode(data, reading=USED)
    assert full.note == f"{SIX_PERCENT}; --range used (range='used') spreads them over all of it"
    assert full.max() <= 16
    assert np.array_equal(used, np.broadcast_to(spread(values), used.shape)) and used.note is None
    isolated = decode(data, reading=USED, workers=WORKERS)
    assert isinstance(isolated, NotedPixels) and np.array_equal(isolated, used)
    assert decode(data, workers=WORKERS).note == full.note


WORKERS = Workers()


def test_eight_bits_in_sixteen_are_flat_and_named() -> None:
    for data in (tiff(VALUES_HW >> 4), png16(COLOUR_HWC >> 4, 2)):
        note = decode(data).note
        assert note is not None and "use less than 1 % of the range 0 to 65,535, so it is one flat colour" in note


@pytest.mark.parametrize("array", [np.zeros((4, 5), np.uint16), np.zeros((4, 5, 3), np.uint16), OPAQUE_HW])
def test_an_image_of_one_value_has_no_note(array: np.ndarray) -> None:
    assert decode(tiff(array)).note is None
    assert np.array_equal(decode(tiff(array), reading=USED), decode(tiff(array)))


def test_most_of_the_range_needs_no_note() -> None:
    assert decode(tiff(VALUES_HW << 3)).note is None


def test_colour_in_planes_has_only_its_upper_bits() -> None:
    planes = np.moveaxis(COLOUR_HWC, 2, 0).copy()
    data = tiff(planes, (MAX, SHORT, 3, (4095,) * 3), planarconfig="separate", compression="zlib")
    pixels = decode(data)
    assert np.abs(pixels.astype(int) - spread(COLOUR_HWC)).max() <= 16
    assert pixels.note == "Pillow gives only the upper 8 bits of its values, so they have few levels"


def test_a_transparent_colour_is_found_in_any_range() -> None:
    clear = struct.pack(">3H", *(int(v) for v in COLOUR_HWC[2, 3]))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in COLOUR_HWC)
    pixels = decode(png(23, 19, 16, 2, rows, chunk(b"tRNS", clear)), reading=USED)
    same = (COLOUR_HWC[2, 3] >> 8 == COLOUR_HWC >> 8).all(axis=2)
    assert (pixels[same] == 255).all() and np.array_equal(pixels[~same], spread(COLOUR_HWC)[~same])


def test_of_a_pil_image_only_the_upper_bits_are_known() -> None:
    """Not yet decoded; a decoded one has no sign of its 16 bits at all."""
    stated = decode(Image.open(BytesIO(COLOUR["MaxSampleValue of each channel"])))
    assert np.abs(stated.astype(int) - spread(COLOUR_HWC)).max() <= 16
    assert stated.note is not None and "upper 8 bits" in stated.note
    assert np.array_equal(decode(Image.open(BytesIO(GREY["MaxSampleValue"]))), decode(GREY["MaxSampleValue"]))
    assert np.array_equal(decode(Image.fromarray(VALUES_HW), reading=USED)[:, :, 0], spread(VALUES_HW))


SIGNED_HW = VALUES_HW.astype(np.int16) - 1000
FRACTIONS_HW = (VALUES_HW / 4095).astype(np.float32)


@pytest.mark.parametrize(
    ("array", "tags"),
    [
        (SIGNED_HW, [(SMIN, SSHORT, 1, -1000), (SMAX, SSHORT, 1, 3095)]),
        (FRACTIONS_HW, [(SMIN, FLOAT, 1, 0.0), (SMAX, FLOAT, 1, 1.0)]),
        (VALUES_HW.astype(np.uint32) * 1000, [(MAX, 4, 1, 4_095_000)]),
    ],
)
def test_grey_of_other_types_is_read_with_a_range(array: np.ndarray, tags: list[tuple[int, int, int, Any]]) -> None:
    """The type tells no white: without a statement such an image is refused, and the reason names the way out."""
    with pytest.raises(ImageError, match="--range used") as caught:
        decode(tiff(array))
    assert caught.value.kind == "unsupported"
    for data, reading in ((tiff(array, *tags), Reading()), (tiff(array), USED)):
        assert np.abs(decode(data, reading=reading)[:, :, 0].astype(int) - spread(VALUES_HW)).max() <= 1


def test_32_bits_without_a_sign_are_not_negative() -> None:
    """Pillow reads them with a sign."""
    array = VALUES_HW.astype(np.uint32) << 20
    with pytest.raises(ImageError, match="grey values from 0 to 4,29"):
        decode(tiff(array))
    for data, reading in ((tiff(array, (SMAX, 4, 1, 2**32 - 1)), Reading()), (tiff(array), USED)):
        assert np.abs(decode(data, reading=reading)[:, :, 0].astype(int) - spread(VALUES_HW)).max() <= 1


@pytest.mark.parametrize("array", [np.full((4, 5), 0.5, np.float32), np.zeros((4, 5), np.float32)])
def test_one_value_without_a_range_becomes_black(array: np.ndarray) -> None:
    """The error advises --range used, which must then read it."""
    with pytest.raises(ImageError, match="--range used"):
        decode(tiff(array))
    assert not decode(tiff(array), reading=USED).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_have_no_range(value: float) -> None:
    array = FRACTIONS_HW.copy()
    array[0, 0] = value
    with pytest.raises(ImageError, match="not finite") as caught:
        decode(tiff(array), reading=USED)
    assert caught.value.kind == "unsupported"


def test_a_damaged_chunk_states_nothing() -> None:
    data = encoded(Image.fromarray(VALUES_HW), "PNG")
    end = data[:33] + struct.pack(">I4s", 2**31, b"sBIT")
    with pytest.raises(ImageError):
        decode(end)
    for bits in ((), (0,), (16,), (99,), (200,), (1, 2, 3, 4)):
        broken = data[:33] + chunk(b"sBIT", bytes(bits)) + data[33:]
        assert np.array_equal(decode(broken), decode(data))
