"""Refuses files of very many very small pieces before a decoder reads them one by one.

Limits of bytes and pixels are not enough: 64 MiB of empty JPEG segments, PNG chunks or JPEG scans took Pillow from a
minute to a day, or gigabytes. Nothing is decoded here; a usual file takes well under a millisecond. The limits are far
above what real images hold, so they are no settings. Metadata that no pixel needs counts for nothing: metadata.py has
removed what would cost a decoder much.
"""

from __future__ import annotations

import re
from itertools import islice
from struct import error as StructError
from struct import unpack_from

from gmixer.errors import ImageError
from gmixer.images.pieces import (
    EOI,
    SOS,
    STANDALONE,
    jpeg_segments,
    png_chunks,
    tiff_first_folder,
    tiff_tag_count,
    tiff_tags,
    tiff_value,
)

MAX_PIECES = 100_000  # 4 µs and 150 bytes each in Pillow. JPEG: segments; PNG: chunks; TIFF: tags
# libtiff's limit for the JPEGs inside a TIFF; 10 are usual. Each takes up to 20 ms at 89 megapixels, even if empty.
MAX_JPEG_SCANS = 100
MAX_FILLER_BYTES = 2**16  # before a JPEG's pixels and in a PPM's header; Pillow reads them byte by byte
MAX_PPM_COMMENTS = 1_000  # between pixels written as text: Pillow copies up to 1 MiB for each
MAX_TIFF_NUMBERS = 2**20  # in all tags; each strip or tile needs two
MAX_TIFF_FRACTIONS = 2**16  # in all tags; 14 µs each

_MARKER_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # restart markers belong to the scan
_SCAN = re.compile(rb"\xff\xda")
PPM_HEADER = re.compile(rb"P(?:[14](?:(?:\s|#[^\r\n]*+[\r\n])*+\d++){2}|[2356](?:(?:\s|#[^\r\n]*+[\r\n])*+\d++){3})\D")
_TIFF_NUMBERS = {3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 16}  # types that become Python's numbers, one by one
_TIFF_FRACTIONS = {5, 10}
TIFF_FOLDERS = {34665, 34853, 40965}  # EXIF, GPS, interoperability
MAX_JPEG_SIDE, MAX_AVIF_SIDE = 65_500, 32_768  # of libjpeg and of libavif, which call a longer one damaged

_MAX_SIDES = {"JPEG": MAX_JPEG_SIDE, "AVIF": MAX_AVIF_SIDE}
_AVIF_SIZES = re.compile(rb"ispe\0{4}(.{8})", re.DOTALL)
_AVIF_HEADER_BYTES = 2**16  # where a file says what images it has
_TILE_WIDTH, _TILE_HEIGHT = 322, 323


def check_pieces(data: bytes, image_format: str, *, source: str, max_pixels: int) -> None:
    """Raises ImageError "too_large" for a file of that format. A file that ends early or is malformed passes.

    max_pixels: of one tile of a TIFF; the decoder holds a whole tile, even for a small image.
    """
    match image_format:
        case "JPEG":
            excess = _of_jpeg(data)
        case "PNG":
            excess = _of_png(data)
        case "TIFF":
            excess = tiff_excess(data, tiff_first_folder(data)) or _of_tile(data, max_pixels)
        case "PPM":
            excess = _of_ppm(data)
        case _:
            excess = None
    if excess:
        raise ImageError("too_large", f"holds {excess}, far more than an image needs: save it again", source)


def check_side(side_px: int, image_format: str, *, source: str) -> None:
    """Raises ImageError "too_large" for an image that is longer or wider than the decoder of its format reads."""
    most = _MAX_SIDES.get(image_format)
    if most is not None and side_px > most:
        reason = f"has a side of {side_px:,} pixels; the decoder of {image_format} reads at most {most:,}"
        raise ImageError("too_large", f"{reason}: make the image smaller", source)


def stated_side(data: bytes, image_format: str) -> int:
    """The longest side that the header of an AVIF states, in pixels; 0 for another format, whose decoder tells it."""
    sizes = _AVIF_SIZES.findall(data[:_AVIF_HEADER_BYTES]) if image_format == "AVIF" else []
    return max((max(unpack_from(">II", size)) for size in sizes), default=0)


