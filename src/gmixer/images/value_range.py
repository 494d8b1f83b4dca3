"""Values of more than 8 bits → 8 bits, by the range that they have.

Without numpy: a decoding process imports it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, cast

from PIL import Image

from gmixer.images.stated_range import StatedRange

_LITTLE = 0.25  # of a range; 14 bits in 16 use a quarter of it
_MAX_STRAY = 0.01  # guessed: so many pixels may lie beyond a stated range, such as hot pixels of a camera
_LEVELS = 65536


class Range(NamedTuple):
    """low becomes black, high becomes white."""

    low: float
    high: float

    @property
    def span(self) -> float:
        return self.high - self.low

    def __str__(self) -> str:
        return " to ".join(f"{bound:,.0f}" if bound == bound // 1 else f"{bound:g}" for bound in self)


SIXTEEN_BITS, TWELVE_BITS = Range(0, 65535), Range(0, 4095)


class Eighths(NamedTuple):
    """channels: in mode L. by: the range that became 0…255. by_file: the file states it. note: on it, or None."""

    channels: list[Image.Image]
    by: Range
    by_file: bool
    note: str | None


def in_8_bits(
    channels: Sequence[Image.Image], *, known: Range | None, stated: StatedRange | None, use_range: bool
) -> Eighths | None:
    """The channels of one image, each in mode I, I;16 or F → the same in mode L, all by one range.

    None where no range is known.

    known: the range of their type; None: it has none. stated: counts before it. use_range: where the file states none,
    the values that occur are the range.
    """
    used = _used(channels)
    by_file = _bounded(stated, known) if stated else None
    doubt = None
    if stated and by_file and not _holds(channels, used, by_file, stated):
        if not stated.unless_scaled:
            doubt = f"its {stated.source} ({by_file}) does not fit its values ({used}), so it is ignored"
        by_file = None
    by_values = used if use_range and 0 < used.span < math.inf else None
    if use_range and known is None and used.span == 0:
        by_values = Range(used.low, used.low + 1)  # one value, which becomes black
    chosen = by_file or by_values or known
    if chosen is None:
        return None
    scaled = [_scaled(channel, chosen) for channel in channels]
    little = _note_on_little(scaled, used, chosen, advice=by_file is None)
    return Eighths(scaled, chosen, by_file is not None, "; ".join(filter(None, [doubt, little])) or None)


def alpha_in_8_bits(alpha: Image.Image, colours: Eighths) -> Image.Image | None:
    """An alpha channel of 16 bits → in mode L, where it has as few bits as its colours; otherwise None."""
    highest = cast("int", alpha.getextrema()[1])
    if colours.by_file:
        most = opaque = colours.by.high
    else:
        most, opaque = _LITTLE * SIXTEEN_BITS.high, highest
    if not 0 < highest <= most or colours.by.high > most:
        return None
    return _scaled(alpha, Range(0, opaque))


def _used(channels: Sequence[Image.Image]) -> Range:
    bounds = [cast("tuple[float, float]", channel.getextrema()) for channel in channels]
    return Range(min(low for low, _ in bounds), max(high for _, high in bounds))


def _bounded(stated: StatedRange, known: Range | None) -> Range | None:
    """Both bounds; the known one in place of one that is not stated. None where this says nothing new."""
    low = stated.low if stated.low is not None else known.low if known else 0
    high = stated.high if stated.high is not None else known.high if known else low
    by_file = Range(low, high)
    return by_file if 0 < by_file.span < math.inf and by_file != known else None


def _holds(channels: Sequence[Image.Image], used: Range, by_file: Range, stated: StatedRange) -> bool:
    """Whether the values can have the stated range."""
    if stated.unless_scaled:
        reaches_it = by_file.high / 2 < used.high <= by_file.high  # hardly by chance
        return reaches_it or (used.high < by_file.high and any(_has_lower_bits(c, by_file) for c in channels))
    if stated.clips:
        return not _is_flat([_scaled(channel, by_file) for channel in channels]) or not used.span > 1
    if by_file.low <= used.low and used.high <= by_file.high:
        return True
    inner = Range(by_file.low - by_file.span / 253, by_file.high + by_file.span / 253)  # becomes 1 … 254
    stray = sum(histogram[0] + histogram[255] for histogram in (_scaled(c, inner).histogram() for c in channels))
    return stray <= _MAX_STRAY * sum(channel.width * channel.height for channel in channels)


def _has_lower_bits(channel: Image.Image, by_file: Range) -> bool:
    """Whether a value cannot be one of fewer bits that was scaled up to 16, since its lower bits are not 0.

    Scaling repeats the upper bits in the lower ones. As the upper bits are 0 here, so would the lower bits be.
    """
    step = (SIXTEEN_BITS.high + 1) // (by_file.high + 1)
    lower = _in_mode("I", channel).point([255 if value % step else 0 for value in range(_LEVELS)], "L")
    return lower.getbbox() is not None


def _scaled(channel: Image.Image, by: Range) -> Image.Image:
    """In mode L, rounded; a value beyond the range is black or white."""
    low, high = cast("tuple[float, float]", channel.getextrema())
    if channel.mode != "F" and low >= 0 and high < _LEVELS:
        return _in_mode("I", channel).point(_levels(by), "L")
    factor = 255 / by.span
    offset = 0.5 - by.low * factor  # Pillow cuts the fraction off
    return _in_mode("F", channel).point(lambda value: value * factor + offset).convert("L")


def _in_mode(mode: str, channel: Image.Image) -> Image.Image:
    return channel if channel.mode == mode else channel.convert(mode)  # which would copy it: up to 356 MB


@lru_cache(maxsize=4)  # the images of a data set often have one range
def _levels(by: Range) -> list[int]:
    """The level, 0…255, of each value of 16 bits."""
    whole = all(bound == round(bound) for bound in by)
    low, span = (round(by.low), round(by.span)) if whole else by
    return [min(255, max(0, int((510 * (value - low) + span) // (2 * span)))) for value in range(_LEVELS)]


def _note_on_little(scaled: Sequence[Image.Image], used: Range, chosen: Range, *, advice: bool) -> str | None:
    share = used.span / chosen.span
    if not 0 < share <= _LITTLE:  # 0: all values are the same, and no range would change this
        return None
    note = f"its values, {used}, use {_percent(share)} of the range {chosen}"
    if _is_flat(scaled):
        note += ", so it is one flat colour"
    return f"{note}; --range used (range='used') spreads them over all of it" if advice else note


def note_on_upper_bytes(channels: Sequence[Image.Image]) -> str | None:
    """The same note for colour with 16 bits, of which Pillow keeps the upper 8; each channel is in mode L."""
    upper = _used(channels)
    used = Range(upper.low * 256, upper.high * 256 + 255)
    return _note_on_little(channels, used, SIXTEEN_BITS, advice=True)


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %") if share >= 0.005 else "less than 1 %"


def _is_flat(scaled: Sequence[Image.Image]) -> bool:
    return all(high - low <= 1 for low, high in (cast("tuple[int, int]", c.getextrema()) for c in scaled))
