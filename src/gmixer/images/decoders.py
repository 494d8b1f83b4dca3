"""A file's bytes → an image in RGB, upright. reasons.py catches all errors of Pillow's decoders.

Without numpy, so that a decoding process starts quickly.
"""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module
from io import BytesIO
from typing import Protocol

from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.exif import orientation_of, upright
from gmixer.images.frames import MAX_GIF_STEPS, has_more_frames, says_more_frames
from gmixer.images.metadata import without_metadata
from gmixer.images.modes import to_rgb
from gmixer.images.opened import Decoded, Opened
from gmixer.images.pillow_bugs import refuse_misread
from gmixer.images.raw_mode import raw_mode
from gmixer.images.reasons import as_image_error, of_tiff
from gmixer.images.settings import DecodeSettings
from gmixer.images.sixteen_bits import has_sixteen_bits, keep_lower_bits
from gmixer.images.stated_range import stated_by_png, stated_by_tiff
from gmixer.images.structure_limits import check_pieces, check_side, stated_side
from gmixer.images.transparency import correct_transparency, keep_premultiplied

# The decoder of each format is called by name. Image.open would import all decoders, try one after the other, hide
# their reasons, and apply its own limit of pixels before gmixer reads the size.
DECODERS = {
    "JPEG": ("PIL.JpegImagePlugin", "jpeg_factory"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
}


def read_image(data: bytes, image_format: str, settings: DecodeSettings, *, source: str) -> Decoded:
    """Decodes a file of that format to RGB. Raises ImageError; every exception of a decoder becomes one."""
    with as_image_error(f"decoded as {image_format}", source):
        return upright_rgb(open_image(data, image_format, settings, source=source), settings, source=source)


def open_image(data: bytes, image_format: str, settings: DecodeSettings, *, source: str) -> Opened:
    """A file of that format, opened and not yet decoded. Raises ImageError, and the exceptions of its decoder.

    A file over the limits is refused here, before anything is decoded. With settings.reduce_to_px, a JPEG is opened so
    that it will be decoded at a fraction of its size.
    """
    data = without_metadata(data, image_format)
    check_pieces(data, image_format, source=source, max_pixels=settings.max_pixels)
    check_side(stated_side(data, image_format), image_format, source=source)
    if image_format in {"GIF", "TIFF"}:  # before Pillow opens it, and reads comments and the like
        _check_frames(has_more_frames(data, image_format, settings.max_frames), settings, source)
    if image_format == "JPEG XL":
        return Opened(_open_jpeg_xl(data, settings, source=source))
    if image_format == "HEIF":
        return Opened(_open_heif(data, settings, source=source))
    with of_tiff(data, source) if image_format == "TIFF" else nullcontext():
        image = _with_header(data, image_format)
    check_pixels(image, settings, source=source)
    check_side(max(image.size), image_format, source=source)
    if image_format not in {"GIF", "TIFF"}:
        _check_frames(says_more_frames(image, settings.max_frames), settings, source)
    correct_transparency(image)
    if settings.reduce_to_px and image_format == "JPEG":
        _reduce(image, settings.reduce_to_px)
    sixteen_bits = has_sixteen_bits(image)
    stated = stated_by_png(data) if image_format == "PNG" and "16" in raw_mode(image) else stated_by_tiff(image)
    again = None
    if sixteen_bits and (image_format != "PPM" or settings.use_range):
        again = keep_lower_bits(_with_header(data, image_format))
        keep_lower_bits(image)
    return Opened(image, sixteen_bits, again, stated, premultiplied=keep_premultiplied(image))


def _with_header(data: bytes, image_format: str) -> Image.Image:
    module, decoder = DECODERS[image_format]
    image: Image.Image = getattr(import_module(module), decoder)(BytesIO(data), "")
    return image


def upright_rgb(opened: Opened, settings: DecodeSettings, *, source: str) -> Decoded:
    """An opened image in RGB, decoded if it is not yet. Raises the exceptions of its decoder."""
    image = opened.image
    refuse_misread(image, source=source)
    image.load()
    turns = settings.apply_exif and not _turned_by_decoder(image)
    orientation = orientation_of(image) if turns else 1  # before to_rgb, which may drop the EXIF
    rgb, note = to_rgb(opened, use_range=settings.use_range, source=source)
    return Decoded(upright(rgb, orientation), note)


class _Sized(Protocol):
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


def check_pixels(image: _Sized, settings: DecodeSettings, *, source: str) -> None:
    """Raises ImageError "too_large"."""
    pixels = image.width * image.height
    if pixels > settings.max_pixels:
        size = f"{pixels:,} pixels ({image.width}x{image.height})"
        reason = f"holds {size}; the limit is {settings.max_pixels:,}, set by Limits.max_pixels (--max-pixels): "
        reason += "raise it, or make the image smaller"
        raise ImageError("too_large", reason, source)


def _open_heif(data: bytes, settings: DecodeSettings, *, source: str) -> Image.Image:
    """Decoded too, to name a limit of libheif. Raises as open_image does."""
    from gmixer.images import heif, heif_items  # only a HEIF needs them

    items = heif_items.read_items(data, source=source)
    check_pixels(items.sizes[items.primary], settings, source=source)
    heif.check_items(data, items, source=source, max_pixels=settings.max_pixels)
    with heif.limits_named(source):
        image = heif.open_heif(data, items, source=source)
        _check_frames(says_more_frames(image, settings.max_frames), settings, source)
        image.load()
    return image


def _open_jpeg_xl(data: bytes, settings: DecodeSettings, *, source: str) -> Image.Image:
    """Decoded too, because pillow-jxl-plugin does this when it opens a file. Raises as open_image does."""
    from gmixer.images import jxl, jxl_header  # only a JPEG XL needs them

    header = jxl_header.read_header(data, source=source)
    check_pixels(header, settings, source=source)
    return jxl.open_jxl(data, header, source=source)


def _turned_by_decoder(image: Image.Image) -> bool:
    """pillow-heif also turns images, but removes their orientation from EXIF."""
    if image.format != "JXL":
        return False
    from gmixer.images import jxl  # only a JPEG XL needs it

    return jxl.is_turned(image)


def _reduce(jpeg: Image.Image, short_side_px: int) -> None:
    scale = next((scale for scale in (8, 4, 2) if min(jpeg.size) >= scale * short_side_px), 1)
    if scale > 1:
        jpeg.draft(None, (jpeg.width // scale, jpeg.height // scale))


def _check_frames(more: bool | None, settings: DecodeSettings, source: str) -> None:
    if more is None:
        reason = f"holds more than {MAX_GIF_STEPS:,} blocks, far more than a GIF needs: save it again"
        raise ImageError("too_large", reason, source)
    if more:
        reason = (
            f"holds more than {settings.max_frames:,} frames, the limit, set by Limits.max_frames in Python: raise it, "
            "or save its first frame alone"
        )
        raise ImageError("too_large", reason, source)
