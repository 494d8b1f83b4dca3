"""A file's bytes → pixels, by the Reading of a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gmixer.images.decode import decode
from gmixer.images.pixels import NotedPixels
from gmixer.isolation.workers import Workers
from gmixer.options import Reading


@dataclass(frozen=True)
class Decoder:
    """channels: 3 (RGB) or 1 (grey). A copy in another process starts decoding processes of its own."""

    reading: Reading
    channels: int = 3

    def __call__(self, data: bytes, *, name: str, reduce_to_px: int = 0) -> NotedPixels:
        """uint8 (H, W, channels). reduce_to_px: see gmixer.images.decode. Raises ImageError."""
        return decode(
            data,
            name=name,
            reading=self.reading,
            channels=self.channels,
            workers=self._workers,
            reduce_to_px=reduce_to_px,
        )

    @cached_property
    def _workers(self) -> Workers | None:
        return Workers() if self.reading.isolate else None
