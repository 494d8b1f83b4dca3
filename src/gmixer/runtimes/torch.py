"""The forward pass in PyTorch, on any device that torch can use. Takes and gives numpy arrays, as the native engine.

B images, N patches, C channels, K classes.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from gmixer.config import ModelConfig
from gmixer.errors import EngineError
from gmixer.models.load_into import empty_mixer, load_mixer
from gmixer.options import FP32, Torch, TorchPrecision
from gmixer.runtimes.protocol import (
    PARITY_BOUND,
    Float32,
    Output,
    checked_images,
    checked_output,
    checked_tensors,
)
from gmixer.weights.weights_file import not_finite

T = TypeVar("T")

DTYPES: dict[TorchPrecision, torch.dtype] = {FP32: torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# A compiled network rounds at other places than eager: it may be this many times as far from exact float32.
COMPILED_BOUND = 4.0

# Torch's process-wide flags that allow float32 products in a lower precision. cudnn's flag is on by default.
_FP32_FLAGS: tuple[Any, ...] = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,  # type: ignore[attr-defined] # torch makes them at import
    torch.backends.cudnn.rnn,  # not used here, but torch's older allow_tf32 fails if conv and rnn differ
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
)
_FP32_FLAGS_LOCK = threading.Lock()


class Stages(NamedTuple):
    """The last stages of the network, float32."""

    tokens: Tensor  # (B, N, C)
    features: Tensor  # (B, C)
    logits: Tensor  # (B, K)


class TorchEngine:
    """A Mixer on a torch device, for inference. Several Python threads may call it; they take turns.

    tensors: every tensor of config.tensor_shapes(), float32, in any order; copied.
    options: device, precision (None: fp32), compile. Sums, the residual stream and the head are float32 in every
        precision. "fp32" is float32 throughout, even if the caller has switched on TF32 or autocast. compile:
        torch.compile runs at the first call, and again at the first batch of one image; it needs torch's compilers.
        Each of these two batches is compared with eager.
    source: the name of the tensors in an error.

    Raises EngineError (a device that torch cannot use), WeightsError (NaN, a missing tensor).
    """

    batch_hint = 16  # on a CPU, torch's last bits depend on the batch size: recorded results are of batches of 16

    def __init__(
        self,
        config: ModelConfig,
        tensors: Iterable[tuple[str, Float32]],
        options: Torch = Torch(),
        *,
        source: str = "the weights given",
    ) -> None:
        self.config = config
        self.device = usable_device(options.device)
        self.precision: TorchPrecision = options.precision or FP32
        self.compiled = options.compile
        checked = _finite(checked_tensors(tensors, config, source=source), source=source)
        mixer = load_mixer(config, checked, source=source, make=partial(empty_mixer, device=self.device))
        self._mixer = mixer.eval().requires_grad_(False)
        self._stages = torch.compile(self._last_stages, dynamic=True) if options.compile else self._last_stages
        self._compared: set[str] = set()  # which of the compiled graphs were compared with eager

    def __repr__(self) -> str:
        return f"<TorchEngine: torch on {self.device}, {self.precision}{', compiled' if self.compiled else ''}>"

    def forward(self, x_BCHW: Float32, *, tokens: bool = False) -> Output:
        """Normalised images, float32 (B, in_chans, image_px, image_px) → Output.

        Raises InputError for other arrays; EngineError if the output is not finite, or if the compiled network differs
        from eager.
        """
        x = _as_tensor(checked_images(x_BCHW, self.config))
        with torch.inference_mode():
            if self.device.type == "cuda":
                # A new pinned buffer each time: torch's allocator reuses its memory only after the copy.
                x = x.pin_memory()
            # One precision for all operations: the caller's own autocast does not count here.
            with _exact_fp32(), torch.autocast(self.device.type, enabled=False):
                x = x.to(self.device, non_blocking=True)
                tokens_BNC, features_BC, logits_BK = last = self._stages(x)
                if self.compiled:
                    self._compare(x, last)
            output = Output(_as_array(features_BC), _as_array(logits_BK), _as_array(tokens_BNC) if tokens else None)
        return checked_output(output, x_BCHW, self)

    def _compare(self, x: Tensor, compiled: Stages) -> None:
        """Raises EngineError if a graph's first batch is further from exact float32 than eager is.

        On some CPUs, torch 2.14 compiles a network of reduced precision that gives NaN for every image.
        """
        graph = "one image" if len(x) == 1 else "several images"
        if graph in self._compared or not len(x):
            return
        eager = self._last_stages(x)
        exact = eager if self.precision == FP32 else self._last_stages(x, precision=FP32)
        for stage, got, by_eager, wanted in zip(Stages._fields, compiled, eager, exact, strict=True):
            usual, difference = _relative(by_eager, wanted), _relative(got, wanted)
            # Where eager has NaN too, the images or the precision are the reason, and checked_output says so.
            if math.isfinite(usual) and not difference <= PARITY_BOUND + COMPILED_BOUND * usual:
                raise EngineError(
                    f"torch {torch.__version__} compiles this network wrongly for {self.device} in {self.precision}: "
                    f"its {stage} of {graph} differ by {difference:.2g} of their size from float32, and by {usual:.2g} "
                    f"without compile; pass compile=False, or precision='fp32'"
                )
        self._compared.add(graph)

    def _last_stages(self, x: Tensor, precision: TorchPrecision | None = None) -> Stages:
        """Images → tokens, features and logits. precision: None is the engine's own."""
        mixer, precision = self._mixer, precision or self.precision
        with torch.autocast(self.device.type, DTYPES[precision], enabled=precision != FP32):
            x_BNC = mixer.stem(x).float()  # else the residual stream would have the stem's precision
            tokens_BNC = mixer.norm(mixer.blocks(x_BNC))
        features_BC = tokens_BNC.mean(dim=1)
        return Stages(tokens_BNC, features_BC, mixer.head(features_BC)[:, : self.config.num_classes])


