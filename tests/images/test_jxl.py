"""jxl.py: JPEG XL through pillow-jxl-plugin, to that package's own pixels, under gmixer's limits."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from drawn_pixels import noise
from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.images.jxl import open_jxl
from gmixer.images.jxl_header import MAX_EXTRA_CHANNELS, read_header
from gmixer.isolation.workers import Workers
from gmixer.options import Limits, Reading
from phone_files import box, boxed_jxl, boxes_of, exif_of, jxl, jxl_header, opened_jxl

IMAGE = Image.fromarray(noise(6, 8)).resize((72, 50))
ALPHA = Image.fromarray(noise(6, 8, channels=4)).resize((72, 50))
GREY_16 = Image.fromarray(noise(50, 72, channels=1)[:, :, 0].astype(np.uint16) * 257)


def jpeg_in_jxl(folder: Path, orientation: int) -> bytes:
    """A JPEG, packed without loss. libjxl takes the orientation from its EXIF."""
    IMAGE.save(folder / "a.jpg", exif=b"Exif\0\0" + exif_of(orientation))
    with Image.open(folder / "a.jpg") as jpeg:
        return jxl(jpeg, lossless_jpeg=True)


def error_of(data: bytes, **limits: float) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, name="a.jxl", reading=Reading(limits=Limits(**limits)))  # type: ignore[arg-type]
    assert caught.value.source == "a.jxl" and "\n" not in caught.value.reason
    return caught.value


# --- pixels ---------------------------------------------------------------------------------------------------------

FILES: dict[str, bytes] = {
    "colour": jxl(IMAGE),
    "without loss": jxl(IMAGE, lossless=True),
    "in boxes": jxl(IMAGE, use_container=True),
    "alpha": jxl(ALPHA),
    "grey": jxl(IMAGE.convert("L")),
    "grey with alpha": jxl(ALPHA.convert("LA")),
    "grey, 16 bits": jxl(GREY_16, lossless=True),
    "texts": jxl(IMAGE, exif=exif_of(1), xmp=b"<x/>" * 1_000, compress_metadata=True),
}


@pytest.mark.parametrize("what", FILES)
def test_pixels_are_those_of_the_package(what: str) -> None:
    own = opened_jxl(FILES[what])
    wanted_HWC = np.asarray(decode(own))  # by the table in modes.py, as any PIL image
    if own.mode == "RGB":
        np.testing.assert_array_equal(wanted_HWC, np.asarray(own))
    workers = Workers()
    for given_workers in (None, workers):
        np.testing.assert_array_equal(decode(FILES[what], workers=given_workers), wanted_HWC)
    np.testing.assert_array_equal(decode(FILES[what], channels=1), decode(own, channels=1))


def test_colours_multiplied_by_their_alpha_are_not_multiplied_again() -> None:
    """The plugin cannot write such a file, so the header says it of another one."""
    data = FILES["alpha"]
    header = read_header(data, source="")._replace(premultiplied=True)
    image = open_jxl(data, header, source="")
    image.load()
    assert image.mode == "RGBa" and image.tobytes() == opened_jxl(data).tobytes()


def test_sixteen_bits_are_scaled() -> None:
    assert opened_jxl(FILES["grey, 16 bits"]).mode == "I;16"
    np.testing.assert_array_equal(decode(FILES["grey, 16 bits"], channels=1)[:, :, 0], np.asarray(GREY_16) // 257)


def test_floating_point_is_unsupported() -> None:
    error = error_of(jxl(IMAGE.convert("L").convert("F")))
    assert error.kind == "unsupported" and "floating-point" in error.reason


# --- orientation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [1, 2, 3, 5, 6, 8])
def test_a_packed_jpeg_is_turned_once(orientation: int, tmp_path: Path) -> None:
    """The plugin unpacks the JPEG, whose EXIF has the orientation. The codestream has it too."""
    data = jpeg_in_jxl(tmp_path, orientation)
    assert read_header(data, source="").orientation == orientation
    for mode in ("apply", "ignore"):
        reading = Reading(orientation=mode)  # type: ignore[arg-type]
        np.testing.assert_array_equal(decode(data, reading=reading), decode(tmp_path / "a.jpg", reading=reading))


@pytest.mark.parametrize("orientation", [2, 6])
def test_the_codestream_turns_it_once(orientation: int, tmp_path: Path) -> None:
    """Without the JPEG's own data, libjxl decodes the pixels, and turns them."""
    boxes = boxes_of(jpeg_in_jxl(tmp_path, orientation))
    plain = [box(kind, content) for kind, content in boxes[2:] if kind in (b"jxlc", b"jxlp")]
    exif = box(b"Exif", bytes(4), exif_of(orientation))
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg"))
    for data in (boxed_jxl(*plain), boxed_jxl(exif, *plain), boxed_jxl(*plain, exif)):
        pixels_HWC = decode(data)
        assert pixels_HWC.shape == np.asarray(upright).shape
        assert np.abs(pixels_HWC.astype(int) - np.asarray(upright)).mean() < 4
        np.testing.assert_array_equal(pixels_HWC, np.asarray(opened_jxl(data)))
        np.testing.assert_array_equal(pixels_HWC, decode(data, reading=Reading(orientation="ignore")))
        np.testing.assert_array_equal(pixels_HWC, decode(opened_jxl(data)))  # also as a PIL image


