"""A Pillow mode → RGB, 8 bits a channel.

| mode | what it is | becomes |
| --- | --- | --- |
| RGB | colour | itself, bit for bit |
| 1, L | black and white, grey | the same value in all three channels |
| P | palette | the palette's colours |
| RGBX, CMYK, YCbCr, HSV, LAB | other colour spaces | Pillow's conversion; embedded ICC profiles are not used |
| LA, PA, RGBA, La, RGBa | with an alpha channel | laid over white; the colours alone if no pixel is visible |
| any with tRNS (`info["transparency"]`) | one colour, or entries of the palette, are transparent | the same |
| I;16 in any byte order | 16-bit grey | 0…65535 becomes 0…255, rounded; or another range, see below |
| I;16 of a TIFF | 12 bits, or 0 as white: Pillow handles neither | 0…4095 becomes 0…255; inverted |
| I, all values in 0…65535 | 16-bit grey as older Pillow and PPM give it | as I;16 |
| I beyond that, F | no known range | by the range below, or ImageError "unsupported" |
| RGB, RGBA of a file with 16 bits | Pillow's decoders keep the upper 8 bits | these, or by the range below |
| others | not known | ImageError "unsupported" |

Values of more than 8 bits have the range that the file states (stated_range.py), or with use_range the one that they
use. value_range.py scales them. CMYK JPEGs are stored inverted, with Adobe's
marker or without, as browsers assume too; Pillow inverts them while decoding. For users: docs/images.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

from PIL import Image, ImageChops

from gmixer.errors import ImageError
from gmixer.images.opened import Decoded, Opened
from gmixer.images.sixteen_bits import lower_channels, together
from gmixer.images.transparency import HIDDEN, WITH_ALPHA, note_on_few_visible, over_white
from gmixer.images.value_range import (
    SIXTEEN_BITS,
    TWELVE_BITS,
    Range,
    alpha_in_8_bits,
    in_8_bits,
    note_on_upper_bytes,
)

STRIP_PIXELS = 2**22

_PLAIN = {"1", "L", "RGB"}
_BY_PILLOW = _PLAIN | {"P", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"}
_FLAT = 3  # of 255: nobody sees such a difference
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO, _SAMPLE_FORMAT, _UNSIGNED = 258, 262, 0, 339, 1  # TIFF's


def to_rgb(opened: Opened, *, use_range: bool = False, source: str) -> Decoded:
    """A decoded image in mode RGB, by the table above; the same object if it is already RGB.

    use_range: spread values of more than 8 bits over the range that they use (options.Reading).
    Raises ImageError "unsupported" with `source`.
    """
    image = opened.image
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _wide_grey(opened, use_range=use_range, source=source)
    if image.mode not in _BY_PILLOW | WITH_ALPHA:
        raise _unsupported(f"holds pixels of mode {image.mode} of an unknown range", source)
    notes = list[str | None]()
    if opened.sixteen_bits:
        image, note = _wide_colour(opened, use_range=use_range)
        notes.append(note)
    if image.has_transparency_data:
        rgb, note = over_white(image, premultiplied=opened.premultiplied)
        notes.append(note)
    elif image.mode in _PLAIN:
        return Decoded(image if image.mode == "RGB" else image.convert("RGB"), _joined(notes))  # a copy takes 356 MB
    else:
        rgb = image.convert("RGB")
    seen = 0 if image.mode in {"P", "PA"} else _FLAT  # two numbers of a palette are two colours
    if _is_flat(rgb) and (HIDDEN in notes or _spread(image) > seen):
        over = image.has_transparency_data and HIDDEN not in notes
        notes.append(f"it is one flat colour{' over white' if over else ''}")
    elif image.has_transparency_data and HIDDEN not in notes:
        notes.append(note_on_few_visible(image))
    return Decoded(rgb, _joined(notes))


def in_channels(rgb: Image.Image, channels: int) -> Image.Image:
    """An image in mode RGB, or for 1 channel its grey, by Pillow's weights. An image that was grey keeps its values."""
    return rgb if channels == 3 else rgb.convert("L")


