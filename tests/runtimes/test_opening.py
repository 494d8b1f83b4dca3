"""opening.py: Native or Torch → the runtime that runs the checkpoint."""

from __future__ import annotations

import numpy as np
import pytest

from gmixer.errors import InputError
from gmixer.options import Native, Torch
from gmixer.runtimes import Engine, check_offered, open_runtime
from gmixer.runtimes.torch import TorchEngine
from gmixer.weights import find_checkpoint
from mixers import drawn_images


def test_each_object_opens_its_own_runtime() -> None:
    checkpoint = find_checkpoint("gmixer_8_64")
    native = open_runtime(checkpoint, Native(threads=1, isa="scalar"))
    assert isinstance(native, Engine) and (native.threads, native.isa, native.precision) == (1, "scalar", "fp32")
    by_torch = open_runtime(checkpoint, Torch(precision="bf16"))
    assert isinstance(by_torch, TorchEngine) and (by_torch.device.type, by_torch.precision) == ("cpu", "bf16")
    for runtime in (native, by_torch):
        assert runtime.config == checkpoint.model and runtime.batch_hint == 16
        assert np.isfinite(runtime.forward(drawn_images(checkpoint.model, 1)).logits).all()


def test_a_precision_that_this_machine_does_not_offer_is_refused_before_weights_are_read() -> None:
    check_offered(Native())
    check_offered(Torch(precision="fp16"))
    with pytest.raises(InputError, match="precision is 'bf16'; the native engine computes in fp32: leave it out"):
        check_offered(Native(precision="bf16"))
    for kind in (Native, Torch):
        with pytest.raises(InputError, match="precision is 'fp8'; wanted one of fp32, bf16, fp16"):
            kind(precision="fp8")  # type: ignore[arg-type]
