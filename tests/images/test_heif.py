"""heif.py: HEIC through pillow-heif, to that package's own pixels, under gmixer's limits."""

from __future__ import annotations

import struct
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drawn_pixels import noise
from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.images.heif import MAX_DECODED_IMAGES
from gmixer.images.transparency import over_white
from gmixer.isolation.workers import Workers
from gmixer.options import Limits, Reading
from phone_files import Item, box, deep_heic, exif_of, handmade_heif, heic, opened_heic

IMAGE = Image.fromarray(noise(6, 8)).resize((72, 50))
ALPHA = Image.fromarray(noise(6, 8, channels=4)).resize((72, 50))
DEEP_HWC = np.asarray(ALPHA).astype(np.uint16) * 257


def error_of(data: bytes, **limits: int) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, name="a.heic", reading=Reading(limits=Limits(**limits)))
    assert caught.value.source == "a.heic" and "\n" not in caught.value.reason
    return caught.value


@pytest.fixture(scope="module")
def workers() -> Workers:
    return Workers()


# --- pixels ---------------------------------------------------------------------------------------------------------

FILES: dict[str, bytes] = {
    "colour": heic(IMAGE),
    "without loss": heic(IMAGE, quality=-1, chroma=444),
    "alpha": heic(ALPHA),
    "premultiplied alpha": heic(ALPHA.convert("RGBa")),
    "grey": heic(IMAGE.convert("L")),
    "grey with alpha": heic(ALPHA.convert("LA")),
    "grey, 10 bits": deep_heic("I;16L", DEEP_HWC[:, :, 0], 10),
    "grey, 12 bits": deep_heic("I;16L", DEEP_HWC[:, :, 0], 12),
    "colour, 10 bits": deep_heic("RGB;16", DEEP_HWC[:, :, :3], 10),
    "colour, 12 bits": deep_heic("RGB;16", DEEP_HWC[:, :, :3], 12),
    "alpha, 10 bits": deep_heic("RGBA;16", DEEP_HWC, 10),
    "tiles": heic(IMAGE.resize((300, 200)), tile_size=128),
    "turned": heic(IMAGE, orientation=6),
    "profile": heic(IMAGE, icc_profile=b"no profile at all", icc_profile_type="prof"),
    "second of three": heic(IMAGE, IMAGE.rotate(180).resize((31, 17)), ALPHA, primary_index=1),
}


@pytest.mark.parametrize("what", FILES)
def test_pixels_are_those_of_the_package(what: str, workers: Workers) -> None:
    own = opened_heic(FILES[what])
    wanted_HWC = np.asarray(decode(own))  # by the table in modes.py, as any PIL image
    if own.mode == "RGB":
        np.testing.assert_array_equal(wanted_HWC, np.asarray(own))
    for given_workers in (None, workers):
        np.testing.assert_array_equal(decode(FILES[what], workers=given_workers), wanted_HWC)
    grey_HWC = decode(FILES[what], channels=1)
    np.testing.assert_array_equal(grey_HWC, decode(FILES[what], channels=1, workers=workers))


def test_the_primary_image_is_taken() -> None:
    assert decode(FILES["second of three"]).shape == (17, 31, 3)


def test_alpha_lies_over_white() -> None:
    assert opened_heic(FILES["alpha"]).mode == "RGBA" and opened_heic(FILES["premultiplied alpha"]).mode == "RGBa"
    np.testing.assert_array_equal(decode(FILES["alpha"]), np.asarray(over_white(opened_heic(FILES["alpha"]))[0]))


@pytest.mark.parametrize("bits", [10, 12])
def test_more_than_eight_bits_are_scaled(bits: int) -> None:
    assert opened_heic(FILES[f"grey, {bits} bits"]).mode == "I;16"
    for what in ("grey", "colour"):
        data, channels = FILES[f"{what}, {bits} bits"], 1 if what == "grey" else 3
        assert opened_heic(data).info["bit_depth"] == bits
        difference_HWC = decode(data, channels=channels) - np.asarray(ALPHA)[:, :, :channels].astype(int)
        assert np.abs(difference_HWC).max() <= 3


