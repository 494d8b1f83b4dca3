"""The forward pass in PyTorch: numpy in, numpy out, as the native engine's, on any device that torch can use.

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
from gmixer.runtimes.protocol import (
    Float32,
    Output,
    Precision,
    check_precision,
    checked_images,
    checked_tensors,
    not_finite,
)

T = TypeVar("T")

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Torch's process-wide permissions to compute in less than the float32 asked for; cudnn's is given from the start.
_FP32_FLAGS: tuple[Any, ...] = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,  # type: ignore[attr-defined] # torch makes them at import
    torch.backends.cudnn.rnn,  # not used here, but torch's older allow_tf32 fails where conv and rnn differ
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
)
_FP32_FLAGS_LOCK = threading.Lock()


class TorchEngine:
    """A Mixer on a torch device, for inference. Several Python threads may call it; they take turns.

    tensors: every tensor of config.tensor_shapes(), float32, in any order; copied.
    device: as torch names them: "cpu", "cuda", "cuda:1", "mps".
    precision: "bf16" and "fp16" are of the products only; sums, the residual stream and the head stay float32.
        "fp32" is float32 throughout, whatever TF32 or autocast the caller's process has switched on.
    compile: torch.compile at the first call, and once more for batches of one image; needs torch's compilers.
    source: what to call the tensors in an error.

    Raises InputError (precision), EngineError (a device that torch cannot use), WeightsError (NaN, a missing tensor).
    """

    def __init__(
        self,
        config: ModelConfig,
        tensors: Iterable[tuple[str, Float32]],
        *,
        device: str = "cpu",
        precision: Precision = "fp32",
        compile: bool = False,
        source: str = "the weights given",
    ) -> None:
        check_precision(precision)
        self.config = config
        self.device = usable_device(device)
        self.precision: Precision = precision
        self.compiled = compile
        # On meta nothing is drawn: no time for values to be overwritten, and the caller's random state stays.
        mixer = Mixer(config, device="meta", dtype=torch.float32).to_empty(device=self.device)
        self._mixer = mixer.eval().requires_grad_(False)
        state = self._mixer.state_dict()
        for name, values in checked_tensors(tensors, config, source=source):
            if not np.isfinite(values).all():
                raise not_finite(name, source=source)
            state[name].copy_(_as_tensor(values))
        self._stages = torch.compile(self._last_stages, dynamic=True) if compile else self._last_stages

    def __repr__(self) -> str:
        return f"<TorchEngine: torch on {self.device}, {self.precision}{', compiled' if self.compiled else ''}>"

    def forward(self, x_BCHW: Float32, *, tokens: bool = False) -> Output:
        """Normalised images, float32 (B, in_chans, image_px, image_px) → Output. Raises InputError for other arrays."""
        x = _as_tensor(checked_images(x_BCHW, self.config))
        with torch.inference_mode():
            if self.device.type == "cuda":
                # A new pinned buffer each time: torch's allocator gives its memory out again only after the copy.
                x = x.pin_memory()
            # One precision for all of it, and none of the caller's own autocast around the call.
            with _exact_fp32(), torch.autocast(self.device.type, enabled=False):
                tokens_BNC, features_BC, logits_BK = self._stages(x.to(self.device, non_blocking=True))
            return Output(_as_array(features_BC), _as_array(logits_BK), _as_array(tokens_BNC) if tokens else None)

    def _last_stages(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images → tokens (B, N, C), features (B, C), logits (B, K), all float32."""
        mixer, reduced = self._mixer, self.precision != "fp32"
        with torch.autocast(self.device.type, _DTYPES[self.precision], enabled=reduced):
            x_BNC = mixer.stem(x).float()  # or the residual stream would go on in the stem's precision
            tokens_BNC = mixer.norm(mixer.blocks(x_BNC))
        features_BC = tokens_BNC.mean(dim=1)
        return tokens_BNC, features_BC, mixer.head(features_BC)[:, : self.config.num_classes]


def usable_device(device: str) -> torch.device:
    """The torch device of this name, with its index. Raises EngineError for one that cannot compute here."""
    try:
        probe = torch.zeros(1, device=torch.device(device))
        probe.item()  # which "meta" cannot
    except Exception as error:  # of any type, by the kind of device and how torch was built
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
    """Float32 products in float32 while it lasts; afterwards torch's flags are as they were.

    The flags are read when an operation is launched, so it need not last until a GPU has finished. One at a time: two
    that overlapped would put back each other's values. Other threads of the process may meet the exact setting too.
    """
    with _FP32_FLAGS_LOCK:
        before = [flags.fp32_precision for flags in _FP32_FLAGS]
        # Torch keeps an older record of the same, and fails where both are read and differ. It goes first, as setting
        # it lets the flags above inherit again.
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
    """None where the caller has set the newer flags otherwise, so that torch will not tell: it is left as it is."""
    try:
        return older_record()
    except RuntimeError:
        return None


def _as_tensor(values: Float32) -> Tensor:
    """Shares the memory, but for read-only arrays, of which torch would warn."""
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def _as_array(x: Tensor) -> Float32:
    values: Float32 = x.cpu().numpy()
    return values
