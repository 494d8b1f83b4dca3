"""Bytes → Pixels: uint8 (H, W, 3) RGB, or with other channels. Decoding only.

decode.py            decode: the only entry point; every failure inside a decoder becomes one ImageError
settings.py          DecodeSettings: what decoding needs to know of a Reading
decoders.py          a file's bytes → an image in RGB: Pillow's decoders, and the code that catches their errors
opened.py            Opened and Decoded: an image between the steps of decoding
extras.py            formats whose package may be missing: HEIC and JPEG XL
heif.py              HEIC by pillow-heif
heif_items.py        the table of items in a HEIC, read first
jxl.py               JPEG XL by pillow-jxl-plugin
jxl_header.py        the header of a JPEG XL, read first
boxes.py             the boxes that both of these are made of
jpeg.py              a JPEG's pixels by a faster decoder, if they equal Pillow's
metadata.py          removes metadata that no pixel needs, before a decoder reads it
pieces.py            the segments of a JPEG, the chunks of a PNG, the tags of a TIFF
structure_limits.py  refuses files of very many very small pieces before a decoder reads them
frames.py            how many frames a file holds
modes.py             Pillow's modes → RGB, with the table
transparency.py      alpha → over white, unless it hides the whole image
value_range.py       values of more than 8 bits → 8 bits, by their range
stated_range.py      the range that a TIFF or a PNG states
sixteen_bits.py      both bytes of colour with 16 bits
raw_mode.py          how a file stores a pixel, in Pillow's words
pillow_bugs.py       refuses TIFFs that Pillow decodes to wrong pixels
exif.py              EXIF orientation
pixels.py            RGB → Pixels, and their note
arrays.py            uint8 arrays → Pixels
silence.py           keeps Pillow's warnings off the user's terminal

Nothing is imported here: a decoding process needs decoders.py and modes.py alone.
"""
