"""HEIF (HEIC) by pillow-heif, after a look at its items for what the decoder would have to do.

libheif decodes all tiles and layers of an image, and pillow-heif reads all metadata of all images when it opens the
file. So a small file could take hours or gigabytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO

from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.extras import package_works
from gmixer.images.heif_items import Items, Size

# An image of tiles counts twice, as a whole and in tiles; so does its alpha.
MAX_DECODED_IMAGES = 4
_MAX_DEPTH = 8  # of images made of images; 2 is usual

_DECODED = {b"hvc1", b"hev1", b"grid", b"iden", b"tmap", b"mski"}
_OTHER = {b"av01": "AV1", b"avc1": "H.264", b"j2k1": "JPEG 2000", b"jpeg": "a JPEG", b"unci": "raw pixels"}
_OTHER |= {b"vvc1": "VVC", b"iovl": "several images over each other"}


def check_items(data: bytes, items: Items, *, source: str, max_pixels: int) -> None:
    """Raises ImageError "too_large", "unsupported" and "corrupt" for what the primary image is made of."""
    decoded = dict[int, int]()
    pixels = _decoded_pixels(items, items.primary, decoded, source, depth=0)
    if pixels > MAX_DECODED_IMAGES * max_pixels:
        reason = f"is made of tiles or layers of {pixels:,} pixels in all; the limit is {MAX_DECODED_IMAGES} times"
        raise ImageError("too_large", f"{reason} Limits.max_pixels (--max-pixels): save it again", source)
    if any(_is_missing(data, items, item) for item in decoded):
        raise ImageError("corrupt", "is cut short: a part of its image is missing", source)


def open_heif(data: bytes, items: Items, *, source: str) -> Image.Image:
    """The primary image, not yet decoded. libheif turns it, as the file's own rotation says, and EXIF does not.

    Raises ImageError "unsupported", and the exceptions of pillow-heif.
    """
    with package_works("HEIF", source=source):
        opened: Image.Image = import_module("pillow_heif").HeifImageFile(BytesIO(_without_metadata(data, items)), "")
    return opened


@contextmanager
def limits_named(source: str) -> Iterator[None]:
    """Around opening and decoding: what a limit of libheif refuses becomes ImageError "too_large".

    Its failure to get memory becomes MemoryError.
    """
    try:
        yield
    except Exception as error:
        _, limit, exceeded = str(error).partition("Security limit exceeded: ")
        if re.search(r"Allocating \d+ bytes failed", str(error)):
            raise MemoryError from error
        if not limit:
            raise
        what = " ".join(exceeded.split())[:150].rstrip(".")
        raise ImageError("too_large", f"is beyond a limit of libheif ({what}): save it again", source) from error


def _without_metadata(data: bytes, items: Items) -> bytes:
    """EXIF, texts and groups are still in the file, but no image refers to them. So EXIF does not turn the image."""
    if not items.described:
        return data
    hidden = bytearray(data)
    for box in items.described:
        hidden[box.start + 4 : box.start + 8] = b"free"
    return bytes(hidden)


def _is_missing(data: bytes, items: Items, item: int) -> bool:
    """Whether the file ends before an item does, or holds zeros in its place, as a copy that failed may.

    libheif makes no error of it: it leaves such a tile empty.
    """
    places = items.places.get(item, [])
    if any(end > len(data) for _, end in places):
        return True
    start, length_bytes = places[0][0] if places else 0, items.length_bytes.get(item, 0)
    return bool(places and length_bytes) and not any(data[start : start + length_bytes])


def _decoded_pixels(items: Items, item: int, known: dict[int, int], source: str, *, depth: int) -> int:
    """Of an image with all its parts; a part counts as often as it is used."""
    if item not in known:
        kind = items.kinds.get(item, b"")
        if kind not in _DECODED:
            what = f"is a HEIF that holds {_OTHER.get(kind, 'an unknown format')}"
            reason = f"{what}, which gmixer does not read: save it as HEIC, PNG or JPEG"
            raise ImageError("unsupported", reason, source)
        if depth > _MAX_DEPTH:
            raise ImageError("corrupt", "its images are made of each other: save it again", source)
        size = items.sizes.get(item, Size(0, 0))
        parts = (_decoded_pixels(items, part, known, source, depth=depth + 1) for part in items.parts.get(item, ()))
        known[item] = size.width * size.height + sum(parts)
    return known[item]
