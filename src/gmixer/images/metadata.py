"""Removes metadata from a file before a decoder reads it: texts, profiles, thumbnails, an editor's own data.

A decoder reads all metadata, and its limits and errors for them would cost a sound image: Pillow refuses a PNG with a
text of 1 MiB, and a JPEG with a damaged Photoshop segment. No pixel needs them. What stays is what a pixel needs, and
what may state the orientation: EXIF and XMP.

WebP, GIF and BMP stay as they are: their decoders skip metadata of any size.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from itertools import islice
from struct import pack

from gmixer.images.exif import PREFIX, only_orientation
from gmixer.images.pieces import (
    APP0,
    APP1,
    APP2,
    APP14,
    APP15,
    COM,
    TiffTag,
    jpeg_segments,
    png_chunks,
    tiff_first_folder,
    tiff_tag_count,
    tiff_tags,
    tiff_value,
)
from gmixer.images.structure_limits import MAX_FILLER_BYTES, MAX_PIECES, PPM_HEADER, TIFF_FOLDERS, tiff_excess

Change = tuple[int, int, bytes]  # the start and the end of some bytes, and what stands there instead

MAX_TEXT_BYTES = 2**19  # of a PNG's text with an orientation, unpacked: 262,144 bytes of EXIF, as letters

_NEEDED_SEGMENTS = {  # how the segment begins, and the fewest bytes after its length: libjpeg ignores a shorter one
    APP0: (b"JFIF\0", 14),
    APP1: (b"http://ns.adobe.com/xap/1.0/\0", 0),
    APP2: (b"MPF\0", 0),
    APP14: (b"Adobe", 12),
}
_NEEDED_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"sBIT", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"}
_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}
_TEXTS_WITH_ORIENTATION = (b"Raw profile type exif", b"exif", b"XML:com.adobe.xmp")

# fmt: off
_NEEDED_TAGS = {  # size, layout, colours, range and compression of a TIFF's pixels, and its orientation
    256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 280, 281, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332,
    334, 338, 339, 340, 341, 347, *range(512, 522), *range(529, 533), 50674,
}
# fmt: on
_AVIF_HEADER_BYTES = 2**16  # where a file says what items it has
_AVIF_ITEM = re.compile(rb"infe[\2\3](?:.{7}|.{9})(Exif|mime)", re.DOTALL)
_PPM_COMMENT = re.compile(rb"#[^\r\n]*[\r\n]")
_RESOLUTIONS, _XMP = {282, 283}, 700
_FEW_NUMBERS = 1_000
_BYTES, _TEXT, _UNDEFINED = 1, 2, 7  # types of a TIFF's tag


def without_metadata(data: bytes, image_format: str) -> bytes:
    """The file without metadata that no pixel needs; `data` itself where there is nothing to remove.

    A decoder makes the same pixels of it, and finds the same orientation. A file of more than MAX_PIECES pieces may
    keep some: check_pieces refuses it.
    """
    match image_format:
        case "JPEG":
            return _changed(data, _in_jpeg(data))
        case "PNG":
            return _changed(data, _in_png(data))
        case "TIFF":
            return _changed(data, _in_tiff(data))
        case "AVIF":
            return _changed(data, _in_avif(data))
        case "PPM":
            return _changed(data, _in_ppm(data))
    return data


def _changed(data: bytes, changes: Iterable[Change]) -> bytes:
    """Copied once, or not at all."""
    view, parts, at = memoryview(data), list[bytes | memoryview](), 0
    for start, end, instead in changes:
        parts += [view[at:start], instead]
        at = end
    return b"".join([*parts, view[at:]]) if parts else data


def _in_jpeg(data: bytes) -> list[Change]:
    """EXIF becomes one small segment with the orientation alone, where the first segment of EXIF was."""
    changes, exif, first_exif = list[Change](), list[bytes](), 0
    for marker, start, end in islice(jpeg_segments(data), MAX_PIECES):
        if (not APP0 <= marker <= APP15 and marker != COM) or end > len(data):
            continue
        if marker == APP1 and data.startswith(PREFIX, start + 4):
            first_exif = first_exif if exif else len(changes)
            exif.append(data[start + 4 + len(PREFIX) : end])
        elif marker in _NEEDED_SEGMENTS:
            begins, fewest = _NEEDED_SEGMENTS[marker]
            if data.startswith(begins, start + 4) and end - start - 4 >= fewest:
                continue
        changes.append((start, end, b""))
    if exif and (orientation := only_orientation(b"".join(exif))):
        start, end, _ = changes[first_exif]
        body = PREFIX + orientation
        changes[first_exif] = start, end, pack(">BBH", 0xFF, APP1, 2 + len(body)) + body
    return changes


def _in_png(data: bytes) -> list[Change]:
    """A text that may state the orientation becomes a plain one, and is kept once."""
    changes, texts = list[Change](), dict[bytes, bytes]()
    for name, start, end in islice(png_chunks(data), MAX_PIECES):
        if name in _NEEDED_CHUNKS or not name.isalpha() or end > len(data):
            continue
        body, instead = data[start + 8 : end - 4], b""
        if name == b"eXIf" and zlib.crc32(data[start + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big"):
            continue
        if name in _TEXT_CHUNKS:
            key = body[:80].partition(b"\0")[0]
            if key in _TEXTS_WITH_ORIENTATION and key not in texts:
                texts[key] = _text(name, body)
                instead = _chunk(b"tEXt", key + b"\0" + texts[key])
        changes.append((start, end, instead))
    return changes


def _text(name: bytes, body: bytes) -> bytes:
    """The first MAX_TEXT_BYTES of a text chunk's text; b"" if it cannot be unpacked."""
    _, _, text = body.partition(b"\0")
    packed = name == b"zTXt"
    if packed:
        text = text[1:]  # its method, always 0
    elif name == b"iTXt":  # a flag, a method, a language, the key in this language, each of the last two with its end
        packed = text[:1] == b"\1"
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    if not packed:
        return text[:MAX_TEXT_BYTES]
    try:
        return zlib.decompressobj().decompress(text, MAX_TEXT_BYTES)
    except zlib.error:
        return b""


