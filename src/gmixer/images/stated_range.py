"""The range of values that a file states: cameras and scanners store 10, 12 or 14 bits in 16.

Sources: TIFF 6.0 (MinSampleValue, MaxSampleValue, SMinSampleValue, SMaxSampleValue), ImageJ's FileSaver
("min=", "max=" in the description), OME-XML (SignificantBits), PNG 11.3.2.7 (sBIT).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from struct import error as StructError
from struct import unpack_from
from typing import Any, NamedTuple

from PIL import Image

_PHOTOMETRIC, _DESCRIPTION, _RGB = 262, 270, 2
_MIN_TAGS = {340: "SMinSampleValue", 280: "MinSampleValue"}  # the signed one first: it has the type of the values
_MAX_TAGS = {341: "SMaxSampleValue", 281: "MaxSampleValue"}
_IMAGEJ_BOUND = re.compile(r"^(min|max)=([-+.\deE]{1,40})\s*$", re.MULTILINE)
_OME_BITS = re.compile(r'\bSignificantBits="(\d{1,3})"')
_MAX_CHUNKS = 1_000  # guessed: sBIT stands before the palette and the pixels


class StatedRange(NamedTuple):
    """low is black, high is white. None: the bound is not stated.

    source: where the file says it, for notes.
    clips: values beyond it are expected, as of a display range. Otherwise they show that the statement is wrong.
    unless_scaled: the values may be scaled up to 16 bits already, and then they have the whole range.
    """

    low: float | None
    high: float | None
    source: str
    clips: bool = False
    unless_scaled: bool = False

    def within(self, least: float, most: float) -> StatedRange:
        """Without the part that no value of the type can have."""
        low, high = (None if bound is None else min(max(bound, least), most) for bound in (self.low, self.high))
        return self._replace(low=low, high=high)


def stated_by_tiff(image: Image.Image) -> StatedRange | None:
    """By the tags of a TIFF, opened or decoded; None for every other image, and for a statement that means nothing."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return None
    low, high = (_of_tags(tags, names) for names in (_MIN_TAGS, _MAX_TAGS))
    if low or high:
        source = " and ".join(bound[0] for bound in (low, high) if bound)
        return _if_sound(StatedRange(low and low[1], high and high[1], source))
    text = _value(tags, _DESCRIPTION)
    if not isinstance(text, str):
        return None
    if text.startswith("ImageJ="):
        bounds = {name: number for name, value in _IMAGEJ_BOUND.findall(text) if (number := _number(value)) is not None}
        return _if_sound(StatedRange(bounds.get("min"), bounds.get("max"), "display range of ImageJ", clips=True))
    if "openmicroscopy.org" in text and (bits := _OME_BITS.search(text)):
        return _of_bits(int(bits[1]), "SignificantBits")
    return None


def stated_by_png(data: bytes) -> StatedRange | None:
    """By the chunk sBIT of a PNG with 16 bits.

    PNG wants values of fewer bits scaled up to 16. Some programs store them as they are, and only those need a range.
    """
    at = 8
    try:
        for _ in range(_MAX_CHUNKS):
            length, name = unpack_from(">I4s", data, at)
            if name == b"sBIT" and 1 <= length <= 4:
                colours = 3 if length > 2 else 1  # the last byte of 2 and of 4 is the alpha's
                return _of_bits(max(data[at + 8 : at + 8 + colours]), "sBIT", unless_scaled=True)
            if name in (b"PLTE", b"IDAT", b"IEND"):
                return None
            at += 12 + length
    except (StructError, ValueError):  # the end of the file
        pass
    return None


def _of_bits(bits: int, source: str, *, unless_scaled: bool = False) -> StatedRange | None:
    return StatedRange(None, 2**bits - 1, source, unless_scaled=unless_scaled) if 0 < bits < 16 else None


def _of_tags(tags: Any, names: dict[int, str]) -> tuple[str, float] | None:
    """The first of these tags that holds numbers: of several, one a channel, the outermost, without the alpha's."""
    colours = 3 if tags.get(_PHOTOMETRIC) == _RGB else 1
    for tag, name in names.items():
        outermost = max if name.endswith("MaxSampleValue") else min
        if numbers := list(_numbers(_value(tags, tag)))[:colours]:
            return name, outermost(numbers)
    return None


def _value(tags: Any, tag: int) -> Any:
    """None for a tag that is not there, or that Pillow cannot read: it must not cost the image."""
    try:
        return tags.get(tag)
    except Exception:  # Pillow reads a tag when it is first asked for
        return None


def _numbers(value: Any) -> Iterator[float]:
    """One number, or one a channel; also of the type BYTE, which Pillow returns as bytes."""
    for each in value if isinstance(value, tuple | bytes) else (value,):
        number = _number(each)
        if number is not None:
            yield number


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):  # also a fraction n/0
        return None
    return number if math.isfinite(number) else None


def _if_sound(stated: StatedRange) -> StatedRange | None:
    if stated.low is None and stated.high is None:
        return None
    if stated.low is not None and stated.high is not None and stated.low >= stated.high:
        return None
    return stated
