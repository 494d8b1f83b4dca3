"""HEIC and JPEG XL files, written by the packages that read them; and boxes and headers made by hand.

The import of pillow_jxl makes Pillow open JPEG XL. This is undone here: tests must not see another Pillow than users.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image
from pillow_jxl.JpegXLImagePlugin import JXLImageFile

Image.ID.remove("JXL")
Image.OPEN.pop("JXL")


def exif_of(orientation: int) -> bytes:
    """A TIFF with this orientation alone."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes().removeprefix(b"Exif\0\0")


# --- HEIF -----------------------------------------------------------------------------------------------------------


def heic(image: Image.Image, *others: Image.Image, orientation: int = 1, **options: Any) -> bytes:
    """The image and others. orientation: in EXIF, and as the file's own rotation; pillow-heif writes both."""
    file, out = pillow_heif.HeifFile(), BytesIO()
    for one in (image, *others):
        mode = "I;16L" if one.mode == "I;16" else one.mode
        file.add_frombytes(mode, one.size, one.tobytes())
    if orientation != 1:
        options["exif"] = b"Exif\0\0" + exif_of(orientation)
    file.save(out, **options)
    return out.getvalue()


def deep_heic(mode: str, pixels: NDArray[np.uint16], bits: int) -> bytes:
    """mode: RGB;16, RGBA;16 or I;16L. pixels: (H, W) or (H, W, C). bits: 10 or 12, of each value in the file."""
    file, out = pillow_heif.HeifFile(), BytesIO()
    file.add_frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())
    file.save(out, bit_depth=bits, quality=-1, chroma=444)
    return out.getvalue()


def opened_heic(data: bytes) -> Image.Image:
    """As pillow-heif opens it."""
    image: Image.Image = pillow_heif.HeifImageFile(BytesIO(data), "")
    return image


# --- JPEG XL --------------------------------------------------------------------------------------------------------


def jxl(image: Image.Image, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, "JXL", **{"effort": 1, "num_threads": 1} | options)
    return out.getvalue()


def opened_jxl(data: bytes) -> Image.Image:
    """As pillow-jxl-plugin opens it."""
    image: Image.Image = JXLImageFile(BytesIO(data), "")
    return image


def jxl_header(*fields: tuple[int, int]) -> bytes:
    """A codestream of nothing but these fields: (value, bits)."""
    number = at = 0
    for value, bits in fields:
        number |= value << at
        at += bits
    return b"\xff\x0a" + number.to_bytes((at + 7) // 8, "little") + bytes(4)


# --- boxes ----------------------------------------------------------------------------------------------------------


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def boxed_jxl(*boxes: bytes) -> bytes:
    return b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ") + b"".join(boxes)


def boxes_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """(kind, content) of each box of a file that pillow-jxl-plugin has written."""
    found, at = list[tuple[bytes, bytes]](), 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + size if size else len(data)
        found.append((kind, data[at + 8 : end]))
        at = end
    return found


class Item:
    """An image of a HEIF made by hand, without pixels. kind: hvc1, grid …. links: (kind of link, numbers)."""

    def __init__(
        self, kind: bytes, width: int, height: int, links: Iterable[tuple[bytes, list[int]]] = (), aux: bytes = b""
    ) -> None:
        self.kind, self.size, self.links, self.aux = kind, (width, height), list(links), aux


def handmade_heif(*items: Item, more: bytes = b"", primary: int = 1) -> bytes:
    """Items 1, 2, …: their table alone. more: boxes in the table."""
    kinds, owners, links = [], [], []
    properties = list[bytes]()
    for number, item in enumerate(items, 1):
        kinds.append(box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), item.kind, b"\0"))
        own = [box(b"ispe", bytes(4), struct.pack(">II", *item.size))]
        own += [box(b"auxC", bytes(4), item.aux, b"\0")] if item.aux else []
        properties += [one for one in own if one not in properties]
        owned = [1 + properties.index(one) for one in own]
        owners.append(struct.pack(">HB", number, len(owned)) + bytes(owned))
        for kind, others in item.links:
            links.append(box(kind, struct.pack(f">HH{len(others)}H", number, len(others), *others)))
    return box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(
        b"meta",
        bytes(4),
        box(b"hdlr", bytes(8), b"pict", bytes(13)),
        box(b"pitm", bytes(4), struct.pack(">H", primary)),
        box(b"iloc", bytes(4), b"\x44\0\0\0"),
        box(b"iinf", bytes(4), struct.pack(">H", len(items)), *kinds),
        box(
            b"iprp",
            box(b"ipco", *properties),
            box(b"ipma", bytes(4), struct.pack(">I", len(items)), *owners),
        ),
        box(b"iref", bytes(4), *links),
        more,
    )
