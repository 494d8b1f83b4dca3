"""The table of items in a HEIF file: images, their sizes, and what each is made of. Nothing is decoded.

Source: ISO/IEC 14496-12 (boxes) and 23008-12 (items).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import error as StructError
from struct import unpack_from
from typing import NamedTuple

from gmixer.errors import ImageError
from gmixer.images.boxes import Box, boxes, check_count

_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


class Size(NamedTuple):
    """In pixels, before the file's own rotation."""

    width: int
    height: int


class Items(NamedTuple):
    """The images of a file, by the numbers of their items. primary: the image that is decoded.

    parts: the tiles or layers that an image is made of, and its alpha channel.
    places: where the bytes of an item lie in the file, as (start, end).
    length_bytes: of the number before each piece of an image in HEVC.
    described: the boxes that link an image to its metadata.
    """

    primary: int
    kinds: dict[int, bytes]
    sizes: dict[int, Size]
    parts: dict[int, list[int]]
    places: dict[int, list[tuple[int, int]]]
    length_bytes: dict[int, int]
    described: list[Box]


def read_items(data: bytes, *, source: str) -> Items:
    """Raises ImageError "corrupt" and "unsupported"; "too_large" for very many items."""
    try:
        top = list(boxes(data, 0, len(data), source=source))
        tables = [box for box in top if box.kind == b"meta"]
        if not tables and any(box.kind == b"moov" for box in top):
            reason = "is a HEIF sequence without a still image, which pillow-heif does not read: save one as an image"
            raise ImageError("unsupported", reason, source)
        (table,) = tables
        items = _Reader(data, source).read(table)
        items.sizes[items.primary]  # must be there
    except (IndexError, KeyError, ValueError, StructError):
        raise ImageError("corrupt", "its table of images is cut short or damaged: save it again", source) from None
    return items


class _Reader:
    """Reads the boxes of a file's table. Raises IndexError, KeyError, ValueError or StructError if they are damaged."""

    def __init__(self, data: bytes, source: str) -> None:
        self._data, self._source = data, source
        self._items = Items(0, {}, {}, {}, {}, {}, [])
        # A size, the name of an auxiliary image, the length_bytes of HEVC, or another one.
        self._properties: list[Size | bytes | int | None] = []
        self._auxiliary: dict[int, bytes] = {}
        self._linked = self._at = 0

    def read(self, table: Box) -> Items:
        inside = {box.kind: box for box in self._inside(table, skip=4)}
        main = inside[b"pitm"]
        (primary,) = self._numbers(main.body + 4, self._wide(main, from_version=1), 1)
        self._read_kinds(inside[b"iinf"])
        self._read_places(inside[b"iloc"])
        self._read_properties(inside[b"iprp"])
        if b"iref" in inside:
            self._read_links(inside[b"iref"])
        if b"grpl" in inside:
            self._items.described.append(inside[b"grpl"])
        return self._items._replace(primary=primary)

    def _inside(self, box: Box, *, skip: int = 0) -> Iterator[Box]:
        return boxes(self._data, box.body + skip, box.end, source=self._source)

    def _version(self, box: Box) -> int:
        return self._data[box.body]

    def _wide(self, box: Box, *, from_version: int) -> bool:
        """Whether numbers of items have 32 bits instead of 16."""
        return self._version(box) >= from_version

    def _numbers(self, at: int, wide: bool, count: int) -> tuple[int, ...]:
        return unpack_from(f">{count}{'I' if wide else 'H'}", self._data, at)

    def _read_kinds(self, table: Box) -> None:
        for box in self._inside(table, skip=6 if self._version(table) == 0 else 8):
            if box.kind == b"infe" and self._version(box) >= 2:
                wide = self._version(box) > 2
                (item,) = self._numbers(box.body + 4, wide, 1)
                at = box.body + 4 + (4 if wide else 2) + 2
                self._items.kinds[item] = self._data[at : at + 4]

    def _read_places(self, places: Box) -> None:
        version, sizes = self._version(places), self._data[places.body + 4 : places.body + 6]
        offset_bytes, length_bytes, base_bytes = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
        index_bytes = sizes[1] & 15 if version else 0
        self._at = places.body + 6
        pieces = 0
        for _ in range(self._next(4 if version > 1 else 2)):
            item = self._next(4 if version > 1 else 2)
            in_file = (self._next(2) & 15 if version else 0) == 0
            self._next(2)  # another file, which no decoder opens
            base, extents = self._next(base_bytes), self._next(2)
            pieces += 1 + extents
            check_count(pieces, "pieces of its items", self._source)
            for _ in range(extents):
                self._next(index_bytes)
                start = base + self._next(offset_bytes)
                end = start + self._next(length_bytes)
                if in_file:
                    self._items.places.setdefault(item, []).append((start, end))

    def _next(self, byte_count: int) -> int:
        """The next number of a box without fixed places."""
        number = self._data[self._at : self._at + byte_count]
        if len(number) < byte_count:
            raise IndexError
        self._at += byte_count
        return int.from_bytes(number, "big")

    def _read_properties(self, properties: Box) -> None:
        of_items = []
        for box in self._inside(properties):
            if box.kind == b"ipco":
                self._properties += map(self._property, self._inside(box))
            elif box.kind == b"ipma":
                of_items.append(box)
        for box in of_items:
            self._read_owners(box)

    def _property(self, box: Box) -> Size | bytes | int | None:
        match box.kind:
            case b"ispe":
                return Size(*self._numbers(box.body + 4, True, 2))
            case b"auxC":
                return self._data[box.body + 4 : box.end].partition(b"\0")[0]
            case b"hvcC":
                return 1 + (self._data[box.body + 21] & 3)
        return None

    def _read_owners(self, owners: Box) -> None:
        wide_item, wide_index = self._wide(owners, from_version=1), self._data[owners.body + 3] & 1
        (count,) = self._numbers(owners.body + 4, True, 1)
        check_count(count, "items", self._source)
        at = owners.body + 8
        for _ in range(count):
            (item,) = self._numbers(at, wide_item, 1)
            at += 4 if wide_item else 2
            mask, width = (0x7FFF, 2) if wide_index else (0x7F, 1)
            first, at = at + 1, at + 1 + width * self._data[at]
            for place in range(first, at, width):
                index = int.from_bytes(self._data[place : place + width], "big") & mask
                match self._properties[index - 1] if index else None:
                    case Size() as size:
                        self._items.sizes[item] = size
                    case bytes() as name:
                        self._auxiliary[item] = name
                    case int() as length_bytes:
                        self._items.length_bytes[item] = length_bytes

    def _read_links(self, links: Box) -> None:
        wide = self._wide(links, from_version=1)
        bytes_each = 4 if wide else 2
        for box in self._inside(links, skip=4):
            if box.kind == b"cdsc":
                self._items.described.append(box)
            (item,) = self._numbers(box.body, wide, 1)
            (count,) = self._numbers(box.body + bytes_each, False, 1)
            self._linked += count
            check_count(self._linked, "links between items", self._source)
            others = self._numbers(box.body + bytes_each + 2, wide, count)
            if box.kind == b"dimg":
                self._items.parts.setdefault(item, []).extend(others)
            elif box.kind == b"auxl" and self._auxiliary.get(item) in _ALPHA:
                for other in others:
                    self._items.parts.setdefault(other, []).append(item)
