"""Files made to do harm: each is one ImageError of a known kind or an image, in bounded time and memory.

test_decode.py cuts and damages small files; here are the forms that need a plan. What costs a decoder minutes or
gigabytes is in structure_limits.py; remove one of its limits, and a test here takes that long.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gmixer.errors import IMAGE_ERROR_KINDS, ImageError
from gmixer.images import structure_limits as pieces
from gmixer.images.decode import decode
from gmixer.images.metadata import without_metadata
from gmixer.images.structure_limits import check_pieces
from gmixer.options import Limits, Reading
from gmixer.sources.sniff import sniff
from handmade import LONG, RATIONAL, SHORT, Tags, chunk, encoded, flat, png, segment, segments, tiff

RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (9, 7, 3), np.uint8))
SMALL_LIMITS = Limits(max_pixels=1_000_000)
JPEG, PNG = encoded(NOISE, "JPEG"), encoded(NOISE, "PNG")
FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM"]


def animated(image_format: str) -> bytes:
    return encoded(NOISE, image_format, save_all=True, append_images=[NOISE.rotate(180)])


SAMPLES = {name: encoded(NOISE, name) for name in FORMATS} | {
    "JPEG, progressive": encoded(NOISE, "JPEG", progressive=True),
    "JPEG, CMYK": encoded(NOISE.convert("CMYK"), "JPEG"),
    "JPEG, two images": animated("MPO"),
    "PNG, animated": animated("PNG"),
    "PNG, 2 bits": png(3, 1, 2, 0, b"\0\x10", chunk(b"tRNS", b"\0\1")),
    "WEBP, animated": animated("WEBP"),
    "GIF, animated": animated("GIF"),
    "GIF, clear": encoded(NOISE.quantize(5), "GIF", transparency=2),
    "TIFF, two pages": animated("TIFF"),
    "TIFF, deflate": encoded(NOISE, "TIFF", compression="tiff_adobe_deflate"),
    "TIFF, fax": encoded(NOISE.convert("1"), "TIFF", compression="group4"),
    "TIFF, big": tiff(2, 1, [12], 1, b"abc", big=True),
    "BMP, palette": encoded(NOISE.quantize(5), "BMP"),
    "PPM, text": b"P2 # text\n3 1\n9\n1 2 3\n",
}


def outcome(data: bytes, limits: Limits = SMALL_LIMITS) -> np.ndarray | ImageError:
    """Any other exception fails the test."""
    try:
        pixels = decode(data, reading=Reading(limits=limits))
    except ImageError as error:
        assert error.kind in IMAGE_ERROR_KINDS and error.reason and "\n" not in error.reason
        return error
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    return pixels


def error_of(data: bytes, **options: object) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, **options)  # type: ignore[arg-type]
    return caught.value


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_prefix(sample: str) -> None:
    data = SAMPLES[sample]
    whole = decode(data)
    for length in range(len(data)):
        result = outcome(data[:length])
        assert isinstance(result, ImageError) or np.array_equal(result, whole), f"half an image from {length} bytes"


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.sampled_from(sorted(SAMPLES)), st.sampled_from(sorted(SAMPLES)), st.data())
def test_any_splice(one: str, other: str, data: st.DataObject) -> None:
    """The start of one file, a part of another, and the rest of the first, from anywhere."""
    a, b = SAMPLES[one], SAMPLES[other]
    cut, back = data.draw(st.integers(0, len(a))), data.draw(st.integers(0, len(a)))
    start = data.draw(st.integers(0, len(b)))
    outcome(a[:cut] + b[start : start + data.draw(st.integers(0, 64))] + a[back:])


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.tuples(st.integers(0, 200), st.sampled_from([0, 1, 127, 255]))))
def test_extreme_bytes_in_the_header(sample: str, edits: list[tuple[int, int]]) -> None:
    data = bytearray(SAMPLES[sample])
    for at, value in edits:
        data[at % len(data)] = value
    outcome(bytes(data))


def chunks_of_png(data: bytes) -> list[bytes]:
    parts, at = [], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        parts.append(data[at:end])
        at = end
    return parts


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.permutations(range(8)), st.integers(0, 7))
def test_png_chunks_in_any_order_and_number(order: list[int], kept: int) -> None:
    parts = chunks_of_png(animated("PNG"))
    outcome(PNG[:8] + b"".join(parts[i % len(parts)] for i in order[: kept + 1]))


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.permutations(range(9)), st.integers(0, 8))
def test_jpeg_segments_in_any_order_and_number(order: list[int], kept: int) -> None:
    spans = [JPEG[start:end] for _, start, end in segments(JPEG)]
    scan = JPEG[segments(JPEG)[-1][2] :]
    outcome(JPEG[:2] + b"".join(spans[i % len(spans)] for i in order[: kept + 1]) + scan)


# --- headers that promise the world ---------------------------------------------------------------------------------


def at(data: bytes, offset: int, layout: str, *values: int) -> bytes:
    return data[:offset] + struct.pack(layout, *values) + data[offset + struct.calcsize(layout) :]


def webp_of(width: int, height: int) -> bytes:
    """The canvas of an animation, whose frames may be smaller; 24 bits each."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    data = SAMPLES["WEBP, animated"]
    return data[:24] + size + data[30:]


