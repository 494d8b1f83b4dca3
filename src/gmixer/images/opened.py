"""An image between the steps of decoding. Light: a decoding process imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

    from gmixer.images.stated_range import StatedRange


class Opened(NamedTuple):
    """An image that may not be decoded yet, and what its file says of its values.

    sixteen_bits: the file has 16 bits a channel, of which Pillow keeps the upper 8 in colour.
    again: the same file, opened once more and not decoded, for its lower 8 bits; None where there is no file.
    stated: the range of the values; None if the file states none.
    premultiplied: the image will be in mode RGBA, and its colours are multiplied by their alpha.
    """

    image: Image.Image
    sixteen_bits: bool = False
    again: Image.Image | None = None
    stated: StatedRange | None = None
    premultiplied: bool = False


class Decoded(NamedTuple):
    """image: in mode RGB, at the end of decoding. note: a sentence on what a user may not expect of it, or None."""

    image: Image.Image
    note: str | None