def test_exif_turns_an_image_that_nothing_else_turns() -> None:
    """pillow-jxl-plugin itself writes the orientation into EXIF alone."""
    data = jxl(IMAGE, exif=exif_of(6))
    assert read_header(data, source="").orientation == 1
    np.testing.assert_array_equal(decode(data), np.asarray(ImageOps.exif_transpose(opened_jxl(data))))
    ignored = decode(data, reading=Reading(orientation="ignore"))
    np.testing.assert_array_equal(ignored, np.asarray(opened_jxl(data)))


# --- the header -----------------------------------------------------------------------------------------------------

SMALL = ((0, 1), (0, 2), (49, 9), (0, 3), (0, 2), (71, 9))  # 72x50, not in eights


@pytest.mark.parametrize("what", FILES)
def test_the_header_says_what_the_package_says(what: str) -> None:
    own, header = opened_jxl(FILES[what]), read_header(FILES[what], source="")
    assert (header.width, header.height) == own.size
    assert header.extra_channels == ("A" in own.mode) and not header.animated and not header.premultiplied


@pytest.mark.parametrize(
    "size", [(1, 1), (8, 8), (256, 256), (257, 9), (300, 200), (16, 9), (12, 10), (520, 513), (8193, 2)]
)
def test_sizes(size: tuple[int, int]) -> None:
    header = read_header(jxl(Image.new("L", size), lossless=True), source="")
    assert (header.width, header.height) == size


@pytest.mark.parametrize(("ratio", "width"), [(1, 500), (2, 600), (3, 666), (4, 750), (5, 888), (6, 625), (7, 1000)])
def test_ratios(ratio: int, width: int) -> None:
    header = read_header(jxl_header((0, 1), (0, 2), (499, 9), (ratio, 3), (1, 1)), source="")
    assert (header.width, header.height) == (width, 500)


def test_an_animation_is_unsupported() -> None:
    ticks = ((0, 2), (0, 2), (0, 2), (0, 1))
    animated = ((0, 1), (1, 1), (5, 3), (0, 1), (0, 1), (1, 1), *ticks, (0, 3), (1, 1), (0, 2))
    with_all = ((0, 1), (1, 1), (5, 3), (1, 1), *SMALL, (1, 1), (1, 1), (0, 2), (0, 3), (1, 2), (1, 1), *ticks, (0, 6))
    for fields in (animated, with_all):
        header = read_header(jxl_header(*SMALL, *fields), source="")
        assert header == (72, 50, 6, True, 0, False, False)
        for data in (jxl_header(*SMALL, *fields), boxed_jxl(box(b"jxlc", jxl_header(*SMALL, *fields)))):
            error = error_of(data)
            assert error.kind == "unsupported" and "reads no animations" in error.reason


def with_channels(*channels: tuple[tuple[int, int], ...]) -> bytes:
    """8 bits, these extra channels."""
    count = ((0, 2),) if not channels else ((1, 2),) if len(channels) == 1 else ((2, 2), (len(channels) - 2, 4))
    fields = [field for channel in channels for field in channel]
    return jxl_header(*SMALL, (0, 1), (0, 1), (0, 3), (1, 1), *count, *fields)


PREMULTIPLIED = ((0, 1), (0, 2), (0, 3), (0, 2), (1, 2), (3, 4), *[(97, 8)] * 3, (1, 1))  # by the name of aaa
DEPTH = ((0, 1), (1, 2), (1, 1), (1, 2), (4, 4), (1, 2), (0, 2))  # 16-bit floats
SPOT = ((0, 1), (2, 2), (0, 4), (0, 3), (0, 2), (0, 2), (0, 64))
BLACK = ((0, 1), (2, 2), (2, 4), (0, 3), (0, 2), (0, 2))


