"""What every runtime of the network has in common: what it takes, what it gives, and what it refuses.

B images, N patches, C channels, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.errors import EngineError, InputError, WeightsError
from gmixer.options import Precision
from gmixer.weights.weights_file import Quantized

Float32 = NDArray[np.float32]
T = TypeVar("T", bound=Float32 | Quantized)

# Relative rms difference up to which two runtimes agree. Two exact fp32 runtimes differ by 1e-6 on trained weights, and
# by up to 4e-4 on drawn weights: 24 blocks amplify rounding. Another activation or swapped gate halves differ by 1.
PARITY_BOUND = 1e-2


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
        """Of the blocks' products. Results and embeddings carry it."""
        ...

    @property
    def batch_hint(self) -> int:
        """How many images a caller with many should pass at a time."""
        ...

    def forward(self, x_BCHW: Float32, *, tokens: bool = False) -> Output:
        """Normalised images, float32 (B, in_chans, image_px, image_px) → Output.

        Raises InputError for other arrays; EngineError if the output is not finite.
        """
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


def checked_output(output: Output, x_BCHW: Float32, runtime: Runtime) -> Output:
    """The output, if it is finite. NaN in a token or a feature reaches the features and the logits.

    Raises InputError if the images themselves hold NaN or infinity, else EngineError.
    """
    B = len(output.features)
    finite_B = np.isfinite(output.features).all(axis=1) & np.isfinite(output.logits).all(axis=1)
    if finite_B.all():
        return output
    finite_images_B = np.isfinite(x_BCHW).all(axis=(1, 2, 3))
    if not finite_images_B.all():
        raise InputError(
            f"image {int(np.argmin(finite_images_B))} of {B} in the batch holds NaN or infinity; wanted "
            "finite normalised pixels: Predictor.transform makes them from an image"
        )
    way_out = "take another checkpoint, or run `gmixer doctor` to check this machine"
    if runtime.precision == "fp16":
        way_out = "fp16 ends at 65,504: pass precision='bf16' or 'fp32' (--precision)"
    elif runtime.precision != "fp32":
        way_out = "pass precision='fp32' (--precision); of a folder by gmixer convert, load the original"
    raise EngineError(
        f"{runtime!r} computed NaN or infinity for {np.count_nonzero(~finite_B)} of {B} images, from finite "
        f"images and weights: {way_out}"
    )


def checked_tensors(tensors: Iterable[tuple[str, T]], config: ModelConfig, *, source: str) -> Iterator[tuple[str, T]]:
    """The same tensors. Each is valid until the next one is taken, if `tensors` reuses its memory.

    Raises WeightsError for a tensor that is unknown or misshapen; at the end, if one of the model's is missing.
    """
    shapes = config.tensor_shapes()
    missing = set(shapes)
    for name, values in tensors:
        if shapes.get(name) != values.shape:
            wanted = shapes.get(name, "no such tensor")
            raise WeightsError(f"{source}: {name} is {values.shape}; wanted {wanted}")
        yield name, values
        missing.discard(name)
    if missing:
        raise WeightsError(f"{source}: lacks {', '.join(sorted(missing)[:3])}; wanted {len(shapes)} tensors")
