"""Step 1: a path, bytes, a PIL image or an array → Pixels, uint8 (H, W, 3) RGB, or with other channels.

decode.py   decode: the one way in; whatever goes wrong inside a decoder comes out as one ImageError
limits.py   Limits: how many bytes, pixels and frames a file may hold, checked before it is decoded
sniff.py    sniff: the format by the first bytes; a file's extension is never consulted
pieces.py   files of very many very small pieces are refused before a decoder walks over them
source.py   a path, a URL or a member of an archive → the bytes there, by one of the next three
read.py     a file → its bytes; pipes and devices are refused
web.py      a URL → the bytes there, from public addresses only
archive.py  tar and zip archives → their members, in order, never unpacked to disk
picture.py  a file's bytes → a picture in RGB: Pillow's decoders, and the boundary around them
jpeg.py     a JPEG's pixels by a faster decoder, where they are Pillow's
frames.py   how many frames a file holds
modes.py    Pillow's modes → RGB, with the table
misread.py  TIFFs that Pillow decodes to other pixels than they hold are refused
orient.py   EXIF orientation
pixels.py   RGB → Pixels
arrays.py   uint8 arrays → Pixels
isolate.py  Workers: the decoders in processes that may be killed; worker.py is what runs in them
quiet.py    Pillow's warnings stay off the user's terminal
files.py    find_images: files, folders, archives → the pictures to read, in order
"""

from gmixer.images.decode import ImageLike, Orientation, decode
from gmixer.images.files import Found, find_images, is_archive, is_image_file
from gmixer.images.limits import Limits
from gmixer.images.pixels import Pixels
from gmixer.images.sniff import sniff

__all__ = [
    "Found",
    "ImageLike",
    "Limits",
    "Orientation",
    "Pixels",
    "decode",
    "find_images",
    "is_archive",
    "is_image_file",
    "sniff",
]
