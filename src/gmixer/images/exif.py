"""EXIF orientation: how an image must be rotated or mirrored to be upright."""

from __future__ import annotations

from itertools import islice
from struct import pack
from typing import TYPE_CHECKING

from PIL import Image

from gmixer.images.pieces import tiff_first_folder, tiff_tags

if TYPE_CHECKING:
    from gmixer.images.pixels import Pixels  # imports numpy, which a decoding process must not

MAX_EXIF_BYTES = 2**18  # that Pillow reads: each number in it becomes a Python object

PREFIX = b"Exif\0\0"  # in a JPEG's segment, and in Pillow's info["exif"]

_TAG = 0x0112
_MAX_TAGS = 1_000  # of EXIF's first folder that are searched; cameras write about twenty
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,  # counter-clockwise, so a quarter turn to the right
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The same in three steps: reverse the rows, reverse the columns, exchange rows and columns.
_UPSIDE_DOWN, _MIRRORED, _SIDEWAYS = {3, 4, 6, 7}, {2, 3, 7, 8}, {5, 6, 7, 8}


def orientation_of(image: Image.Image) -> int:
    """1…8 as EXIF counts them; 1, upright, if the file holds no orientation or none that can be read."""
    try:
        exif = image.info.get("exif")
        if isinstance(exif, bytes) and len(exif) > MAX_EXIF_BYTES:
            image_exif = Image.Exif()
            image_exif.load(only_orientation(exif))
        else:
            image_exif = image.getexif()
        orientation = image_exif.get(_TAG, 1)
    except Exception:  # an image with damaged EXIF is still read, but not rotated
        return 1
    return orientation if orientation in range(1, 9) else 1


def only_orientation(exif: bytes) -> bytes:
    """EXIF that holds the orientation of this EXIF and nothing else; b"" if it states none.

    Both begin like a TIFF, without the prefix that EXIF has in a JPEG.
    """
    exif = exif.removeprefix(PREFIX)  # some programs write it twice
    if exif[:4] not in {b"II*\0", b"MM\0*"}:
        return b""
    order = "<" if exif[:2] == b"II" else ">"
    for tag in islice(tiff_tags(exif, tiff_first_folder(exif)), _MAX_TAGS):
        if tag.number == _TAG and 0 < tag.byte_count() <= 4:
            head, entry = pack(f"{order}IH", 8, 1), exif[tag.at : tag.at + 12].ljust(12, b"\0")
            return exif[:4] + head + entry + bytes(4)
    return b""


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The image as the photographer saw it; the same object if it is already upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def upright_pixels(pixels_HWC: Pixels, orientation: int) -> Pixels:
    """The same for pixels, uint8 (H, W, 3). They must be C-contiguous, and so is the result."""
    if orientation not in _TURNS:
        return pixels_HWC
    turned_HW = pixels_HWC.view("V3")[:, :, 0]  # one item is a pixel: twice as fast as one item per channel
    if orientation in _UPSIDE_DOWN:
        turned_HW = turned_HW[::-1]
    if orientation in _MIRRORED:
        turned_HW = turned_HW[:, ::-1]
    if orientation in _SIDEWAYS:
        turned_HW = turned_HW.T
    return turned_HW[:, :, None].copy().view("u1")
