"""How much a picture may ask for before it is refused."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gmixer.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a file may hold at most; more is refused as "too_large", before it is decoded.

    max_bytes: of the file as stored.
    max_pixels: width × height; 89,000,000 decode to 267 MB of RGB.
    max_frames: of an animation or a many-page TIFF, although only the first one is decoded.

    Raises InputError unless all three are whole numbers above 0.
    """

    max_bytes: int = 64 * 2**20  # guessed: four times the JPEG of a 100-megapixel camera
    max_pixels: int = 89_000_000  # just below where Pillow begins to warn (89,478,485)
    max_frames: int = 1_000  # guessed: 40 s of animation at 25 frames per second

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"Limits.{field.name} is {value!r}; wanted a whole number above 0")


DEFAULT_LIMITS = Limits()
