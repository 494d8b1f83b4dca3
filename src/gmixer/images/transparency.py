"""Images with transparency → RGB over white. A transparency that hides the whole image is not believed.

Programs that write four channels often leave the fourth one at 0: 32-bit BMPs, screenshots, textures. Browsers and
viewers then show nothing, and the colours are there all the same.
"""

from __future__ import annotations

from PIL import Image

from gmixer.images.opened import Decoded
from gmixer.images.raw_mode import in_planes, raw_mode, read_as

WITH_ALPHA = {"LA", "PA", "RGBA", "La", "RGBa"}
HIDDEN = "every pixel is transparent, so the transparency is ignored"

_INVISIBLE_ALPHA = 1  # of 255. Programs that count alpha from 0 to 1 leave 1 for opaque
_FEW = 0.001  # guessed: of all pixels; a signature or a small icon shows more
_PNG_SCALES = {"L;2": 85, "L;4": 17}  # Pillow's name of the stored form: the factor from a stored value to 8 bits


def correct_transparency(image: Image.Image) -> None:
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


def keep_premultiplied(image: Image.Image) -> bool:
    """For an opened TIFF that is not yet decoded: makes Pillow keep colours that are multiplied by their alpha.

    Pillow divides them by the alpha while it decodes, and so loses them where the alpha is 0. Returns whether the
    decoded image, in mode RGBA, will have such colours.
    """
    form = raw_mode(image)
    if not form.startswith("RGBa") or in_planes(image):  # in planes, Pillow divides after decoding, by this name
        return False
    read_as(image, form.replace("RGBa", "RGBA"))
    return True


def over_white(image: Image.Image, *, premultiplied: bool = False) -> Decoded:
    """An image with transparency: each value becomes (colour * alpha + 255 * (255 - alpha)) / 255, rounded.

    Where no pixel is visible, it becomes the colour alone, and the note says so.

    premultiplied: the image is in mode RGBA, and its colours are multiplied by their alpha.
    """
    if image.mode not in WITH_ALPHA:
        image = image.convert("RGBA")  # by info["transparency"]
    if _is_hidden(image):
        return Decoded(_without_alpha(image), HIDDEN)
    if premultiplied:
        image = Image.merge("RGBa", image.split())
    if image.mode == "La":
        image = image.convert("LA")  # Pillow has no direct conversion
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba)  # by its alpha
    return Decoded(white, None)


def note_on_few_visible(image: Image.Image) -> str | None:
    """For an image with transparency: a note where hardly a pixel is visible. It is then nearly all white."""
    if image.mode not in WITH_ALPHA:
        image = image.convert("RGBA")
    pixels = image.width * image.height
    visible = pixels - sum(_alpha(image).histogram()[: _INVISIBLE_ALPHA + 1])
    return f"all but {visible:,} of its {pixels:,} pixels are transparent" if visible < _FEW * pixels else None


def _alpha(image: Image.Image) -> Image.Image:
    return image.getchannel(len(image.getbands()) - 1)


def _is_hidden(image: Image.Image) -> bool:
    """Whether the alpha, the last channel, shows no pixel."""
    return bool(_alpha(image).getextrema()[1] <= _INVISIBLE_ALPHA)  # type: ignore[operator] # of one channel


def _without_alpha(image: Image.Image) -> Image.Image:
    """RGB of the colours as stored: a premultiplied one is not divided by an alpha of 0."""
    match image.mode:
        case "RGBA" | "RGBa":
            return Image.merge("RGB", image.split()[:3])
        case "LA" | "La":
            return image.getchannel(0).convert("RGB")
    return image.convert("RGB")  # PA
