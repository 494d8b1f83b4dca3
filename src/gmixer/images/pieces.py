"""The pieces that a file is made of: a JPEG's segments, a PNG's chunks, a TIFF's tags. Nothing is decoded here.

A walk ends where the file ends or is malformed: the decoder will say so. Who walks says how many pieces are enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import error as StructError
from struct import unpack_from
from typing import NamedTuple

SOS, EOI, COM = 0xDA, 0xD9, 0xFE
APP0, APP1, APP2, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
STANDALONE = {0x01, *range(0xD0, 0xDA)}  # JPEG markers without a length: TEM, RST0…7, SOI, EOI
_MARKER = re.compile(rb"\xff([^\x00\xff])")

# Bytes of one value of a TIFF's tag, by its type. Types 1, 2, 6 and 7 are bytes and text.
TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment, up to the header of the first scan. Bytes may lie between two segments."""
    at, last = 2, len(data) - 1
    while at < last:
        start, marker = at, data[at + 1]
        if data[at] == 0xFF and 0 < marker < 0xFF:  # nearly always, and faster than a search
            at += 2
        elif found := _MARKER.search(data, at):
            start, at, marker = found.start(), found.end(), found[1][0]
        else:
            return
        if marker not in STANDALONE:
            if at >= last:
                return
            at += max(2, data[at] << 8 | data[at + 1])
        yield marker, start, at
        if marker == SOS:
            return


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of each chunk up to IEND."""
    at, name = 8, b""
    try:
        while name != b"IEND":
            length, name = unpack_from(">I4s", data, at)
            yield name, at, at + 12 + length
            at += 12 + length
    except StructError:
        return


class TiffTag(NamedTuple):
    """An entry of a TIFF's folder of tags."""

    at: int  # where the entry is
    number: int
    kind: int  # its type, a key of TIFF_SIZES
    values: int  # how many
    start: int  # where its values are: in the entry, or elsewhere in the file

    def byte_count(self) -> int:
        """0 for an unknown type, which Pillow and libtiff ignore."""
        return TIFF_SIZES.get(self.kind, 0) * self.values


def tiff_number(data: bytes, at: int, size: int) -> int:
    """A number of a TIFF; 0 after the end of the file."""
    return int.from_bytes(data[at : at + size], "little" if data[:2] == b"II" else "big")


def tiff_first_folder(data: bytes) -> int:
    """Where the tags of the first page are."""
    return tiff_number(data, 8, 8) if _is_big(data) else tiff_number(data, 4, 4)


def tiff_tag_count(data: bytes, folder: int) -> int:
    """As the folder states it."""
    return tiff_number(data, folder, 8 if _is_big(data) else 2)


def tiff_tags(data: bytes, folder: int) -> Iterator[TiffTag]:
    """The tags of one folder, in the order of the file."""
    inline, first = (8, folder + 8) if _is_big(data) else (4, folder + 2)
    entry = 4 + 2 * inline
    for at in range(first, min(first + tiff_tag_count(data, folder) * entry, len(data)), entry):
        number, kind = tiff_number(data, at, 2), tiff_number(data, at + 2, 2)
        tag = TiffTag(at, number, kind, tiff_number(data, at + 4, inline), at + 4 + inline)
        yield tag if tag.byte_count() <= inline else tag._replace(start=tiff_number(data, tag.start, inline))


def tiff_value(data: bytes, tag: TiffTag) -> int:
    """The tag's first value, as a whole number."""
    return tiff_number(data, tag.start, TIFF_SIZES.get(tag.kind, 0))


def _is_big(data: bytes) -> bool:
    return 43 in data[2:4]
