"""What every runtime of the network has in common: what it takes, what it gives, and what it refuses.

B images, N patches, C channels, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.errors import InputError, WeightsError
from gmixer.options import Precision

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Output:
    """The result of one forward pass, float32."""

    features: Float32  # (B, C): the mean of the tokens
    logits: Float32  # (B, K)
    tokens: Float32 | None = None  # (B, N, C) after the last norm; None unless forward was called with tokens=True


class Runtime(Protocol):
    """What runs the network: `Engine` on the native core, `TorchEngine` in PyTorch. Its repr says where it runs."""

    @property
    def config(self) -> ModelConfig: ...

    @property
    def precision(self) -> Precision:
        """Of the products; sums are float32 in each."""
        ...

    @property
    def batch_hint(self) -> int:
        """How many images a caller with many should pass at a time."""
        ...

    def forward(self, x_BCHW: Float32, *, tokens: bool = False) -> Output:
        """Normalised images, float32 (B, in_chans, image_px, image_px) → Output. Raises InputError for other arrays."""
        ...


def checked_images(x_BCHW: Float32, config: ModelConfig) -> Float32:
    """The images, C-contiguous. Raises InputError unless float32 (B, in_chans, image_px, image_px)."""
    want = (config.in_chans, config.image_px, config.image_px)
    if not isinstance(x_BCHW, np.ndarray) or x_BCHW.dtype != np.float32 or x_BCHW.shape[1:] != want:
        got = f"{x_BCHW.dtype} {x_BCHW.shape}" if isinstance(x_BCHW, np.ndarray) else type(x_BCHW).__name__
        raise InputError(
            f"got {got}; wanted a float32 array (images, {want[0]}, {want[1]}, {want[2]}) of normalised pixels: "
            f"Predictor.transform makes one from an image"
        )
    return np.ascontiguousarray(x_BCHW)


def checked_tensors(
    tensors: Iterable[tuple[str, Float32]], config: ModelConfig, *, source: str
) -> Iterator[tuple[str, Float32]]:
    """The tensors, C-contiguous float32. Each is valid until the next one is taken, if `tensors` reuses its memory.

    Raises WeightsError for a tensor that is unknown or misshapen; at the end, if one of the model's is missing.
    """
    shapes = config.tensor_shapes()
    missing = set(shapes)
    for name, values in tensors:
        if shapes.get(name) != values.shape:
            wanted = shapes.get(name, "no such tensor")
            raise WeightsError(f"{source}: {name} is {values.shape}; wanted {wanted}")
        yield name, np.ascontiguousarray(values, np.float32)
        missing.discard(name)
    if missing:
        raise WeightsError(f"{source}: lacks {', '.join(sorted(missing)[:3])}; wanted {len(shapes)} tensors")


def not_finite(name: str, *, source: str) -> WeightsError:
    """The error for a tensor that holds NaN or infinity. A runtime finds such values while it copies the tensor."""
    return WeightsError(
        f"{source}: {name} holds NaN or infinity; wanted finite numbers: the file is damaged or the "
        f"training diverged, take another checkpoint"
    )
