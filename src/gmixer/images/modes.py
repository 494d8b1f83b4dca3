"""A Pillow mode → RGB, 8 bits a channel.

| mode | what it is | becomes |
| --- | --- | --- |
| RGB | colour | itself, bit for bit |
| 1, L | black and white, grey | the same value in all three channels |
| P | palette | the palette's colours |
| RGBX, CMYK, YCbCr, HSV, LAB | other colour spaces | Pillow's conversion; embedded ICC profiles are not consulted |
| LA, PA, RGBA, La, RGBa | with an alpha channel | laid over white |
| any with tRNS (`info["transparency"]`) | one colour, or entries of the palette, are clear | laid over white |
| I;16 in any byte order | 16-bit grey | scaled, value * 255 / 65535 rounded; never clipped |
| I;16 of a TIFF | its 12 bits, or white as 0, which Pillow leaves | scaled by 255 / 4095; turned round |
| I, all values in 0…65535 | 16-bit grey as older Pillow and PPM give it | scaled likewise |
| I beyond that, F, others | no known range | ImageError "unsupported" |

16-bit colour never gets here: Pillow's decoders keep the upper 8 bits. CMYK JPEGs are stored inverted, with Adobe's
marker or without, as browsers have it too; Pillow turns them back while decoding. For users: docs/pictures.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.pillow_bugs import refuse_misread

STRIP_PIXELS = 2**22

_BY_PILLOW = {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"}
_WITH_ALPHA = {"LA", "PA", "RGBA", "La", "RGBa"}

_PNG_SCALES = {"L;2": 85, "L;4": 17}  # Pillow's names of what a file holds: its values times this are 8 bits
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF's


def mend_transparency(image: Image.Image) -> None:
    """For an opened picture that is not yet decoded: what is clear in it, where Pillow misreads that.

    A PNG's clear colour is compared as it is stored with pixels scaled to 8 bits, so that none or the wrong one is
    found in 2, 4 and 16 bits. (Of 16-bit colour all is clear now that shares its upper 8 bits.) An animated WebP that
    declares no alpha is black where its first frame leaves the canvas free; the decoder knows that it is clear.
    """
    stored = image.tile[0].args if image.format == "PNG" and image.tile else None  # type: ignore[attr-defined]
    match image.info.get("transparency"):
        case int(clear) if stored in _PNG_SCALES:
            image.info["transparency"] = clear * _PNG_SCALES[stored]
        case (red, green, blue) if stored == "RGB;16B":
            image.info["transparency"] = (red >> 8, green >> 8, blue >> 8)
    if image.format == "WEBP" and getattr(image, "is_animated", False) and image.mode == "RGB":
        image.rawmode = image._mode = "RGBA"  # type: ignore[attr-defined]


def to_rgb(image: Image.Image, *, source: str) -> Image.Image:
    """The picture in mode RGB, as the table above says; the same object if it is RGB already.

    Raises ImageError "unsupported" with `source`.
    """
    refuse_misread(image, source=source)
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _sixteen_bit_grey(image, source)
    if image.mode not in _BY_PILLOW | _WITH_ALPHA:
        pixels = "floating-point pixels" if image.mode == "F" else f"pixels of mode {image.mode}"
        raise _unsupported(f"holds {pixels}, whose range is unknown", source)
    if image.has_transparency_data:
        return over_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")  # a copy costs 356 MB at the most pixels


def in_channels(rgb: Image.Image, channels: int) -> Image.Image:
    """A picture in mode RGB, or for 1 channel its grey, by Pillow's weights: what was grey keeps its values."""
    return rgb if channels == 3 else rgb.convert("L")


def strips(picture: Image.Image) -> Iterator[Image.Image]:
    """The picture from top to bottom, in parts of at most STRIP_PIXELS where it has more rows than one.

    Pillow copies twice what it hands out at once: 534 MB for the most pixels that Limits allows.
    """
    rows = max(1, STRIP_PIXELS // picture.width)
    if rows >= picture.height:
        yield picture
        return
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(top + rows, picture.height)))


def over_white(image: Image.Image) -> Image.Image:
    """RGB of a picture with transparency; each value is (colour * alpha + 255 * (255 - alpha)) / 255, rounded."""
    if image.mode == "La":
        image = image.convert("LA")  # Pillow has no direct way
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba)  # by its alpha
    return white


def _sixteen_bit_grey(image: Image.Image, source: str) -> Image.Image:
    clear, tags = image.info.get("transparency"), getattr(image, "tag_v2", {})
    white = 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535
    image = image.convert("I")  # from any byte order
    low, high = cast("tuple[int, int]", image.getextrema())
    if low < 0 or high > 65535:
        raise _unsupported(f"holds 32-bit grey values from {low:,} to {high:,}, more than 16 bits", source)
    # Rounded; no value falls on a half. Twelve bits end at `white`.
    scaled = [min(255, (510 * value + white) // (2 * white)) for value in range(65536)]
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        scaled = [255 - value for value in scaled]
    if isinstance(clear, int) and clear in range(65536):
        scaled[clear] = 255
    return image.point(scaled, "L").convert("RGB")


def _unsupported(what: str, source: str) -> ImageError:
    return ImageError("unsupported", f"{what}: save it with 8 or 16 bits a channel", source)