def avif_of(width: int, height: int) -> bytes:
    data = SAMPLES["AVIF"]
    return at(data, data.index(b"ispe") + 8, ">II", width, height)


SOF = next(start for marker, start, _ in segments(JPEG) if marker == 0xC0)
HUGE: dict[str, Callable[[int, int], bytes]] = {
    "JPEG": lambda w, h: at(JPEG, SOF + 5, ">HH", h, w),
    "PNG": lambda w, h: PNG[:8] + chunk(b"IHDR", struct.pack(">II", w, h) + PNG[24:29]) + PNG[33:],
    "WEBP": webp_of,
    "AVIF": avif_of,
    "TIFF": lambda w, h: tiff(w, h, [8] * 3, 2, b"abc"),
    "BMP": lambda w, h: at(SAMPLES["BMP"], 18, "<ii", w, h),
    "GIF": lambda w, h: at(SAMPLES["GIF"], 6, "<HH", w, h),
    "PPM": lambda w, h: b"P6 %d %d 255\nabc" % (w, h),
}


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("size", [(60_000, 60_000), (10_000, 9_000)])
def test_a_huge_image_is_refused_by_its_header(image_format: str, size: tuple[int, int]) -> None:
    data = HUGE[image_format](*size)
    decode(SAMPLES[image_format])  # whatever a format loads once
    tracemalloc.start()
    began = time.process_time()
    error = error_of(data)
    seconds = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if image_format == "AVIF":  # libavif has a limit of its own, and compares the header with what is in the file
        assert error.kind in {"too_large", "corrupt"}
    else:
        assert (error.kind, "pixels" in error.reason) == ("too_large", True)
    assert peak < 2_000_000 and seconds < 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_memory_is_taken_for_huge_images_and_lying_files(tmp_path: Path) -> None:
    files = {name: HUGE[name](60_000, 60_000) for name in FORMATS} | BOMBS_OF_MEMORY
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    code = (
        "import sys\n"
        "from gmixer.images.decode import decode\n"
        "from gmixer.errors import ImageError\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        decode(path)\n"
        "    except ImageError as error:\n"
        "        pass\n"
        "    peak = open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]\n"
        "    print(path.rpartition('/')[2], int(peak) // 1024)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *(tmp_path / name for name in files)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    peaks = [int(line.rpartition(" ")[2]) for line in run.stdout.splitlines()]
    assert len(peaks) == len(files)
    assert max(peaks) < 250, run.stdout  # MiB; Python, numpy, Pillow and the largest file are 100


# --- very many very small pieces, and bombs -------------------------------------------------------------------------


def bomb(data: bytes = bytes(2**20 - 1)) -> bytes:
    return zlib.compress(data, 9)


def in_png(part: bytes, count: int) -> bytes:
    return PNG[:33] + part * count + PNG[33:]


def in_jpeg(part: bytes, count: int = 1) -> bytes:
    return JPEG[:2] + part * count + JPEG[2:]


def with_scans(progressive: bool, count: int, size: tuple[int, int] = (16, 16)) -> bytes:
    """Empty scans of the first component: a header each, no data."""
    jpeg = encoded(flat("RGB", "teal", size), "JPEG", progressive=progressive)
    scan = segment(0xDA, b"\1\1\0" + (b"\1\x3f\0" if progressive else b"\0\x3f\0"))
    return jpeg[:-2] + scan * count + jpeg[-2:]


def exif(*entries: tuple[int, int, int, int], after: bytes = b"") -> bytes:
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    return head + b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 8) + after


