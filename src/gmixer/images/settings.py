"""DecodeSettings: what decoding needs to know of a Reading. It goes to a decoding process as a few bytes.

Light on purpose: a decoding process imports this module, and neither dataclasses nor numpy.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gmixer.options import Reading

_PACKED = Struct("<QQ?QQ?")
_MOST = 2**63  # of a number in the packed form; a higher limit than this has the same effect


class DecodeSettings(NamedTuple):
    """How one file is decoded.

    max_pixels, max_frames: as Limits has them.
    apply_exif: whether the image is rotated as its EXIF orientation says.
    channels: 3 for RGB, 1 for grey; other numbers are for arrays only.
    reduce_to_px: a JPEG is decoded at a half, a quarter or an eighth of its size, if its short side keeps this many
        pixels. 0: never.
    use_range: values of more than 8 bits are spread over the range that they use.
    """

    max_pixels: int
    max_frames: int
    apply_exif: bool
    channels: int
    reduce_to_px: int
    use_range: bool

    @classmethod
    def of(cls, reading: Reading, *, channels: int, reduce_to_px: int) -> DecodeSettings:
        limits = reading.limits
        turn, spread = reading.orientation == "apply", reading.range == "used"
        return cls(limits.max_pixels, limits.max_frames, turn, channels, reduce_to_px, spread)

    def packed(self) -> bytes:
        """PACKED_BYTES of them."""
        return _PACKED.pack(*(min(number, _MOST) for number in self))

    @classmethod
    def unpacked(cls, data: bytes) -> DecodeSettings:
        return cls(*_PACKED.unpack(data))


PACKED_BYTES = _PACKED.size
