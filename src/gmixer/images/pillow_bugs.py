"""TIFFs that Pillow silently decodes to wrong pixels. They are refused.

tests/images/test_image_files.py shows each bug in the installed Pillow. When Pillow fixes one, that test fails, and the
check here can go.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from gmixer.errors import ImageError

_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT = 258, 259, 262, 284, 339
_UNCOMPRESSED, _WHITE_IS_ZERO, _SEPARATE, _SIGNED = 1, 0, 2, 2


def refuse_misread(image: Image.Image, *, source: str) -> None:
    """Raises ImageError "unsupported" for such a TIFF, opened or decoded."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    if tags.get(_PLANES, 1) == _SEPARATE and _planes_are_misread(tags, image.mode):
        planes = "holds its channels one after the other, in a form that Pillow misreads"
        raise ImageError("unsupported", f"{planes}: save it with the channels of each pixel together", source)
    if _bytes_are_swapped(tags):
        swapped = "holds compressed signed numbers in big-endian order, which Pillow misreads"
        raise ImageError(
            "unsupported", f"{swapped}: save it without compression, or with 8 or 16 bits a channel", source
        )


def _planes_are_misread(tags: Any, mode: str) -> bool:
    if mode in {"LAB", "LA", "La", "PA"}:  # a and b are off by 128, the alpha is lost
        return True
    if tags.get(_COMPRESSION, 1) != _UNCOMPRESSED:
        return False  # by libtiff, which reads all others
    # Pillow assumes that each plane holds unsigned bytes, with 0 as black.
    return bool(max(tags.get(_BITS, (1,))) > 8 or tags.get(_PHOTOMETRIC, 0) == _WHITE_IS_ZERO)


def _bytes_are_swapped(tags: Any) -> bool:
    """libtiff swaps the bytes, and then Pillow swaps them again."""
    return bool(
        tags.prefix == b"MM"
        and tags.get(_COMPRESSION, 1) != _UNCOMPRESSED
        and max(tags.get(_BITS, (1,))) > 8
        and tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED
    )