def exif_folder(count: int) -> bytes:
    """A TIFF whose EXIF folder has one tag of that many fractions."""
    page = tiff(1, 1, [8], 1, b"a", tags={34665: (LONG, [0])})
    offset = len(page)
    page = tiff(1, 1, [8], 1, b"a", tags={34665: (LONG, [offset])})
    entry = struct.pack("<HHHII", 1, 0x9205, RATIONAL, count, offset + 18) + bytes(4)
    return page + entry + struct.pack("<II", 1, 2) * count


def tiled(side: int) -> bytes:
    """One pixel, in a tile of that side: zeros, well compressed."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(2**20)) for _ in range(side * side // 2**20)) + packer.flush()
    tags: Tags = {259: (SHORT, [8]), 322: (LONG, [side]), 323: (LONG, [side])}
    page = tiff(1, 1, [8], 1, b"", tags=tags | {324: (LONG, [9]), 325: (LONG, [len(data)])})
    return tiff(1, 1, [8], 1, data, tags=tags | {324: (LONG, [len(page)]), 325: (LONG, [len(data)])})


MANY_PIECES = {
    "JPEG, empty segments": (in_jpeg(b"\xff\xe5\0\2", 200_001), "segments"),
    "JPEG, bare markers": (in_jpeg(b"\xff\xd8", 100_001), "segments"),
    "JPEG, junk": (in_jpeg(segment(0xE5) + bytes(70_000)), "bytes between"),
    "JPEG, padding": (in_jpeg(b"\xff" * 70_000), "bytes between"),
    "JPEG, padding and no end": (b"\xff\xd8" + b"\xff" * 70_000, "bytes between"),
    "JPEG, progressive scans": (with_scans(True, 200), "100 scans"),
    "JPEG, baseline scans": (with_scans(False, 200), "100 scans"),
    "JPEG, segments between scans": (
        JPEG[:-2] + segment(0xE5, b"\xff\xda") * 200_000 + JPEG[-2:],
        "segments",
    ),
    "PNG, private chunks": (in_png(chunk(b"prIv"), 200_001), "chunks"),
    "PNG, empty pixels": (in_png(chunk(b"IDAT"), 100_001), "chunks"),
    "PNG, chunks behind the pixels": (PNG[:-12] + chunk(b"prIv") * 200_001 + PNG[-12:], "chunks"),
    "TIFF, tags": (tiff(1, 1, [8], 1, b"a", big=True)[:16] + struct.pack("<Q", 100_001) + bytes(40), "tags"),
    "TIFF, fractions": (tiff(1, 1, [8], 1, b"a", tags={532: (RATIONAL, [1, 2] * 70_000)}), "fractions"),
    "TIFF, strips": (tiff(1, 1, [8], 1, b"a", tags={273: (LONG, [8] * 1_100_000)}), "numbers"),
    "TIFF, tile": (tiled(2**14), "a tile of 16384x16384"),
    "PPM, comments": (b"P1\n8 8\n" + b"#\n" * 1_001 + b"0 " * 64, "1,000 comments"),
    "PPM, spaces": (b"P5 1" + b" " * 70_000 + b"1 255\na", "bytes of header"),
}
BOMBS_OF_MEMORY = {name: MANY_PIECES[name][0] for name in ("TIFF, tile", "TIFF, strips", "PNG, private chunks")} | {
    "TIFF, fractions in a folder": exif_folder(70_000),
    "PNG, one long text": in_png(chunk(b"tEXt", b"k\0" + b"a" * 2**24), 1),
    "PNG, EXIF": in_png(chunk(b"eXIf", exif((0x112, RATIONAL, 2**20, 26), after=b"\1\0\0\0\2\0\0\0" * 2**20)), 1),
}


@pytest.mark.parametrize("attack", MANY_PIECES)
def test_too_many_pieces_are_refused_before_decoding(attack: str) -> None:
    data, words = MANY_PIECES[attack]
    began = time.process_time()
    error = error_of(data)
    assert time.process_time() - began < 2
    assert (error.kind, words in error.reason, "save it again" in error.reason) == ("too_large", True, True)


JUST_PASSES: dict[str, Callable[[], bytes]] = {  # as many pieces as may be, and much of what is skipped
    "segments": lambda: in_jpeg(b"\xff\xe5\0\2", 99_900),
    "scans": lambda: with_scans(True, 85, (200, 200)),
    "chunks": lambda: in_png(chunk(b"prIv"), 99_900),
    "texts": lambda: in_png(chunk(b"zTXt", b"\0\0" + bomb()), 9_000),
    "profiles": lambda: in_png(chunk(b"iCCP", b"a\0\0" + bomb()), 9_000),
    "texts in no alphabet": lambda: in_png(chunk(b"iTXt", b"k\0\1\0\0\0" + bomb(b"\xff" * (2**20 - 1))), 9_000),
    "texts of EXIF": lambda: in_png(chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb()), 9_000),
    "exif": lambda: in_jpeg(segment(0xE1, b"Exif\0\0" + bytes(65_000)), 900),
    "resources": lambda: in_jpeg(segment(0xED, b"Photoshop 3.0\0" + b"8BIM" * 16_000), 900),
    "fractions in a folder": lambda: exif_folder(4_000_000),
    "strips": lambda: tiff(1, 1, [8], 1, b"a", tags={273: (LONG, [8] * 1_048_000)}),
    "fractions": lambda: tiff(1, 1, [8], 1, b"a", tags={532: (RATIONAL, [1, 2] * 65_000)}),
    "comment": lambda: b"P6\n#" + b"a" * 5_000_000 + b"\n1 1\n255\nabc" + bytes(9999),
}


@pytest.mark.parametrize("name", JUST_PASSES)
def test_what_just_passes_is_an_image_in_bounded_time(name: str) -> None:
    """Generous: each takes a tenth of it on a busy machine."""
    data = JUST_PASSES[name]()
    began = time.process_time()
    assert decode(data).ndim == 3
    assert time.process_time() - began < 10


def test_two_bytes_like_a_scan_in_what_follows_an_image_count_for_nothing() -> None:
    """A phone's film behind its photo, and text inside a segment."""
    assert np.array_equal(decode(JPEG + b"\xff\xda" * 500), decode(JPEG))
    assert np.array_equal(decode(in_jpeg(segment(0xE5, b"\xff\xda" * 500))), decode(JPEG))
    progressive = SAMPLES["JPEG, progressive"]
    first_scan = segments(progressive)[-1][1]
    with_text = progressive[:first_scan] + segment(0xFE, b"\xff\xda" * 500) + progressive[first_scan:]
    assert np.array_equal(decode(with_text), decode(progressive))


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255))), st.binary())
def test_counting_pieces_raises_nothing_else(sample: str, edits: list[tuple[int, int]], tail: bytes) -> None:
    data = bytearray(SAMPLES[sample] + tail)
    for place, value in edits:
        data[place % len(data)] = value
    if image_format := sniff(bytes(data)):
        try:
            check_pieces(bytes(data), image_format, source="a", max_pixels=1_000)
        except ImageError as error:
            assert error.kind == "too_large"


