"""Metadata that no pixel needs cost no image: however large or damaged, the pixels are those of the file without them.

What a pixel needs stays, and so does the orientation.
"""

from __future__ import annotations

import struct
import time
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gmixer.images.decode import decode
from gmixer.images.metadata import without_metadata
from handmade import LONG, RATIONAL, SHORT, Tags, chunk, encoded, png, segment, segments, tiff

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8))
PLAIN = {name: encoded(NOISE, name) for name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM")}
LARGE = np.random.default_rng(1).integers(32, 127, 3_000_000, np.uint8).tobytes()  # text, 3 MB
PACKED = zlib.compress(LARGE, 1)
ORIENTATION, ASCII, UNDEFINED = 0x0112, 2, 7


def exif(*entries: tuple[int, int, int, int], order: str = "<") -> bytes:
    head = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    shown = (struct.pack(order + "HHI", *entry[:3]) + struct.pack(order + "HH", entry[3], 0) for entry in entries)
    return head + struct.pack(order + "H", len(entries)) + b"".join(shown) + bytes(4)


TURNED, UPRIGHT = exif((ORIENTATION, SHORT, 1, 6)), exif((ORIENTATION, SHORT, 1, 1))
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/>'


def many(marker: int, head: bytes, body: bytes) -> bytes:
    """A body in as many JPEG segments as it needs."""
    return b"".join(segment(marker, head + body[at : at + 65_000]) for at in range(0, len(body), 65_000))


def profile_in_segments() -> bytes:
    parts = [LARGE[at : at + 65_000] for at in range(0, len(LARGE), 65_000)]
    return b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes([n, len(parts)]) + part) for n, part in enumerate(parts, start=1)
    )


PNG_CHUNKS = {
    "text": chunk(b"tEXt", b"parameters\0" + LARGE),
    "70 MB of texts": b"".join(chunk(b"tEXt", b"k%d\0" % n + LARGE) for n in range(20)),
    "compressed text": chunk(b"zTXt", b"workflow\0\0" + PACKED),
    "compressed text in UTF-8": chunk(b"iTXt", b"prompt\0\1\0\0\0" + PACKED),
    "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + LARGE),
    "compressed XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + PACKED),
    "ICC": chunk(b"iCCP", b"scanner\0\0" + PACKED),
    "EXIF": chunk(b"eXIf", UPRIGHT + LARGE),
    "private": chunk(b"prVt", LARGE),
    "600 profiles": chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**20 - 1), 9)) * 600,
    "ICC, empty": chunk(b"iCCP", b""),
    "ICC, unknown compression": chunk(b"iCCP", b"a\0\7abc"),
    "text, unknown compression": chunk(b"zTXt", b"a\0\7abc"),
    "text, wrong checksum": chunk(b"tEXt", b"a\0bc")[:-1] + b"\0",
    "EXIF, wrong checksum": chunk(b"eXIf", TURNED)[:-1] + b"\0",
    "gamma, cut short": chunk(b"gAMA", b"a"),
    "chromaticity, cut short": chunk(b"cHRM", b"abc"),
    "density, cut short": chunk(b"pHYs", b"a"),
    "sRGB, empty": chunk(b"sRGB", b""),
}
JPEG_SEGMENTS = {
    "ICC": profile_in_segments(),
    "ICC, cut short": segment(0xE2, b"ICC_PROFILE\0"),
    "EXIF": many(0xE1, b"Exif\0\0", UPRIGHT + LARGE),
    "EXIF, density of one letter": segment(0xE1, b"Exif\0\0" + exif((0x11A, ASCII, 1, 0x37), (0x128, SHORT, 1, 2))),
    "extended XMP": many(0xE1, b"http://ns.adobe.com/xmp/extension/\0", LARGE),
    "Photoshop": many(0xED, b"Photoshop 3.0\0", b"8BIM" * 200_000),
    "Photoshop, cut short": segment(0xED, b"Photoshop 3.0\x008BIM\1\2"),
    "JFIF, cut short": segment(0xE0, b"JFIF\0"),
    "Adobe, cut short": segment(0xEE, b"Adobe"),
    "FlashPix": many(0xE2, b"FPXR\0", LARGE),
    "several pictures, damaged": segment(0xE2, b"MPF\0junk"),
    "content credentials": many(0xEB, b"JP\0", LARGE),
    "comments": many(0xFE, b"", LARGE),
}
TIFF_TAGS: dict[str, Tags] = {
    "Photoshop": {34377: (UNDEFINED, list(LARGE))},
    "ICC": {34675: (UNDEFINED, list(LARGE))},
    "ICC as numbers": {34675: (LONG, [7] * 1_100_000)},
    "description": {270: (ASCII, list(LARGE))},
    "XMP": {700: (1, list(LARGE))},
    "XMP as text": {700: (ASCII, list(b"<xmp/>"))},
    "a scanner's numbers": {65_426: (LONG, [7] * 1_100_000)},
    "fractions": {65_427: (RATIONAL, [1, 2] * 70_000)},
    "resolution of two numbers": {282: (RATIONAL, [1, 2, 1, 2]), 296: (SHORT, [3])},
    "resolution as text": {282: (ASCII, list(b"72 dpi")), 296: (SHORT, [3])},
    "EXIF outside the file": {34665: (LONG, [2**31])},
    "EXIF of negative place": {34665: (9, [-1])},
}


