"""The forward pass in PyTorch, on any device that torch can use. Takes and gives numpy arrays, as the native engine.

B images, N patches, C channels, K classes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gmixer.config import ModelConfig
from gmixer.errors import EngineError
from gmixer.models.mixer import Mixer
from gmixer.options import FP32, Precision, Torch
from gmixer.runtimes.protocol import Float32, Output, checked_images, checked_tensors, not_finite

T = TypeVar("T")

DTYPES: dict[Precision, torch.dtype] = {FP32: torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Torch's process-wide flags that allow float32 products in a lower precision. cudnn's flag is on by default.
_FP32_FLAGS: tuple[Any, ...] = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,  # type: ignore[attr-defined] # torch makes them at import
    torch.backends.cudnn.rnn,  # not used here, but torch's older allow_tf32 fails if conv and rnn differ
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
)
_FP32_FLAGS_LOCK = threading.Lock()


class TorchEngine:
    """A Mixer on a torch device, for inference. Several Python threads may call it; they take turns.

    tensors: every tensor of config.tensor_shapes(), float32, in any order; copied.
    options: device, precision, compile. Sums, the residual stream and the head are float32 in every precision. "fp32"
        is float32 throughout, even if the caller has switched on TF32 or autocast. compile: torch.compile runs at the
        first call, and again at the first batch of one image; it needs torch's compilers.
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
        self.precision: Precision = options.precision
        self.compiled = options.compile
        # On the meta device no values are drawn: that saves time, and the caller's random state does not change.
        mixer = Mixer(config, device="meta", dtype=torch.float32).to_empty(device=self.device)
        self._mixer = mixer.eval().requires_grad_(False)
        state = self._mixer.state_dict()
        for name, values in checked_tensors(tensors, config, source=source):
            if not np.isfinite(values).all():
                raise not_finite(name, source=source)
            state[name].copy_(_as_tensor(values))
        self._stages = torch.compile(self._last_stages, dynamic=True) if options.compile else self._last_stages

    def __repr__(self) -> str:
        return f"<TorchEngine: torch on {self.device}, {self.precision}{', compiled' if self.compiled else ''}>"

    def forward(self, x_BCHW: Float32, *, tokens: bool = False) -> Output:
        """Normalised images, float32 (B, in_chans, image_px, image_px) → Output. Raises InputError for other arrays."""
        x = _as_tensor(checked_images(x_BCHW, self.config))
        with torch.inference_mode():
            if self.device.type == "cuda":
                # A new pinned buffer each time: torch's allocator reuses its memory only after the copy.
                x = x.pin_memory()
            # One precision for all operations: the caller's own autocast does not count here.
            with _exact_fp32(), torch.autocast(self.device.type, enabled=False):
                tokens_BNC, features_BC, logits_BK = self._stages(x.to(self.device, non_blocking=True))
            return Output(_as_array(features_BC), _as_array(logits_BK), _as_array(tokens_BNC) if tokens else None)

    def _last_stages(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images → tokens (B, N, C), features (B, C), logits (B, K), all float32."""
        mixer, reduced = self._mixer, self.precision != FP32
        with torch.autocast(self.device.type, DTYPES[self.precision], enabled=reduced):
            x_BNC = mixer.stem(x).float()  # else the residual stream would have the stem's precision
            tokens_BNC = mixer.norm(mixer.blocks(x_BNC))
        features_BC = tokens_BNC.mean(dim=1)
        return tokens_BNC, features_BC, mixer.head(features_BC)[:, : self.config.num_classes]


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