def test_extra_channels() -> None:
    plain = ((1, 1),)
    assert read_header(with_channels(plain), source="")[4:] == (1, False, False)
    assert read_header(with_channels(PREMULTIPLIED), source="")[4:] == (1, True, False)
    assert read_header(with_channels(DEPTH, SPOT, PREMULTIPLIED), source="")[4:] == (3, True, False)
    assert read_header(with_channels(plain, PREMULTIPLIED), source="").premultiplied is False  # the first alpha counts
    error = error_of(with_channels(SPOT, BLACK))
    assert error.kind == "unsupported" and "CMYK" in error.reason
    many = jxl_header(*SMALL, (0, 1), (0, 1), (0, 3), (1, 1), (3, 2), (4_000, 12))
    error = error_of(many)
    assert (
        error.kind == "too_large"
        and f"4,001 channels besides its colours; the limit is {MAX_EXTRA_CHANNELS}" in error.reason
    )


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_huge_claim_is_refused_before_any_process_starts_decoding() -> None:
    huge = jxl_header((0, 1), (3, 2), (59_999, 30), (1, 3), (1, 1))
    for data in (
        huge,
        boxed_jxl(box(b"jxlc", huge)),
        boxed_jxl(*[box(b"jxlp", bytes(4), huge[i : i + 1]) for i in range(9)]),
    ):
        start = time.monotonic()
        error = error_of(data, max_seconds=20)
        assert error.kind == "too_large" and "(60000x60000)" in error.reason
        assert time.monotonic() - start < 10
    assert error_of(FILES["colour"], max_pixels=72 * 50 - 1).kind == "too_large"
    assert error_of(FILES["colour"], max_bytes=10).kind == "too_large"


def test_too_little_memory_is_a_limit() -> None:
    data = jxl(Image.new("RGB", (4_000, 3_000)))
    error = error_of(data, max_memory_bytes=64 * 2**20)
    assert error.kind == "too_large" and "67,108,864 bytes, the limit, set by Limits.max_memory_bytes" in error.reason


def test_very_many_boxes() -> None:
    data = boxed_jxl(bytes([0, 0, 0, 8]) * 200_010, box(b"jxlc", FILES["colour"]))
    error = error_of(data)
    assert error.kind == "too_large" and "100,000 boxes" in error.reason


def test_metadata_costs_no_image() -> None:
    junk = [box(kind, bytes(4), bytes(3_000_000)) for kind in (b"xml ", b"jumb", b"Exif", b"Exif")]
    packed = box(b"brob", b"xml ", b"\x5b\xff\xff\x3f" + bytes(50))  # damaged
    large = struct.pack(">I4sQ", 1, b"uuid", 1_000_016) + bytes(1_000_000)  # a length of 64 bits
    code = box(b"jxlc", FILES["colour"])
    wanted_HWC = decode(FILES["colour"])
    for data in (boxed_jxl(*junk, large, code), boxed_jxl(packed, code, *junk), boxed_jxl(code, packed)):
        np.testing.assert_array_equal(decode(data), wanted_HWC)
    to_the_end = boxed_jxl(b"\0\0\0\0jxlc" + FILES["colour"])
    np.testing.assert_array_equal(decode(to_the_end), wanted_HWC)


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["colour", "in boxes", "alpha"])
def test_a_file_that_is_cut_short_is_corrupt(what: str) -> None:
    data = FILES[what]
    for length in (13, 45, len(data) // 3, len(data) // 2, len(data) - 100, len(data) - 1):
        if what == "in boxes" or length > 2:
            assert error_of(data[:length]).kind in ("corrupt", "not_image"), length


@pytest.mark.parametrize("data", [b"\xff\x0a", boxed_jxl(), boxed_jxl(box(b"jxlc")), boxed_jxl(b"\0\0\0\5jxlc")])
def test_no_codestream(data: bytes) -> None:
    error = error_of(data)
    assert error.kind == "corrupt" and "header is cut short" in error.reason


@given(what=st.sampled_from(["colour", "in boxes", "alpha"]), data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage_of_any_kind_gives_one_error(what: str, data: Any) -> None:
    file = bytearray(FILES[what])
    for _ in range(data.draw(st.integers(1, 3))):
        file[2 + data.draw(st.integers(0, 400)) % (len(file) - 2)] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(file)[: data.draw(st.integers(40, len(file)))])
    except ImageError as error:
        assert error.kind in ("corrupt", "unsupported", "too_large", "not_image", "crashed", "timeout")


# --- Pillow stays as it is ------------------------------------------------------------------------------------------


def test_the_users_pillow_does_not_change(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(FILES["colour"])
    heic = tmp_path / "a.heic"
    from phone_files import heic as heic_of

    heic.write_bytes(heic_of(IMAGE))
    program = """
import sys
from PIL import Image
Image.init()
before = set(Image.OPEN), set(Image.SAVE), dict(Image.EXTENSION), dict(Image.MIME), list(Image.ID)
from gmixer.images.decode import decode
assert not {name for name in sys.modules if "heif" in name or "jxl" in name}
for path in sys.argv[1:]:
    assert decode(path).shape == (50, 72, 3)
assert before == (set(Image.OPEN), set(Image.SAVE), dict(Image.EXTENSION), dict(Image.MIME), list(Image.ID))
assert not {name for name in sys.modules if "pillow_jxl" in name}
"""
    subprocess.run([sys.executable, "-c", program, tmp_path / "a.jxl", heic], check=True)