# --- orientation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_files_own_rotation_turns_it_once(orientation: int) -> None:
    """pillow-heif writes the rotation into the file and into its EXIF."""
    corner = Image.new("RGB", (64, 96))
    corner.paste("white", (0, 0, 32, 32))
    data = heic(corner, orientation=orientation)
    assert b"Exif" in data or orientation == 1
    # Where the photographer saw the corner: left or right, top or bottom.
    right, bottom = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    for mode in ("apply", "ignore"):  # libheif turns it while it decodes
        pixels_HWC = decode(data, reading=Reading(orientation=mode))  # type: ignore[arg-type]
        assert pixels_HWC.shape[:2] == ((96, 64) if orientation < 5 else (64, 96))
        height, width = pixels_HWC.shape[:2]
        seen = pixels_HWC[height - 16 if bottom else 16, width - 16 if right else 16]
        assert seen.min() > 200 and pixels_HWC.mean() < 120


def test_exif_alone_turns_nothing() -> None:
    """By the standard, EXIF is no instruction here."""
    data = heic(IMAGE, exif=b"Exif\0\0" + exif_of(1))
    assert data.count(exif_of(1)) == 1
    turned = data.replace(exif_of(1), exif_of(6))
    np.testing.assert_array_equal(decode(turned), decode(data))
    np.testing.assert_array_equal(decode(opened_heic(turned)), decode(data))  # also as a PIL image


# --- limits ---------------------------------------------------------------------------------------------------------


def with_size(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31, 2**31), (1, 2**32 - 1), (9_000, 10_000)])
def test_a_huge_claim_is_refused_before_decoding(size: tuple[int, int]) -> None:
    for what in ("colour", "alpha", "tiles"):
        error = error_of(with_size(FILES[what], *size))
        assert error.kind == "too_large" and f"({size[0]}x{size[1]})" in error.reason


def test_a_false_claim_gives_no_image() -> None:
    for size in ((10, 10), (71, 50), (73, 51), (0, 0), (5_000, 4_000)):
        assert error_of(with_size(FILES["colour"], *size)).kind in ("corrupt", "too_large")
    large = with_size(heic(Image.new("RGB", (600, 400))), 8, 8)
    assert error_of(large).kind in ("corrupt", "too_large")


def test_a_limit_of_libheif_is_called_a_limit() -> None:
    error = error_of(handmade_heif(*[Item(b"hvc1", 64, 64)] * 1_200))
    assert error.kind == "too_large" and "limit of libheif" in error.reason and "1000" in error.reason


def test_pixels_bytes_and_frames() -> None:
    assert error_of(FILES["colour"], max_pixels=72 * 50 - 1).kind == "too_large"
    assert error_of(FILES["colour"], max_bytes=100).kind == "too_large"
    error = error_of(FILES["second of three"], max_frames=2)
    assert error.kind == "too_large" and "more than 2 frames" in error.reason


@pytest.mark.parametrize(
    "items",
    [
        [Item(b"grid", 8_000, 8_000, [(b"dimg", [2] * 60_000)]), Item(b"hvc1", 512, 512)],
        [Item(b"iden", 100, 100, [(b"dimg", [2] * 6)]), Item(b"hvc1", 8_000, 8_000)],
        [
            Item(b"grid", 64, 64, [(b"dimg", [2] * 200)]),
            Item(b"grid", 64, 64, [(b"dimg", [3] * 200)]),
            Item(b"hvc1", 512, 512),
        ],
        [
            Item(b"hvc1", 64, 64),
            Item(b"grid", 64, 64, [(b"dimg", [3] * 2_000), (b"auxl", [1])], aux=b"urn:mpeg:hevc:2015:auxid:1"),
            Item(b"hvc1", 512, 512),
        ],
    ],
    ids=["tiles", "layers", "tiles of tiles", "alpha of tiles"],
)
def test_all_tiles_and_layers_count(items: list[Item]) -> None:
    error = error_of(handmade_heif(*items))
    assert error.kind == "too_large" and f"{MAX_DECODED_IMAGES} times Limits.max_pixels" in error.reason