def _of_jpeg(data: bytes) -> str | None:
    at, filler, in_scan = 2, 0, False
    for pieces, (marker, start, end) in enumerate(jpeg_segments(data)):
        filler += start - at
        at, in_scan = end, marker == SOS
        if pieces >= MAX_PIECES:
            return f"more than {MAX_PIECES:,} segments"
        if filler > MAX_FILLER_BYTES:
            break
    if not in_scan:
        filler += max(0, len(data) - at)
    if filler > MAX_FILLER_BYTES:
        return f"more than {MAX_FILLER_BYTES:,} bytes between its segments"
    if not in_scan:
        return None
    # The two bytes of a scan's marker also occur by chance in a video after the image: count first, then parse.
    many = any(True for _ in islice(_SCAN.finditer(data, at), MAX_JPEG_SCANS - 1, None))  # in half the time of count()
    return _of_scans(data, at) if many else None


def _of_scans(data: bytes, at: int) -> str | None:
    """at: after the header of the first scan."""
    scans = 1
    try:
        for _ in range(MAX_PIECES):
            found = _MARKER_AFTER_SCAN.search(data, at)
            if not found or found[1][0] == EOI:
                return None
            at = found.end()
            if found[1][0] not in STANDALONE:
                at += max(2, unpack_from(">H", data, at)[0])
            scans += found[1][0] == SOS
            if scans > MAX_JPEG_SCANS:
                return f"more than {MAX_JPEG_SCANS} scans"
    except StructError:  # the end of the file: the decoder will say so
        return None
    return f"more than {MAX_PIECES:,} segments"


def _of_png(data: bytes) -> str | None:
    many = any(True for _ in islice(png_chunks(data), MAX_PIECES, None))
    return f"more than {MAX_PIECES:,} chunks" if many else None


def tiff_excess(data: bytes, folder: int) -> str | None:
    """What is too much in a folder of tags and in the folders inside it; None if nothing is.

    Pillow decodes only the first page, so the folders of other pages count for nothing.
    """
    pieces = numbers = fractions = 0
    folders, seen = [folder], set[int]()
    while folders:
        folder = folders.pop()
        if folder in seen:
            continue
        seen.add(folder)
        pieces += tiff_tag_count(data, folder)
        if pieces > MAX_PIECES:
            return f"more than {MAX_PIECES:,} tags"
        for tag in tiff_tags(data, folder):
            if tag.kind not in _TIFF_NUMBERS or not 0 < tag.byte_count() <= len(data):
                continue  # Pillow also skips a tag that claims more than the file
            numbers += tag.values
            fractions += tag.values if tag.kind in _TIFF_FRACTIONS else 0
            if tag.number in TIFF_FOLDERS:
                folders.append(tiff_value(data, tag))
        if numbers > MAX_TIFF_NUMBERS:
            return f"more than {MAX_TIFF_NUMBERS:,} numbers in its tags"
        if fractions > MAX_TIFF_FRACTIONS:
            return f"more than {MAX_TIFF_FRACTIONS:,} fractions in its tags"
    return None


def _of_tile(data: bytes, max_pixels: int) -> str | None:
    """Of a TIFF's first page."""
    tile: dict[int, int] = {}
    for tag in tiff_tags(data, tiff_first_folder(data)):
        if tag.number in (_TILE_WIDTH, _TILE_HEIGHT):
            tile.setdefault(tag.number, tiff_value(data, tag))  # of two tags with the same number, the first counts
    if len(tile) == 2 and tile[_TILE_WIDTH] * tile[_TILE_HEIGHT] > max_pixels:
        return f"a tile of {tile[_TILE_WIDTH]}x{tile[_TILE_HEIGHT]} pixels"
    return None


def _of_ppm(data: bytes) -> str | None:
    if len(data) > MAX_FILLER_BYTES and not PPM_HEADER.match(data[:MAX_FILLER_BYTES]):
        return f"more than {MAX_FILLER_BYTES:,} bytes of header"
    if data[1] in b"123" and data.count(b"#") > MAX_PPM_COMMENTS:
        return f"more than {MAX_PPM_COMMENTS:,} comments"
    return None
