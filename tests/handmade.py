"""Files that Pillow cannot write, made by hand: PNG and TIFF of every kind, JPEG with other markers."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

from PIL import Image

BYTE, SHORT, LONG, RATIONAL, LONG8 = 1, 3, 4, 5, 16
_LETTERS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}
Tags = dict[int, tuple[int, list[int]]]


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def flat(mode: str, colour: object, size: tuple[int, int] = (16, 16)) -> Image.Image:
    return Image.new(mode, size, colour)  # type: ignore[arg-type]


def chunk(name: bytes, data: bytes = b"") -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: bytes, interlace: int = 0) -> bytes:
    """rows: each with its filter byte. chunks: between header and pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + data + chunk(b"IEND")


def tiff(
    width: int,
    height: int,
    bits: list[int],
    photometric: int,
    data: bytes,
    *,
    order: str = "<",
    big: bool = False,
    tags: Tags | None = None,
) -> bytes:
    """One page, one strip. tags: more of them, or others than these; a count that is not the number of values lies."""
    first: Tags = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, bits),
        259: (SHORT, [1]),
        262: (SHORT, [photometric]),
        273: (LONG, [0]),
        277: (SHORT, [len(bits)]),
        278: (LONG, [height]),
        279: (LONG, [len(data)]),
    }
    every = {**first, **(tags or {})}
    inline, pointer, head = (8, "Q", 16) if big else (4, "I", 8)
    behind = head + (8 if big else 2) + len(every) * (12 + 2 * (inline - 4)) + inline
    values = {
        number: struct.pack(f"{order}{len(those)}{_LETTERS[kind]}", *those) for number, (kind, those) in every.items()
    }
    offset = behind + sum(len(value) for value in values.values() if len(value) > inline)
    if every[273][1] == [0]:
        values[273] = struct.pack(order + _LETTERS[every[273][0]], offset)
    entries, stored = b"", b""
    for number in sorted(every):
        kind, those = every[number]
        count = len(those) // 2 if kind == RATIONAL else len(those)
        value = values[number]
        entries += struct.pack(order + "HH" + pointer, number, kind, count)
        if len(value) > inline:
            entries += struct.pack(order + pointer, behind + len(stored))
            stored += value
        else:
            entries += value.ljust(inline, b"\0")
    start = b"II" if order == "<" else b"MM"
    if big:
        start += struct.pack(order + "HHHQQ", 43, 8, 0, 16, len(every))
    else:
        start += struct.pack(order + "HIH", 42, 8, len(every))
    return start + entries + bytes(inline) + stored + data


def segment(marker: int, data: bytes = b"") -> bytes:
    """Of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def segments(jpeg: bytes) -> list[tuple[int, int, int]]:
    """(marker, start, end) of each segment up to the first scan's, which is the last."""
    found, at = [], 2
    while not found or found[-1][0] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        found.append((jpeg[at + 1], at, end))
        at = end
    return found


def adobe(transform: int) -> bytes:
    """Adobe's marker, APP14: 0 is RGB or CMYK as they are, 1 YCbCr, 2 YCCK."""
    return segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


def with_marker(jpeg: bytes, marker: bytes) -> bytes:
    """The JPEG with that one in the place of JFIF's and Adobe's."""
    taken = [(start, end) for name, start, end in segments(jpeg) if name in (0xE0, 0xEE)]
    for start, end in reversed(taken):
        jpeg = jpeg[:start] + jpeg[end:]
    return jpeg[:2] + marker + jpeg[2:]
