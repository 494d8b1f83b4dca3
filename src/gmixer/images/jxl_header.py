"""What the header of a JPEG XL says: its size, its orientation, and what a decoder may misread. Nothing is decoded.

Source: ISO/IEC 18181-1 (the codestream) and 18181-2 (the boxes of a file).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gmixer.errors import ImageError
from gmixer.images.boxes import boxes

MAX_EXTRA_CHANNELS = 16  # guessed: alpha, depth and a few inks; each takes as much memory as a colour

_CODESTREAM = b"\xff\n"
_MAX_HEADER_BYTES = 2**15  # of the codestream; a channel takes 1,100 bytes at most, with its name

_SIZE = ((1, 9), (1, 13), (1, 18), (1, 30))  # a choice of (least value, bits that are added to it)
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # width : height
_ALPHA, _SPOT_COLOUR, _BLACK, _COLOUR_FILTER = 0, 2, 4, 5  # kinds of an extra channel


class Header(NamedTuple):
    """width, height: of the image as stored, in pixels. orientation: 1…8 as EXIF counts; the decoder applies it.

    extra_channels: their number besides the colours; animated, premultiplied (its alpha), cmyk: whether it is so.
    """

    width: int
    height: int
    orientation: int
    animated: bool
    extra_channels: int
    premultiplied: bool
    cmyk: bool


def read_header(data: bytes, *, source: str) -> Header:
    """Of a whole file, with boxes or without. Raises ImageError "corrupt", and "too_large" for very many boxes."""
    try:
        return _header(b"".join(_codestream(data, source)))
    except IndexError:
        raise ImageError("corrupt", "its JPEG XL header is cut short or damaged: save it again", source) from None


def _codestream(data: bytes, source: str) -> Iterator[bytes]:
    """The pieces of the codestream, as far as a header may reach."""
    if data.startswith(_CODESTREAM):
        yield data[:_MAX_HEADER_BYTES]
        return
    left = _MAX_HEADER_BYTES
    for box in boxes(data, 0, len(data), source=source):
        if box.kind in (b"jxlc", b"jxlp") and left > 0:
            piece = data[box.body + (4 if box.kind == b"jxlp" else 0) : box.end][:left]  # 4 bytes number a piece
            left -= len(piece)
            yield piece


class _Bits:
    """Bits from the lowest of the first byte on. Raises IndexError past the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, bits: int) -> int:
        first, last = self._at // 8, (self._at + bits + 7) // 8
        if last > len(self._data):
            raise IndexError
        shifted = int.from_bytes(self._data[first:last], "little") >> self._at % 8
        self._at += bits
        return shifted & ((1 << bits) - 1)

    def flag(self) -> bool:
        return self.number(1) == 1

    def choice(self, *forms: tuple[int, int]) -> int:
        """Two bits choose one of four forms: the least value, and how many bits are added to it."""
        least, bits = forms[self.number(2)]
        return least + self.number(bits)


def _header(codestream: bytes) -> Header:
    if not codestream.startswith(_CODESTREAM):
        raise IndexError
    bits = _Bits(codestream[len(_CODESTREAM) :])
    width, height = _size(bits)
    orientation, animated, kinds = 1, False, list[tuple[int, bool]]()
    if not bits.flag():  # all values are the usual ones
        if bits.flag():
            orientation = 1 + bits.number(3)
            if bits.flag():  # a size for display
                _size(bits)
            if bits.flag():
                _skip_preview(bits)
            animated = bits.flag()
            if animated:
                _skip_animation(bits)
        _skip_sample_form(bits)
        bits.flag()  # whether 16 bits are enough between two steps
        extra = bits.choice((0, 0), (1, 0), (2, 4), (1, 12))
        if extra > MAX_EXTRA_CHANNELS:  # refused for their number alone
            return Header(width, height, orientation, animated, extra, premultiplied=False, cmyk=False)
        kinds = [_extra_channel(bits) for _ in range(extra)]
    return Header(
        width,
        height,
        orientation,
        animated,
        len(kinds),
        premultiplied=next((associated for kind, associated in kinds if kind == _ALPHA), False),
        cmyk=any(kind == _BLACK for kind, _ in kinds),
    )


def _size(bits: _Bits) -> tuple[int, int]:
    """(width, height)"""
    in_eights = bits.flag()

    def side() -> int:
        return 8 * (1 + bits.number(5)) if in_eights else bits.choice(*_SIZE)

    height = side()
    ratio = bits.number(3)
    if ratio == 0:
        return side(), height
    wide, high = _RATIOS[ratio]
    return height * wide // high, height


def _skip_preview(bits: _Bits) -> None:
    in_eights = bits.flag()
    forms = ((16, 0), (32, 0), (1, 5), (33, 9)) if in_eights else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choice(*forms)
    if bits.number(3) == 0:
        bits.choice(*forms)


def _skip_animation(bits: _Bits) -> None:
    bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))  # ticks per second
    bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))  # divided by
    bits.choice((0, 0), (0, 3), (0, 16), (0, 32))  # repetitions
    bits.flag()  # time codes


def _skip_sample_form(bits: _Bits) -> None:
    if bits.flag():  # floating point
        bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        bits.number(4)
    else:
        bits.choice((8, 0), (10, 0), (12, 0), (1, 6))


def _extra_channel(bits: _Bits) -> tuple[int, bool]:
    """(kind, whether it is alpha by which the colours are multiplied)"""
    if bits.flag():  # the usual one
        return _ALPHA, False
    kind = bits.choice((0, 0), (1, 0), (2, 4), (18, 6))
    _skip_sample_form(bits)
    bits.choice((0, 0), (3, 0), (4, 0), (1, 3))  # how much smaller it is
    for _ in range(bits.choice((0, 0), (0, 4), (16, 5), (48, 10))):  # its name
        bits.number(8)
    if kind == _SPOT_COLOUR:
        bits.number(64)
    if kind == _COLOUR_FILTER:
        bits.choice((1, 0), (0, 2), (3, 4), (19, 8))
    return kind, kind == _ALPHA and bits.flag()
