"""Step 1: a path, bytes, a PIL image or an array → Pixels, uint8 (H, W, 3) RGB, or with other channels.

decode.py  decode: the one way in; whatever goes wrong inside a decoder comes out as one ImageError
limits.py  Limits: how many bytes, pixels and frames a file may hold, checked before it is decoded
sniff.py   sniff: the format by the first bytes; a file's extension is never consulted
read.py    a path → the file's bytes; pipes and devices are refused
modes.py   Pillow's modes → RGB, with the table; RGB → Pixels
orient.py  EXIF orientation
arrays.py  uint8 arrays → Pixels
quiet.py   Pillow's warnings stay off the user's terminal
files.py   find_images: files and folders → the files to read, in order
"""

from gmixer.images.decode import ImageLike, Orientation, decode
from gmixer.images.files import Found, find_images, is_image_file
from gmixer.images.limits import Limits
from gmixer.images.modes import Pixels
from gmixer.images.sniff import sniff

__all__ = [
    "Found",
    "ImageLike",
    "Limits",
    "Orientation",
    "Pixels",
    "decode",
    "find_images",
    "is_image_file",
    "sniff",
]
