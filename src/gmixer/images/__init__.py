"""Bytes → Pixels: uint8 (H, W, 3) RGB, or with other channels. Decoding only.

decode.py            decode: the one way in; whatever goes wrong inside a decoder comes out as one ImageError
decoders.py          a file's bytes → an image in RGB: Pillow's decoders, and the boundary around them
jpeg.py              a JPEG's pixels by a faster decoder, where they are Pillow's
structure_limits.py  files of very many very small pieces are refused before a decoder walks over them
frames.py            how many frames a file holds
modes.py             Pillow's modes → RGB, with the table
pillow_bugs.py       TIFFs that Pillow decodes to other pixels than they hold are refused
exif.py              EXIF orientation
pixels.py            RGB → Pixels
arrays.py            uint8 arrays → Pixels
silence.py           Pillow's warnings stay off the user's terminal

Nothing is imported here: a decoding process needs decoders.py and modes.py alone.
"""