def strips(image: Image.Image) -> Iterator[Image.Image]:
    """The image from top to bottom, in strips of at most STRIP_PIXELS, but at least one row.

    Pillow copies twice what it exports at once: 534 MB for the most pixels that Limits allows by default.
    """
    rows = max(1, STRIP_PIXELS // image.width)
    if rows >= image.height:
        yield image
        return
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _wide_grey(opened: Opened, *, use_range: bool, source: str) -> Decoded:
    """One channel of 12, 16 or 32 bits."""
    image, tags = opened.image, getattr(opened.image, "tag_v2", {})
    transparent = image.info.get("transparency")
    wide = image if image.mode == "F" else image.convert("I")  # from any byte order
    low, high = cast("tuple[float, float]", wide.getextrema())
    if low < 0 and tags.get(_BITS_PER_SAMPLE) == (32,) and tags.get(_SAMPLE_FORMAT, (1,))[0] == _UNSIGNED:
        wide = _without_sign(wide)
        low, high = cast("tuple[float, float]", wide.getextrema())
    known: Range | None = TWELVE_BITS if tags.get(_BITS_PER_SAMPLE) == (12,) else SIXTEEN_BITS
    if wide.mode == "F" or low < 0 or high > SIXTEEN_BITS.high:
        known = None
    stated = opened.stated
    if stated and known and image.mode.startswith("I;16"):
        stated = stated.within(*known)
    eighths = in_8_bits([wide], known=known, stated=stated, use_range=use_range)
    if eighths is None:
        raise _no_white(image.mode, Range(low, high), source)
    (grey,), _, _, note = eighths
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = ImageChops.invert(grey)
    if transparent == low == high:
        note = _joined([HIDDEN, note])
    elif isinstance(transparent, int):
        clear = wide.point([255 if value == transparent else 0 for value in range(65536)], "L")
        grey.paste(255, mask=clear)
    return Decoded(grey.convert("RGB"), note)


def _without_sign(wide: Image.Image) -> Image.Image:
    """Numbers of 32 bits without a sign, which Pillow reads with one; in mode F."""
    numbers = wide.convert("F")
    negative = numbers.point(lambda value: value * -255.0 + 0.0).convert("L").convert("1")
    numbers.paste(numbers.point(lambda value: value * 1.0 + 2.0**32), mask=negative)
    return numbers


def _wide_colour(opened: Opened, *, use_range: bool) -> Decoded:
    """Colour of 16 bits, decoded to the upper 8 → in 8 bits by its own range, if the range is known; alpha too.

    The lower 8 bits are decoded only for a range, and for few values in all.
    """
    image = opened.image
    has_alpha = "transparency" not in image.info and len(image.getbands()) > 3
    if "transparency" in image.info:  # one colour of the upper 8 bits, which no other range may change
        image = image.convert("RGBA")
    upper, rest = image.split()[:3], image.split()[3:]
    note = note_on_upper_bytes(upper)
    if not (note or opened.stated or use_range):
        return Decoded(image, None)
    lower = lower_channels(opened.again) if opened.again else None
    wide = [together(*pair) for pair in zip(upper, lower[:3] if lower else upper, strict=True)]
    stated = opened.stated.within(*SIXTEEN_BITS) if opened.stated else None
    eighths = in_8_bits(wide, known=SIXTEEN_BITS, stated=stated, use_range=use_range)
    assert eighths is not None  # 16 bits are a known range
    if eighths.by == SIXTEEN_BITS:  # the upper 8 bits, as Pillow and timm have them
        return Decoded(image, eighths.note if lower else note)
    if has_alpha and (alpha := alpha_in_8_bits(together(rest[0], lower[3] if lower else rest[0]), eighths)):
        rest = (alpha,)
    scaled = Image.merge(image.mode, [*eighths.channels, *rest])
    coarse = None if lower else "Pillow gives only the upper 8 bits of its values, so they have few levels"
    return Decoded(scaled, _joined([eighths.note, coarse]))


def _is_flat(rgb: Image.Image) -> bool:
    """By a few pixels first: nearly every image ends there."""
    few = rgb.resize((16, 16), Image.Resampling.NEAREST)
    return _spread(few) <= _FLAT and _spread(rgb) <= _FLAT


def _spread(image: Image.Image) -> float:
    """The largest difference within a channel."""
    bounds = cast("Any", image.getextrema())
    spread: float = max(high - low for low, high in ([bounds] if len(image.getbands()) == 1 else bounds))
    return spread


def _joined(notes: Sequence[str | None]) -> str | None:
    return "; ".join(filter(None, notes)) or None


def _no_white(mode: str, values: Range, source: str) -> ImageError:
    if not math.isfinite(values.span):
        return _unsupported("holds grey values that are not finite numbers", source)
    kind = "floating-point grey values" if mode == "F" else "grey values"
    return ImageError(
        "unsupported",
        f"holds {kind} from {values}, and does not say which of them is white: save it with 8 or 16 bits a channel, or "
        "pass --range used (range='used') to take the highest one",
        source,
    )


def _unsupported(what: str, source: str) -> ImageError:
    return ImageError("unsupported", f"{what}: save it with 8 or 16 bits a channel", source)
