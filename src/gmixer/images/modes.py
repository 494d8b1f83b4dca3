"""A Pillow mode → RGB, 8 bits a channel.

| mode | what it is | becomes |
| --- | --- | --- |
| RGB | colour | itself, bit for bit |
| 1, L | black and white, grey | the same value in all three channels |
| P | palette | the palette's colours |
| RGBX, CMYK, YCbCr, HSV, LAB | other colour spaces | Pillow's conversion; embedded ICC profiles are not used |
| LA, PA, RGBA, La, RGBa | with an alpha channel | laid over white |
| any with tRNS (`info["transparency"]`) | one colour, or entries of the palette, are transparent | laid over white |
| I;16 in any byte order | 16-bit grey | scaled, value * 255 / 65535 rounded; never clipped |
| I;16 of a TIFF | 12 bits, or 0 as white: Pillow handles neither | scaled by 255 / 4095; inverted |
| I, all values in 0…65535 | 16-bit grey as older Pillow and PPM give it | scaled likewise |
| I beyond that, F, others | no known range | ImageError "unsupported" |

16-bit colour does not occur here: Pillow's decoders keep the upper 8 bits. CMYK JPEGs are stored inverted, with Adobe's
marker or without, as browsers assume too; Pillow inverts them while decoding. For users: docs/images.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from PIL import Image

from gmixer.errors import ImageError

STRIP_PIXELS = 2**22

_BY_PILLOW = {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"}
_WITH_ALPHA = {"LA", "PA", "RGBA", "La", "RGBa"}

_PNG_SCALES = {"L;2": 85, "L;4": 17}  # Pillow's name of the stored form: the factor from a stored value to 8 bits
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF's


def fix_transparency(image: Image.Image) -> None:
    """For an opened image that is not yet decoded: corrects the transparency that Pillow misreads.

    Pillow compares a PNG's transparent colour, as stored, with pixels scaled to 8 bits: in 2, 4 and 16 bits it finds no
    pixels or the wrong ones. (In 16-bit colour, every pixel with the same upper 8 bits is now transparent.) An
    animated WebP without alpha is transparent outside its first frame, but Pillow makes this part black.
    """
    stored = image.tile[0].args if image.format == "PNG" and image.tile else None  # type: ignore[attr-defined]
    match image.info.get("transparency"):
        case int(value) if stored in _PNG_SCALES:
            image.info["transparency"] = value * _PNG_SCALES[stored]
        case (red, green, blue) if stored == "RGB;16B":
            image.info["transparency"] = (red >> 8, green >> 8, blue >> 8)
    if image.format == "WEBP" and getattr(image, "is_animated", False) and image.mode == "RGB":
        image.rawmode = image._mode = "RGBA"  # type: ignore[attr-defined]


def to_rgb(image: Image.Image, *, source: str) -> Image.Image:
    """The image in mode RGB, by the table above; the same object if it is already RGB.

    Raises ImageError "unsupported" with `source`.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _sixteen_bit_grey(image, source)
    if image.mode not in _BY_PILLOW | _WITH_ALPHA:
        pixels = "floating-point pixels" if image.mode == "F" else f"pixels of mode {image.mode}"
        raise _unsupported(f"holds {pixels} of an unknown range", source)
    if image.has_transparency_data:
        return over_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")  # a copy takes up to 356 MB


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


def over_white(image: Image.Image) -> Image.Image:
    """RGB of an image with transparency; each value is (colour * alpha + 255 * (255 - alpha)) / 255, rounded."""
    if image.mode == "La":
        image = image.convert("LA")  # Pillow has no direct conversion
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba)  # by its alpha
    return white


def _sixteen_bit_grey(image: Image.Image, source: str) -> Image.Image:
    transparent, tags = image.info.get("transparency"), getattr(image, "tag_v2", {})
    white = 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535
    image = image.convert("I")  # from any byte order
    low, high = cast("tuple[int, int]", image.getextrema())
    if low < 0 or high > 65535:
        raise _unsupported(f"holds 32-bit grey values from {low:,} to {high:,}, more than 16 bits", source)
    # Rounded; no value is exactly between two. With 12 bits, `white` is the largest value.
    scaled = [min(255, (510 * value + white) // (2 * white)) for value in range(65536)]
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        scaled = [255 - value for value in scaled]
    if isinstance(transparent, int) and transparent in range(65536):
        scaled[transparent] = 255
    return image.point(scaled, "L").convert("RGB")


def _unsupported(what: str, source: str) -> ImageError:
    return ImageError("unsupported", f"{what}: save it with 8 or 16 bits a channel", source)
