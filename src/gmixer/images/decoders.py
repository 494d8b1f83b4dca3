"""A file's bytes → a picture in RGB, upright. The one boundary around Pillow's decoders.

Without numpy, so that a process which only decodes starts quickly.
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
from gmixer.images.modes import mend_transparency, to_rgb
from gmixer.images.structure_limits import check_pieces

# One decoder each, called by name: Image.open would import all of Pillow's, try them in turn, hide their reasons,
# and refuse by its own limit of pixels before gmixer could read the size.
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


def read_image(
    data: bytes,
    image_format: str,
    *,
    source: str,
    max_pixels: int,
    max_frames: int,
    apply_exif: bool,
    reduce_to_px: int,
) -> Image.Image:
    """Decodes a file of that format. Raises ImageError; whatever a decoder raises becomes one.

    The rest as `open_image` has it.
    """
    with as_image_error(f"decoded as {image_format}", source):
        image = open_image(
            data, image_format, source=source, max_pixels=max_pixels, max_frames=max_frames, reduce_to_px=reduce_to_px
        )
        return upright_rgb(image, source=source, apply_exif=apply_exif)


def open_image(
    data: bytes, image_format: str, *, source: str, max_pixels: int, max_frames: int, reduce_to_px: int = 0
) -> Image.Image:
    """A file of that format, opened and not yet decoded. Raises ImageError, and whatever its decoder raises.

    More pixels, frames or pieces than the limits are refused here, before anything is decoded.
    reduce_to_px: 0, or how many pixels the short side needs: a JPEG that has more will be decoded at a half, a quarter
        or an eighth of its size.
    """
    check_pieces(data, image_format, source=source, max_pixels=max_pixels)
    if image_format in {"GIF", "TIFF"}:  # before Pillow opens it, which walks over comments and the like
        _check_frames(has_more_frames(data, image_format, max_frames), source, max_frames)
    module, decoder = DECODERS[image_format]
    image: Image.Image = getattr(import_module(module), decoder)(BytesIO(data), "")  # reads the header only
    check_pixels(image, source, max_pixels)
    if image_format not in {"GIF", "TIFF"}:
        _check_frames(says_more_frames(image, max_frames), source, max_frames)
    mend_transparency(image)
    if reduce_to_px and image_format == "JPEG":
        _reduce(image, reduce_to_px)
    return image


def upright_rgb(image: Image.Image, *, source: str, apply_exif: bool) -> Image.Image:
    """An opened picture, decoded where it is not yet. Raises whatever its decoder raises."""
    image.load()
    orientation = orientation_of(image) if apply_exif else 1  # before to_rgb, which may drop the EXIF
    return upright(to_rgb(image, source=source), orientation)


def check_pixels(image: Image.Image, source: str, max_pixels: int) -> None:
    """Raises ImageError "too_large"."""
    pixels = image.width * image.height
    if pixels > max_pixels:
        size = f"{pixels:,} pixels ({image.width}x{image.height})"
        reason = f"holds {size}; the limit is {max_pixels:,}, set by Limits.max_pixels: make it smaller"
        raise ImageError("too_large", reason, source)


def _reduce(jpeg: Image.Image, short_side_px: int) -> None:
    scale = next((scale for scale in (8, 4, 2) if min(jpeg.size) >= scale * short_side_px), 1)
    if scale > 1:
        jpeg.draft(None, (jpeg.width // scale, jpeg.height // scale))


def _check_frames(more: bool | None, source: str, max_frames: int) -> None:
    if more is None:
        reason = f"holds more than {MAX_GIF_STEPS:,} blocks, far more than a GIF has need of: save it anew"
        raise ImageError("too_large", reason, source)
    if more:
        reason = f"holds more than {max_frames:,} frames, which is the limit, set by Limits.max_frames: cut it"
        raise ImageError("too_large", reason, source)


@contextmanager
def as_image_error(what: str, source: str) -> Iterator[None]:
    """Every exception of a decoder → one ImageError. They raise far more than OSError; see tests/test_decode.py."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:  # WebP, GIF and TIFF ask Pillow's own limit, twice the default here
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