def test_what_is_not_decoded_does_not_count() -> None:
    """Thumbnails, depth maps, other images."""
    huge = (b"hvc1", 20_000, 20_000)
    items = [
        Item(b"hvc1", 64, 64),
        Item(*huge, [(b"thmb", [1])]),
        Item(*huge, [(b"auxl", [1])], b"urn:depth"),
        Item(*huge),
    ]
    assert error_of(handmade_heif(*items)).kind == "corrupt"  # it has no pixels, so libheif refuses it


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (handmade_heif(Item(b"grid", 9, 9, [(b"dimg", [1])])), "corrupt", "made of each other"),
        (handmade_heif(Item(b"av01", 9, 9)), "unsupported", "holds AV1"),
        (handmade_heif(Item(b"iovl", 9, 9)), "unsupported", "several images over each other"),
        (handmade_heif(Item(b"grid", 9, 9, [(b"dimg", [2])]), Item(b"vvc1", 9, 9)), "unsupported", "holds VVC"),
        (handmade_heif(Item(b"hvc1", 9, 9), primary=3), "corrupt", "table of images"),
        (handmade_heif(*[Item(b"hvc1", 9, 9, [(b"cdsc", [1] * 60_000)])] * 2), "too_large", "links between items"),
        (handmade_heif(Item(b"hvc1", 9, 9), more=bytes([0, 0, 0, 8]) * 200_002), "too_large", "100,000 boxes"),
        (box(b"ftyp", b"msf1\0\0\0\0msf1hevc") + box(b"moov", bytes(99)), "unsupported", "sequence without a still"),
        (box(b"ftyp", b"heic\0\0\0\0mif1heic"), "corrupt", "table of images"),
        (handmade_heif(Item(b"hvc1", 9, 9)) * 2, "corrupt", "table of images"),
    ],
)
def test_odd_tables(data: bytes, kind: str, words: str) -> None:
    start = time.process_time()
    error = error_of(data)
    assert (error.kind, words in error.reason) == (kind, True), error.reason
    assert time.process_time() - start < 1


def test_metadata_costs_no_image_and_no_memory() -> None:
    """pillow-heif copies the metadata of each image when it opens the file."""
    text = b"<x:xmpmeta>" + bytes(5_000_000)
    data = heic(IMAGE, *[IMAGE.resize((64, 64))] * 3, xmp=text, exif=b"Exif\0\0" + exif_of(6) + bytes(60_000))
    plain = heic(IMAGE, *[IMAGE.resize((64, 64))] * 3, orientation=6)
    np.testing.assert_array_equal(decode(data), decode(plain))


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["colour", "alpha", "tiles", "turned"])
def test_a_file_that_is_cut_short_is_corrupt(what: str) -> None:
    data = FILES[what]
    for length in (20, 60, len(data) // 3, len(data) // 2, len(data) - 200, len(data) - 1):
        assert error_of(data[:length]).kind == "corrupt"


def test_a_file_whose_end_is_zeros_is_corrupt() -> None:
    """libheif leaves the tiles empty that are not there."""
    data = FILES["tiles"]
    for length in (len(data) // 2, len(data) - 500):
        assert error_of(data[:length] + bytes(len(data) - length)).kind == "corrupt"


@given(what=st.sampled_from(["colour", "alpha", "tiles"]), data=st.data())
@settings(max_examples=80, deadline=None)
def test_damage_of_any_kind_gives_one_error(what: str, data: Any) -> None:
    file = bytearray(FILES[what])
    for _ in range(data.draw(st.integers(1, 3))):
        file[32 + data.draw(st.integers(0, 1_500)) % (len(file) - 32)] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(file)[: data.draw(st.integers(40, len(file)))])
    except ImageError as error:
        assert error.kind in ("corrupt", "unsupported", "too_large")