def tiff_of(tags: Tags, compression: int = 1) -> bytes:
    pixels = NOISE.tobytes()
    data = pixels if compression == 1 else zlib.compress(pixels)
    return tiff(7, 9, [8] * 3, 2, data, tags={259: (SHORT, [compression])} | tags)


def same(data: bytes, image_format: str) -> bool:
    return np.array_equal(decode(data), decode(PLAIN[image_format]))


@pytest.mark.parametrize("kind", PNG_CHUNKS)
def test_png(kind: str) -> None:
    data, part = PLAIN["PNG"], PNG_CHUNKS[kind]
    assert same(data[:33] + part + data[33:], "PNG")
    assert same(data[:-12] + part + data[-12:], "PNG")


@pytest.mark.parametrize("kind", JPEG_SEGMENTS)
def test_jpeg(kind: str) -> None:
    data, part = PLAIN["JPEG"], JPEG_SEGMENTS[kind]
    assert same(data[:2] + part + data[2:], "JPEG")
    assert same(data[:2] + part + data[segments(data)[0][2] :], "JPEG"), "without JFIF"


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The types of tags that handmade.tiff does not write elsewhere."""
    for kind, letter in {ASCII: "B", UNDEFINED: "B", 9: "i"}.items():
        monkeypatch.setitem(tiff.__globals__["_LETTERS"], kind, letter)


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("kind", TIFF_TAGS)
def test_tiff(kind: str, compression: int) -> None:
    assert same(tiff_of(TIFF_TAGS[kind], compression), "PNG")


def test_tiff_text_behind_the_end_of_the_file() -> None:
    data = tiff_of({270: (ASCII, list(b"a long description"))})
    entry = data.index(struct.pack("<HHI", 270, ASCII, 18)) + 8
    assert same(data[:entry] + struct.pack("<I", len(data) - 2) + data[entry + 4 :], "PNG")


@pytest.mark.parametrize("options", [{"icc_profile": LARGE}, {"xmp": LARGE}, {"exif": b"Exif\0\0" + UPRIGHT + LARGE}])
def test_webp(options: dict[str, bytes]) -> None:
    assert same(encoded(NOISE, "WEBP", **options), "WEBP")


@pytest.mark.parametrize("options", [{"icc_profile": LARGE}, {"xmp": LARGE}, {"xmp": XMP}])
def test_avif(options: dict[str, bytes]) -> None:
    assert same(encoded(NOISE, "AVIF", **options), "AVIF")


def test_avif_with_damaged_exif() -> None:
    data = encoded(NOISE, "AVIF", exif=b"Exif\0\0" + exif((0x128, SHORT, 1, 2)))
    place = data.rindex(b"II*\0")
    for damage in (b"junk", bytes(4)):
        assert same(data[:place] + damage + data[place + 4 :], "AVIF")


def test_gif_and_ppm_comments() -> None:
    blocks = b"".join(bytes([255]) + LARGE[at : at + 255] for at in range(0, 2_999_820, 255)) + b"\0"
    gif, ppm = PLAIN["GIF"], PLAIN["PPM"]
    frame = 13 + (3 << (gif[10] & 7) + 1)
    assert same(gif[:frame] + b"!\xfe" + blocks + gif[frame:], "GIF")
    assert same(gif[:frame] + b"!\xff\x0bICCRGBG1012" + blocks + gif[frame:], "GIF")
    assert same(ppm[:3] + b"#" + LARGE + b"\n" + ppm[3:], "PPM")
    assert same(ppm[:3] + b"# scanned\n" * 50_000 + ppm[3:], "PPM")


TURNS = {
    "JPEG, much EXIF": lambda data: data[:2] + many(0xE1, b"Exif\0\0", TURNED + LARGE) + data[2:],
    "JPEG, EXIF in big-endian order": lambda data: (
        data[:2] + segment(0xE1, b"Exif\0\0" + exif((ORIENTATION, SHORT, 1, 6), order=">")) + data[2:]
    ),
    "JPEG, XMP": lambda data: data[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP) + data[2:],
    "PNG, much EXIF": lambda data: data[:33] + chunk(b"eXIf", TURNED + LARGE) + data[33:],
    "PNG, EXIF behind the pixels": lambda data: data[:-12] + chunk(b"eXIf", TURNED) + data[-12:],
    "PNG, EXIF as compressed text": lambda data: (
        data[:33]
        + chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 99\n" + TURNED.hex().encode()))
        + data[33:]
    ),
    "PNG, XMP": lambda data: (
        data[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP + LARGE)) + data[33:]
    ),
}


@pytest.mark.parametrize("kind", TURNS)
def test_the_orientation_stays(kind: str) -> None:
    data = TURNS[kind](PLAIN[kind.partition(",")[0]])
    assert np.array_equal(decode(data), np.rot90(decode(PLAIN[kind.partition(",")[0]]), -1))


def test_much_exif_turns_a_webp() -> None:
    data = encoded(NOISE, "WEBP", exif=b"Exif\0\0" + TURNED + LARGE)
    assert np.array_equal(decode(data), np.rot90(decode(PLAIN["WEBP"]), -1))


def test_what_pixels_need_stays() -> None:
    """Palette, transparency, the bits that count, an animation's first frame, Adobe's marker."""
    palette = png(2, 1, 8, 3, b"\0\0\1", chunk(b"PLTE", bytes(6)), chunk(b"tRNS", b"\0\xff"), chunk(b"sBIT", b"\5\5\5"))
    animation = encoded(NOISE, "PNG", save_all=True, append_images=[NOISE.rotate(180)])
    for data in (palette, animation):
        assert without_metadata(data, "PNG") is data
    cmyk = encoded(NOISE.convert("CMYK"), "JPEG")
    assert without_metadata(cmyk, "JPEG") is cmyk


def test_real_photographs_are_as_pillow_reads_them() -> None:
    for path in sorted((Path(__file__).parents[2] / "examples" / "photos").glob("*.*g")):
        assert np.array_equal(decode(path), np.asarray(Image.open(BytesIO(path.read_bytes())).convert("RGB")))


def test_skipping_takes_little_time_and_one_copy() -> None:
    files = {"PNG": chunk(b"tEXt", b"k\0" + LARGE) * 20, "JPEG": b"\xff\xe5\0\2" * 15_000_000}
    for image_format, part in files.items():
        at = {"PNG": 33, "JPEG": 2}[image_format]
        data = PLAIN[image_format][:at] + part + PLAIN[image_format][at:]
        began = time.process_time()
        without_metadata(data, image_format)
        assert time.process_time() - began < 2
