"""Refuses files of very many very small pieces before a decoder reads them one by one.

Limits of bytes and pixels are not enough: 64 MiB of empty JPEG segments, compressed PNG comments or JPEG scans took
Pillow from a minute to a day, or gigabytes. Nothing is decoded here; a usual file takes well under a millisecond. The
limits are far above what real images hold, so they are no settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from struct import error as StructError
from struct import unpack_from

from gmixer.errors import ImageError

# 4 µs and 150 bytes each in Pillow. JPEG: segments, and Photoshop's resources in them; PNG: chunks; TIFF: tags.
MAX_PIECES = 100_000
# libtiff's limit for the JPEGs inside a TIFF; 10 are usual. Each takes up to 20 ms at 89 megapixels, even if empty.
MAX_JPEG_SCANS = 100
MAX_FILLER_BYTES = 2**16  # before a JPEG's pixels and in a PPM's header; Pillow reads them byte by byte
MAX_PPM_COMMENTS = 1_000  # between pixels written as text: Pillow copies up to 1 MiB for each
MAX_EXIF_BYTES = 2**18  # a JPEG segment holds 2**16; each number in it becomes a Python object
MAX_PNG_TEXTS = 256  # compressed texts: 1 KiB in the file may unpack to 1 MiB
MAX_TIFF_NUMBERS = 2**20  # in all tags; each strip or tile needs two
MAX_TIFF_FRACTIONS = 2**16  # in all tags; 14 µs each

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_MARKER_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # restart markers belong to the scan
_SCAN = re.compile(rb"\xff\xda")
_STANDALONE = {0x01, *range(0xD0, 0xDA)}  # markers without a length: TEM, RST0…7, SOI, EOI
_SOS, _EOI, _APP1, _APP13 = 0xDA, 0xD9, 0xE1, 0xED
_PPM_HEADER = re.compile(rb"P(?:[14](?:(?:\s|#[^\r\n]*+[\r\n])*+\d++){2}|[2356](?:(?:\s|#[^\r\n]*+[\r\n])*+\d++){3})\D")
_TIFF_SIZES = {3: 2, 4: 4, 5: 8, 6: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}  # types that become numbers
_TIFF_FRACTIONS = {5, 10}
_TIFF_FOLDERS = {34665, 34853, 40965}  # EXIF, GPS, interoperability
_TILE_WIDTH, _TILE_HEIGHT = 322, 323


def check_pieces(data: bytes, image_format: str, *, source: str, max_pixels: int) -> None:
    """Raises ImageError "too_large" for a file of that format. A file that ends early or is malformed passes.

    max_pixels: of one tile of a TIFF; the decoder holds a whole tile, even for a small image.
    """
    try:
        match image_format:
            case "JPEG":
                excess = _of_jpeg(data)
            case "PNG":
                excess = _of_png(data)
            case "TIFF":
                excess = _of_tiff(data, max_pixels)
            case "PPM":
                excess = _of_ppm(data)
            case _:
                excess = None
    except StructError:  # the end of the file: the decoder will say so
        return
    if excess:
        raise ImageError("too_large", f"holds {excess}, far more than an image needs: save it again", source)


def _of_jpeg(data: bytes) -> str | None:
    at, pieces, filler, exif = 2, 0, 0, 0
    marker = 0
    while marker != _SOS:
        found = _MARKER.search(data, at)
        filler += (found.start() if found else len(data)) - at
        if filler > MAX_FILLER_BYTES:
            return f"more than {MAX_FILLER_BYTES:,} bytes between its segments"
        if not found:
            return None
        at, marker, pieces = found.end(), found[1][0], pieces + 1
        if marker not in _STANDALONE:
            end = at + max(2, unpack_from(">H", data, at)[0])
            if marker == _APP1 and data.startswith(b"Exif\0\0", at + 2):
                exif += end - at
            elif marker == _APP13:
                pieces += data.count(b"8BIM", at, end)
            at = end
        if pieces > MAX_PIECES:
            return f"more than {MAX_PIECES:,} segments"
        if exif > MAX_EXIF_BYTES:
            return f"more than {MAX_EXIF_BYTES:,} bytes of EXIF"
    # The two bytes of a scan's marker also occur by chance in a video after the image: count first, then parse.
    many = any(True for _ in islice(_SCAN.finditer(data, at), MAX_JPEG_SCANS - 1, None))  # in half the time of count()
    return _of_scans(data, at) if many else None


def _of_scans(data: bytes, at: int) -> str | None:
    """at: after the header of the first scan."""
    scans = 1
    for _ in range(MAX_PIECES):
        found = _MARKER_AFTER_SCAN.search(data, at)
        if not found or found[1][0] == _EOI:
            return None
        at = found.end()
        if found[1][0] not in _STANDALONE:
            at += max(2, unpack_from(">H", data, at)[0])
        scans += found[1][0] == _SOS
        if scans > MAX_JPEG_SCANS:
            return f"more than {MAX_JPEG_SCANS} scans"
    return f"more than {MAX_PIECES:,} segments"


def _of_png(data: bytes) -> str | None:
    at, texts = 8, 0
    for _ in range(MAX_PIECES):
        length, name = unpack_from(">I4s", data, at)
        if name == b"IEND":
            return None
        at += 12 + length
        texts += name in {b"iCCP", b"zTXt", b"iTXt"}
        if texts > MAX_PNG_TEXTS:
            return f"more than {MAX_PNG_TEXTS} compressed texts and profiles"
    return f"more than {MAX_PIECES:,} chunks"


def _of_tiff(data: bytes, max_pixels: int) -> str | None:
    """Of the first page, the only one that is decoded, and of its sub-directories."""
    pieces = numbers = fractions = 0
    tile: dict[int, int] = {}
    big = 43 in data[2:4]
    folders, seen = [_number(data, 8, 8) if big else _number(data, 4, 4)], set[int]()
    while folders:
        folder = folders.pop()
        if folder in seen:
            continue
        seen.add(folder)
        tags = _number(data, folder, 8 if big else 2)
        pieces += tags
        if pieces > MAX_PIECES:
            return f"more than {MAX_PIECES:,} tags"
        for tag, kind, count, value in _tags(data, folder, tags, big):
            numbers += count
            fractions += count if kind in _TIFF_FRACTIONS else 0
            if tag in _TIFF_FOLDERS:
                folders.append(value)
            elif tag in (_TILE_WIDTH, _TILE_HEIGHT):
                tile.setdefault(tag, value)  # of two tags with the same number, the first counts
        if numbers > MAX_TIFF_NUMBERS:
            return f"more than {MAX_TIFF_NUMBERS:,} numbers in its tags"
        if fractions > MAX_TIFF_FRACTIONS:
            return f"more than {MAX_TIFF_FRACTIONS:,} fractions in its tags"
    if len(tile) == 2 and tile[_TILE_WIDTH] * tile[_TILE_HEIGHT] > max_pixels:
        return f"a tile of {tile[_TILE_WIDTH]}x{tile[_TILE_HEIGHT]} pixels"
    return None


def _tags(data: bytes, folder: int, tags: int, big: bool) -> Iterator[tuple[int, int, int, int]]:
    """(tag, type, count, its first value as a whole number) of the tags that become numbers."""
    inline = 8 if big else 4
    first = folder + (8 if big else 2)
    for at in range(first, min(first + tags * (4 + 2 * inline), len(data)), 4 + 2 * inline):
        tag, kind, count = _number(data, at, 2), _number(data, at + 2, 2), _number(data, at + 4, inline)
        size = _TIFF_SIZES.get(kind, 0)
        if 0 < size * count <= len(data):  # Pillow also skips a tag that claims more
            at += 4 + inline
            yield tag, kind, count, _number(data, at if size * count <= inline else _number(data, at, inline), size)


def _number(data: bytes, at: int, size: int) -> int:
    """A number of a TIFF; 0 after the end of the file."""
    return int.from_bytes(data[at : at + size], "little" if data[:2] == b"II" else "big")


def _of_ppm(data: bytes) -> str | None:
    if len(data) > MAX_FILLER_BYTES and not _PPM_HEADER.match(data[:MAX_FILLER_BYTES]):
        return f"more than {MAX_FILLER_BYTES:,} bytes of header"
    if data[1] in b"123" and data.count(b"#") > MAX_PPM_COMMENTS:
        return f"more than {MAX_PPM_COMMENTS:,} comments"
    return None
