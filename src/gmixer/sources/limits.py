"""How much a picture may ask for before it is refused."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gmixer.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a file may hold at most; more is refused as "too_large", before it is decoded. And what decoding may take.

    max_bytes: of the file as stored.
    max_pixels: width × height; 89,000,000 decode to 267 MB of RGB.
    max_frames: of an animation or a many-page TIFF, although only the first one is decoded.

    With isolate only:
    max_seconds: from a file's bytes to its pixels; more is a "timeout".
    max_memory_bytes: of a decoding process; more is "corrupt": only a damaged file asks for it. Enforced on Linux.

    Raises InputError unless max_seconds is a number above 0 and up to 86,400, and the others whole numbers above 0.
    """

    max_bytes: int = 64 * 2**20  # guessed: four times the JPEG of a 100-megapixel camera
    max_pixels: int = 89_000_000  # just below where Pillow begins to warn (89,478,485)
    max_frames: int = 1_000  # guessed: 40 s of animation at 25 frames per second
    max_seconds: float = 30  # the slowest pictures of 89 megapixels took 8 s, on two cores that six programs shared
    max_memory_bytes: int = 2 * 2**30  # 89 megapixels of WebP with alpha fit 1.5 GiB, all else that was tried 1.25

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "max_seconds":
                if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 86_400:
                    raise InputError(f"Limits.max_seconds is {value!r}; wanted a number above 0, up to 86,400")
            elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"Limits.{field.name} is {value!r}; wanted a whole number above 0")


DEFAULT_LIMITS = Limits()
