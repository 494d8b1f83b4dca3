"""Why an image cannot be read: in words about the file. No sentence of Python's own, no bare key, no empty reason."""

from __future__ import annotations

import itertools
import re
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.images.reasons import own_sentence
from gmixer.options import Limits, Reading
from handmade import LONG, SHORT, Tags, chunk, encoded, png, segment, tiff
from pythons_words import assert_plain

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8))
SMALL = Reading(limits=Limits(max_pixels=1_000_000, max_frames=50))
SOUND = {name: encoded(NOISE, name) for name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM")} | {
    "PNG, animated": encoded(NOISE, "PNG", save_all=True, append_images=[NOISE.rotate(180)]),
    "GIF, clear": encoded(NOISE.quantize(5), "GIF", transparency=2),
    "JPEG, CMYK": encoded(NOISE.convert("CMYK"), "JPEG"),
    "TIFF, deflate": encoded(NOISE, "TIFF", compression="tiff_adobe_deflate"),
    "TIFF, palette": encoded(NOISE.quantize(5), "TIFF"),
    "BMP, palette": encoded(NOISE.quantize(5), "BMP"),
    "PPM, text": b"P3\n2 2\n300\n" + b"1 2 3 " * 4,
    "PPM, deep": b"P5\n3 3\n65535\n" + bytes(18),
}


def reason_of(data: bytes) -> ImageError | None:
    try:
        decode(data, reading=SMALL)
    except ImageError as error:
        assert_plain(error.reason)
        return error
    return None


def planes(count: int, bits: int, colours: int, *, separate: bool, kind: int = 1, compression: int = 1) -> bytes:
    data = bytes((4 * bits * count + 7) // 8 * 4 + 64)
    tags: Tags = {284: (SHORT, [1 + separate]), 339: (SHORT, [kind] * count), 259: (SHORT, [compression])}
    if separate:
        tags |= {273: (LONG, [8] * count), 279: (LONG, [16] * count)}
    return tiff(4, 4, [bits] * count, colours, data if compression == 1 else zlib.compress(data), tags=tags)


def test_a_tiff_of_five_planes_is_unsupported_with_what_it_is() -> None:
    error = reason_of(planes(5, 8, 2, separate=True))
    assert error is not None and error.kind == "unsupported"
    assert "5 channels of 8 bits in separate planes, as RGB" in error.reason and "save it" in error.reason


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (planes(7, 16, 1, separate=False), "7 channels of 16 bits, as grey"),
        (planes(2, 8, 1, separate=True), "2 channels of 8 bits in separate planes, as grey"),
        (planes(1, 64, 1, separate=False, kind=3), "1 channel of 64 floating-point bits, as grey"),
        (planes(3, 8, 32803, separate=False), "raw sensor values"),
        (planes(3, 8, 2, separate=False, compression=33005), "compression 33005 (JPEG 2000)"),
        (planes(1, 8, 1, separate=False, compression=9999), "compression 9999"),
        (png(1, 1, 16, 3, b"\0\0\0"), ""),
    ],
)
def test_other_forms_are_named(data: bytes, words: str) -> None:
    error = reason_of(data)
    assert error is not None and words in error.reason
    assert not words or error.kind == "unsupported"


def test_many_depths_are_cut_short() -> None:
    same = struct.pack("<40H", *[8] * 40)
    data = planes(40, 8, 1, separate=False)
    assert data.count(same) == 1
    error = reason_of(data.replace(same, struct.pack("<40H", 16, *[8] * 39)))
    assert error is not None and "40 channels of 16 + 8 + 8 + 8 + 8 + 8 + 8 + 8 + … bits, as grey" in error.reason


def test_every_form_of_tiff() -> None:
    """Whichever Pillow does not read is unsupported; none is damaged, since all of these are sound."""
    for count, bits, colours, separate in itertools.product(
        range(1, 7), (1, 4, 8, 12, 16, 32), range(7), (False, True)
    ):
        error = reason_of(planes(count, bits, colours, separate=separate))
        assert error is None or error.kind == "unsupported", (count, bits, colours, separate, error)


@settings(deadline=None, max_examples=500, derandomize=True)
@given(
    st.sampled_from(sorted(SOUND)),
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from([0, 1, 2, 6, 32, 48, 127, 128, 255])), max_size=6),
    st.integers(0, 2_000),
    st.tuples(st.integers(0, 100), st.integers(0, 8)),
)
def test_damaged_files(sample: str, edits: list[tuple[int, int]], length: int, cut: tuple[int, int]) -> None:
    data = bytearray(SOUND[sample])
    for at, value in edits:
        data[at % len(data)] = value
    del data[cut[0] : cut[0] + cut[1]]
    reason_of(bytes(data[:length]) if length % 2 else bytes(data))


GIF = SOUND["GIF"]
FRAME = 13 + (3 << (GIF[10] & 7) + 1)  # where it begins


@pytest.mark.parametrize(
    "data",
    [
        GIF[:FRAME] + b"!\xf9\1\1\0" + GIF[FRAME:],
        SOUND["JPEG"][:2] + segment(0xC0, b"\x08\0"),
        SOUND["JPEG"][:2] + segment(0xC0, b"\x08\0\1\0\1\3\1"),
        SOUND["PNG"][:33] + chunk(b"tRNS", b"") + SOUND["PNG"][33:],
        SOUND["PNG"][:33] + b"\0\0\0\1\xff\xff\xff\xff\0" + SOUND["PNG"][33:],
        SOUND["BMP"][:20],
        b"P3\n2 2\n255\n1 2 x",
        b"P5\n2 2\n99999\n" + bytes(8),
        b"P6\n0 0\n255\n",
    ],
)
def test_errors_that_python_words(data: bytes) -> None:
    assert reason_of(data) is not None


def test_python_speaks_through_pillow() -> None:
    """Pillow puts an IndexError of a decoder's header into a SyntaxError of its own."""

    class Short(ImageFile.ImageFile):
        def _open(self) -> None:
            [].pop(5)

    with pytest.raises(SyntaxError, match="pop from empty list") as caught:
        Short(BytesIO(b"abc"))
    assert own_sentence(caught.value) == ""
    assert own_sentence(SyntaxError("broken PNG file (chunk b'\\x00\\x00')")) == "broken PNG file"
    assert own_sentence(OSError("Truncated File Read")) == "Truncated File Read"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (encoded(Image.new("RGB", (33_000, 2)), "AVIF"), "at most 32,768"),
        (re.sub(rb"(\xff\xc0..\x08..)..", b"\\1\xff\xff", SOUND["JPEG"], flags=re.DOTALL), "at most 65,500"),
    ],
)
def test_a_decoders_own_limit_is_a_limit(data: bytes, words: str) -> None:
    error = reason_of(data)
    assert error is not None and error.kind == "too_large" and words in error.reason
