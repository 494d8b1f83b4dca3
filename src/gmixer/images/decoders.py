"""A file's bytes → an image in RGB, upright. All errors of Pillow's decoders are caught here.

Without numpy, so that a decoding process starts quickly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO

from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.exif import orientation_of, upright
from gmixer.images.frames import MAX_GIF_STEPS, has_more_frames, says_more_frames
from gmixer.images.metadata import without_metadata
from gmixer.images.modes import fix_transparency, to_rgb
from gmixer.images.settings import DecodeSettings
from gmixer.images.structure_limits import check_pieces

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
_UNSUPPORTED = ("unsupported", "not yet supported", "cannot handle", "unknown pixel mode")  # in Pillow's own words


def read_image(data: bytes, image_format: str, settings: DecodeSettings, *, source: str) -> Image.Image:
    """Decodes a file of that format to RGB. Raises ImageError; every exception of a decoder becomes one."""
    with as_image_error(f"decoded as {image_format}", source):
        return upright_rgb(open_image(data, image_format, settings, source=source), settings, source=source)


def open_image(data: bytes, image_format: str, settings: DecodeSettings, *, source: str) -> Image.Image:
    """A file of that format, opened and not yet decoded. Raises ImageError, and the exceptions of its decoder.

    A file over the limits is refused here, before anything is decoded. With settings.reduce_to_px, a JPEG is opened so
    that it will be decoded at a fraction of its size.
    """
    data = without_metadata(data, image_format)
    check_pieces(data, image_format, source=source, max_pixels=settings.max_pixels)
    if image_format in {"GIF", "TIFF"}:  # before Pillow opens it, and reads comments and the like
        _check_frames(has_more_frames(data, image_format, settings.max_frames), settings, source)
    module, decoder = DECODERS[image_format]
    image: Image.Image = getattr(import_module(module), decoder)(BytesIO(data), "")  # reads the header only
    check_pixels(image, settings, source=source)
    if image_format not in {"GIF", "TIFF"}:
        _check_frames(says_more_frames(image, settings.max_frames), settings, source)
    fix_transparency(image)
    if settings.reduce_to_px and image_format == "JPEG":
        _reduce(image, settings.reduce_to_px)
    return image


def upright_rgb(image: Image.Image, settings: DecodeSettings, *, source: str) -> Image.Image:
    """An opened image in RGB, decoded if it is not yet. Raises the exceptions of its decoder."""
    image.load()
    orientation = orientation_of(image) if settings.apply_exif else 1  # before to_rgb, which may drop the EXIF
    return upright(to_rgb(image, source=source), orientation)


def check_pixels(image: Image.Image, settings: DecodeSettings, *, source: str) -> None:
    """Raises ImageError "too_large"."""
    pixels = image.width * image.height
    if pixels > settings.max_pixels:
        size = f"{pixels:,} pixels ({image.width}x{image.height})"
        reason = f"holds {size}; the limit is {settings.max_pixels:,}, set by Limits.max_pixels (--max-pixels): "
        reason += "raise it, or make the image smaller"
        raise ImageError("too_large", reason, source)


def _reduce(jpeg: Image.Image, short_side_px: int) -> None:
    scale = next((scale for scale in (8, 4, 2) if min(jpeg.size) >= scale * short_side_px), 1)
    if scale > 1:
        jpeg.draft(None, (jpeg.width // scale, jpeg.height // scale))


def _check_frames(more: bool | None, settings: DecodeSettings, source: str) -> None:
    if more is None:
        reason = f"holds more than {MAX_GIF_STEPS:,} blocks, far more than a GIF needs: save it again"
        raise ImageError("too_large", reason, source)
    if more:
        reason = f"holds more than {settings.max_frames:,} frames, the limit, set by Limits.max_frames: cut it"
        raise ImageError("too_large", reason, source)


@contextmanager
def as_image_error(what: str, source: str) -> Iterator[None]:
    """Every exception of a decoder → one ImageError. Decoders raise far more than OSError."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:  # WebP, GIF and TIFF check Pillow's own limit too
        reason = "holds more pixels than Pillow itself allows, twice PIL.Image.MAX_IMAGE_PIXELS"
        raise ImageError("too_large", reason, source) from error
    except MemoryError as error:
        raise ImageError("corrupt", f"cannot be {what}: it asks for more memory than there is", source) from error
    except Exception as error:
        sentence = _sentence(error)
        if any(words in sentence.lower() for words in _UNSUPPORTED):
            reason = f"cannot be {what}: {sentence}; save it with 8 or 16 bits a channel"
            raise ImageError("unsupported", reason, source) from error
        reason = f"cannot be {what}: {sentence}; it is cut short, damaged or of a rare kind"
        raise ImageError("corrupt", reason, source) from error


def _sentence(error: Exception) -> str:
    """Pillow's own words, on one line; some of its exceptions have none."""
    return " ".join(str(error).split())[:200] or type(error).__name__