def _relative(got: Tensor, wanted: Tensor) -> float:
    """The rms difference, of the size of `wanted`. A new head's logits are all zero: then the difference itself."""
    size = float(wanted.norm())
    return float((got - wanted).norm()) / (size if size else 1.0)


def _finite(tensors: Iterable[tuple[str, Float32]], *, source: str) -> Iterator[tuple[str, Float32]]:
    """The same tensors. Raises WeightsError for one that holds NaN or infinity."""
    for name, values in tensors:
        if not np.isfinite(values).all():
            raise not_finite(name, source=source)
        yield name, np.ascontiguousarray(values, np.float32)


def usable_device(device: str) -> torch.device:
    """The torch device of this name, with its index. Raises EngineError for a device that cannot compute here."""
    try:
        probe = torch.zeros(1, device=torch.device(device))
        probe.item()  # fails on "meta"
    except Exception as error:  # its type depends on the device and on torch's build
        devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        devices += ["mps"] if torch.backends.mps.is_available() else []
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise EngineError(
            f"device={device!r} cannot be used ({reason}); this torch {torch.__version__} has {', '.join(devices)} "
            f"here: pass one of these, or install a torch that is built for your device"
        ) from error
    return probe.device


@contextmanager
def _exact_fp32() -> Iterator[None]:
    """Inside, float32 products are computed in float32. On exit torch's flags have their old values again.

    Torch reads the flags when it launches an operation, so the GPU may still be at work on exit. A lock keeps two
    threads from restoring each other's values. Other threads of the process may see the exact setting meanwhile.
    """
    with _FP32_FLAGS_LOCK:
        before = [flags.fp32_precision for flags in _FP32_FLAGS]
        # Torch has older flags of the same meaning, and fails if both are read and differ. The older flags are set
        # first, because that resets the newer flags to "inherit".
        older_matmul = _read(torch.get_float32_matmul_precision) or "highest"
        older_tf32 = _read(lambda: torch.backends.cudnn.allow_tf32) or False
        if older_matmul != "highest":
            torch.set_float32_matmul_precision("highest")
        if older_tf32:
            torch.backends.cudnn.allow_tf32 = False
        for flags in _FP32_FLAGS:
            if flags.fp32_precision not in ("ieee", "none"):
                flags.fp32_precision = "ieee"
        try:
            yield
        finally:
            if older_tf32:
                torch.backends.cudnn.allow_tf32 = True
            if older_matmul != "highest":
                torch.set_float32_matmul_precision(older_matmul)
            for flags, was in zip(_FP32_FLAGS, before, strict=True):
                if flags.fp32_precision != was:
                    flags.fp32_precision = was


def _read(older_record: Callable[[], T]) -> T | None:
    """The older flag; None if the newer flags contradict it. Torch then refuses to read it, and it does not change."""
    try:
        return older_record()
    except RuntimeError:
        return None


def _as_tensor(values: Float32) -> Tensor:
    """Shares the array's memory. A read-only array is copied, because torch would warn."""
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def _as_array(x: Tensor) -> Float32:
    values: Float32 = x.cpu().numpy()
    return values
