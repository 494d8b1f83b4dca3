"""How a file stores a pixel, in Pillow's words, and another reading of it. For images that are not decoded yet."""

from __future__ import annotations

from typing import Any

from PIL import Image

_PLANES, _SEPARATE = 284, 2  # of TIFF


def raw_mode(image: Image.Image) -> str:
    """Such as "RGBA;16B"; "" if the image is decoded already."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    args = tiles[0].args
    form = args[0] if isinstance(args, tuple) and args else args
    return form if isinstance(form, str) else ""


def in_planes(image: Image.Image) -> bool:
    """Whether a TIFF holds its channels one after the other."""
    return bool(getattr(image, "tag_v2", {}).get(_PLANES) == _SEPARATE)


def read_as(image: Any, form: str) -> None:
    """Pillow will decode the image by this raw mode."""
    image.tile = [
        tile._replace(args=(form, *tile.args[1:]) if isinstance(tile.args, tuple) else form) for tile in image.tile
    ]
