"""EXIF orientation: the camera was held turned, and the file says so."""

from __future__ import annotations

from PIL import Image

from gmixer.images.pieces import MAX_EXIF_BYTES

_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,  # counter-clockwise, so a quarter turn to the right
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(image: Image.Image) -> int:
    """1…8 as EXIF counts them; 1, upright, where nothing (or nothing readable) is said."""
    try:
        if len(image.info.get("exif") or image.info.get("Raw profile type exif") or "") > 2 * MAX_EXIF_BYTES:
            return 1  # the latter is as text, two letters a byte
        orientation = image.getexif().get(_TAG, 1)
    except Exception:  # damaged EXIF costs the picture its turn, not its life
        return 1
    return orientation if orientation in range(1, 9) else 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as the photographer saw it; the same object if it is upright already."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