def _chunk(name: bytes, body: bytes) -> bytes:
    return pack(">I", len(body)) + name + body + pack(">I", zlib.crc32(name + body))


def _in_tiff(data: bytes) -> list[Change]:
    """A tag stays in its place, but its type becomes 0, which is unknown: Pillow and libtiff ignore such a tag."""
    folder = tiff_first_folder(data)
    if tiff_tag_count(data, folder) > MAX_PIECES:
        return []
    return [(tag.at + 2, tag.at + 4, b"\0\0") for tag in tiff_tags(data, folder) if _may_harm(data, tag)]


def _may_harm(data: bytes, tag: TiffTag) -> bool:
    """Whether a decoder may fail at the tag or take long. Most metadata do no harm, and removing them costs a copy."""
    if tag.number in _NEEDED_TAGS or not tag.byte_count():
        return False
    if tag.start + tag.byte_count() > len(data):
        return True
    if tag.number == _XMP:
        return tag.kind not in {_BYTES, _UNDEFINED}  # Pillow fails at other types
    if tag.number in _RESOLUTIONS:
        return tag.values != 1 or tag.kind == _TEXT
    if tag.number in TIFF_FOLDERS:
        folder = tiff_value(data, tag)
        return tag.values != 1 or folder > len(data) or tiff_excess(data, folder) is not None
    return tag.values > _FEW_NUMBERS and tag.kind not in {_BYTES, _TEXT, _UNDEFINED}


def _in_avif(data: bytes) -> list[Change]:
    """An item of EXIF or XMP gets an unknown type. The orientation of an AVIF is a property of the image."""
    return [(*item.span(1), b"none") for item in _AVIF_ITEM.finditer(data, 0, _AVIF_HEADER_BYTES)]


def _in_ppm(data: bytes) -> list[Change]:
    """Long comments only: removing them costs a copy."""
    header = PPM_HEADER.match(data)
    if not header or header.end() <= MAX_FILLER_BYTES:
        return []
    return [(*comment.span(), b"") for comment in islice(_PPM_COMMENT.finditer(header[0]), MAX_PIECES)]