def test_a_bad_folder_does_not_hide_a_heavy_one() -> None:
    """GPS out of the file, EXIF heavy: both in one page. Neither costs the image, nor time."""
    tags: Tags = {34665: (LONG, [0]), 34853: (LONG, [2**31])}
    page = tiff(1, 1, [8], 1, b"a", tags=tags)
    tags[34665] = (LONG, [len(page)])
    entry = struct.pack("<HHHII", 1, 0x9205, RATIONAL, 1_000_000, len(page) + 18) + bytes(4)
    data = tiff(1, 1, [8], 1, b"a", tags=tags) + entry + struct.pack("<II", 1, 2) * 1_000_000
    assert decode(data).tolist() == [[[97] * 3]]
    assert timed(lambda: decode(data)) < 1


def test_the_usual_cost_is_small() -> None:
    for path in sorted((Path(__file__).parents[2] / "examples" / "photos").iterdir()):
        data = path.read_bytes()
        if image_format := sniff(data[:32]):
            best = min(
                timed(lambda d=data, f=image_format: check_pieces(without_metadata(d, f), f, source="", max_pixels=9))
                for _ in range(5)
            )
            assert best < 0.002, path


def timed(run: Callable[[], None]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


# --- oddities -------------------------------------------------------------------------------------------------------


def test_a_text_bomb_costs_its_image_not_its_neighbours() -> None:
    large = bomb(bytes(2**25))
    for part in (
        chunk(b"zTXt", b"k\0\0" + large),
        chunk(b"iTXt", b"k\0\1\0\0\0" + large),
        chunk(b"iCCP", b"k\0\0" + large),
    ):
        tracemalloc.start()
        outcome(in_png(part, 1))
        assert tracemalloc.get_traced_memory()[1] < 2**24
        tracemalloc.stop()


ODD_EXIF = {
    "circular": exif((0x8769, 4, 1, 8), (0x112, 3, 1, 1)),
    "huge count": exif((0x112, 3, 2**32 - 1, 8)),
    "no denominator": exif((0x11A, 5, 1, 38), (0x128, 3, 1, 2), after=bytes(8)),
    "turned by a fraction": exif((0x112, 5, 1, 26), after=struct.pack("<II", 6, 0)),
    "turned by text": exif((0x112, 2, 4, 0x36363636)),
    "turned by 9": exif((0x112, 3, 1, 9)),
    "turned by nothing": exif((0x112, 3, 0, 6)),
    "cut short": exif((0x112, 3, 1, 6))[:15],
    "no TIFF": b"hello",
    "empty": b"",
}


@pytest.mark.parametrize("odd", ODD_EXIF)
def test_corrupt_exif_costs_nothing(odd: str) -> None:
    data = ODD_EXIF[odd]
    assert np.array_equal(decode(in_jpeg(segment(0xE1, b"Exif\0\0" + data))), decode(JPEG))
    assert np.array_equal(decode(in_png(chunk(b"eXIf", data), 1)), decode(PNG))
    raw = b"Raw profile type exif\0\n exif\n 9\n" + data.hex().encode()
    assert np.array_equal(decode(in_png(chunk(b"tEXt", raw), 1)), decode(PNG))


def test_a_thumbnail_in_exif_is_not_the_image() -> None:
    thumbnail = encoded(flat("RGB", "red"), "JPEG")
    data = in_jpeg(segment(0xE1, b"Exif\0\0" + exif((0x201, 4, 1, 40), (0x202, 4, 1, len(thumbnail))) + thumbnail))
    assert np.array_equal(decode(data), decode(JPEG))


@pytest.mark.parametrize("big", [False, True])
def test_circular_tiffs(big: bool) -> None:
    page = tiff(1, 1, [8], 1, b"a", big=big)
    first = 16 if big else 8
    next_page = page.index(bytes(8 if big else 4), len(page) - 40)
    for target in (first, next_page, first + 1, 0, len(page), 2**31):
        outcome(at(page, next_page, "<Q" if big else "<I", target))
    outcome(at(page, first - (8 if big else 4), "<Q" if big else "<I", 0))


def test_tiff_strips_that_lie() -> None:
    for tags in (
        {273: (LONG, [2**32 - 1])},
        {279: (LONG, [2**32 - 1])},
        {279: (LONG, [0])},
        {278: (LONG, [2**32 - 1])},
        {278: (LONG, [0])},
        {277: (SHORT, [65_535])},
        {258: (SHORT, [8] * 9)},
        {317: (SHORT, [2])},
        {259: (SHORT, [9_999])},
        {284: (SHORT, [2])},
        {322: (LONG, [0]), 323: (LONG, [0]), 324: (LONG, [8])},
    ):
        outcome(tiff(4, 4, [8] * 3, 2, bytes(48), tags=tags))
        outcome(tiff(4, 4, [8] * 3, 2, zlib.compress(bytes(48)), tags={259: (SHORT, [8])} | tags))


def test_webp_that_lies_about_its_length() -> None:
    data = SAMPLES["WEBP"]
    for length in (0, 1, 12, len(data), 2**31, 2**32 - 2, 2**32 - 1):
        outcome(at(data, 4, "<I", length))
        outcome(at(data, 16, "<I", length))
        outcome(at(SAMPLES["WEBP, animated"], 16, "<I", length))


@pytest.mark.parametrize(
    "text",
    [b"<!doctype html><p>", b"<html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?><svg/>"],
)
def test_a_page_or_drawing_named_jpg(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(text)
    assert error_of(path.read_bytes()).kind == "not_image"


def test_polyglots_are_what_their_first_bytes_say() -> None:
    assert np.array_equal(decode(PNG + JPEG), decode(PNG))
    assert np.array_equal(decode(JPEG + PNG), decode(JPEG))
    assert np.array_equal(decode(in_jpeg(segment(0xFE, b"<script>alert(1)</script>"))), decode(JPEG))
    gif = SAMPLES["GIF"]
    assert np.array_equal(decode(gif + b"PK\3\4" + bytes(100)), decode(gif))
    outcome(b"GIF89a/*" + JPEG)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 65_535), (65_535, 1)])
@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP", "GIF", "PPM"])
def test_lines_of_the_greatest_length(image_format: str, height: int, width: int) -> None:
    grey_HW = RNG.integers(0, 256, (height, width), np.uint8)
    assert np.array_equal(decode(encoded(Image.fromarray(grey_HW), image_format))[:, :, 0], grey_HW)


def test_a_file_of_one_pixel_and_much_else() -> None:
    """Bytes behind the end are nobody's business."""
    data = encoded(flat("RGB", (1, 2, 3), (1, 1)), "PNG") + bytes(2**20)
    assert decode(data).tolist() == [[[1, 2, 3]]]


def test_pieces_have_room_for_what_programs_write() -> None:
    """An ICC profile in 255 segments, EXIF in two, a PNG of 8 KiB chunks as large as a file may be."""
    profile = b"".join(segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(9)) for n in range(1, 256))
    decode(in_jpeg(profile + segment(0xE1, b"Exif\0\0" + bytes(60_000)) * 2))
    assert Limits().max_bytes / 8192 < pieces.MAX_PIECES
    out = BytesIO()
    Image.fromarray(RNG.integers(0, 256, (400, 400, 3), np.uint8)).save(out, "TIFF", tiffinfo={278: 1})
    decode(out.getvalue())
