"""opening.py: Native or Torch → the runtime that runs the checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gmixer import isa
from gmixer.errors import EngineError, InputError
from gmixer.options import Native, Torch
from gmixer.runtimes import Engine, check_offered, open_runtime
from gmixer.runtimes.opening import with_precision
from gmixer.runtimes.torch import TorchEngine
from gmixer.weights import find_checkpoint
from gmixer.weights.convert import convert
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


def test_each_object_refuses_a_precision_that_its_runtime_does_not_offer() -> None:
    for kind, runtime, offered in ((Native, "native", "fp32, bf16, int8"), (Torch, "torch", "fp32, bf16, fp16")):
        for precision in (*offered.split(", "), None):
            kind(precision=precision)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=f"precision is 'fp8'; the {runtime} runtime computes in {offered}: leave"):
            kind(precision="fp8")  # type: ignore[arg-type]
    message = "leave it out, or pass runtime='torch' (--runtime torch), which computes in fp16"
    with pytest.raises(InputError, match=re.escape(message)):
        Native(precision="fp16")  # type: ignore[arg-type]
    message = "leave it out, or pass runtime='native' (--runtime native), which computes in int8"
    with pytest.raises(InputError, match=re.escape(message)):
        Torch(precision="int8")  # type: ignore[arg-type]


def test_what_this_cpu_has_no_kernels_for_is_refused_before_weights_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    check_offered(Native())
    check_offered(Torch(precision="fp16"))
    with pytest.raises(EngineError, match=r"isa='mmx' is not available on this CPU; it supports .*scalar"):
        check_offered(Native(isa="mmx"))
    rows = {"fp32": ["best", "scalar"], "fp8": ["best"]}
    monkeypatch.setattr(isa, "available_isas", lambda precision="fp32": rows.get(precision, []))
    assert isa.check_isa("scalar") == "scalar" and isa.check_isa(None, "fp8") == "best"  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="isa='scalar' has no kernels for fp8; wanted one of best"):
        isa.check_isa("scalar", "fp8")  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="precision='int4' has no kernels on this CPU; leave it out, or pass runtime"):
        isa.check_isa(None, "int4")  # type: ignore[arg-type]


def test_scalar_bf16_runs_only_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is many times slower than fp32, which nobody who asks for a fast precision expects. int8 runs everywhere."""
    rows = {"fp32": ["avx2", "scalar"], "bf16": ["scalar"], "int8": ["avx2", "scalar"]}
    monkeypatch.setattr(isa, "available_isas", lambda precision="fp32": rows[precision])
    monkeypatch.delenv("GMIXER_ISA", raising=False)
    assert isa.check_isa(None, "int8") == "avx2" and isa.check_isa("scalar", "bf16") == "scalar"
    with pytest.raises(EngineError, match=r"precision='bf16' has no fast kernels on this CPU: .* isa='scalar' \(GM"):
        isa.check_isa(None, "bf16")
    with pytest.raises(EngineError, match="isa='avx2' has no kernels for bf16; wanted one of scalar"):
        isa.check_isa("avx2", "bf16")
    monkeypatch.setenv("GMIXER_ISA", "scalar")
    assert isa.check_isa(None, "bf16") == "scalar"
    rows["int8"] = ["scalar"]
    monkeypatch.delenv("GMIXER_ISA")
    assert isa.check_isa(None, "int8") == "scalar"


def test_a_bf16_folder_on_a_cpu_without_bf16_names_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert("gmixer_8_64", tmp_path / "small", "bf16")
    checkpoint = find_checkpoint(tmp_path / "small")
    real = isa.available_isas
    monkeypatch.setattr(isa, "available_isas", lambda p="fp32": ["scalar"] if p == "bf16" else real(p))
    message = r"small is stored for bf16; precision='bf16' has no fast kernels .*; or load the original, gmixer_8_64"
    with pytest.raises(EngineError, match=message):
        open_runtime(checkpoint, Native())
    with pytest.raises(EngineError, match=r"^precision='bf16' has no fast kernels"):
        open_runtime(find_checkpoint("gmixer_8_64"), Native(precision="bf16"))
    assert open_runtime(checkpoint, Native(isa="scalar")).precision == "bf16"
    assert open_runtime(checkpoint, Torch()).precision == "bf16"


def test_a_precision_that_was_not_given_is_that_of_the_weights() -> None:
    checkpoint = find_checkpoint("gmixer_8_64")
    assert with_precision(Native(), checkpoint) == Native(precision="fp32")
    assert with_precision(Native(precision="int8", threads=3), checkpoint) == Native(precision="int8", threads=3)
    assert with_precision(Torch(), checkpoint) == Torch(precision="fp32")
    assert with_precision(Torch(precision="fp16"), checkpoint) == Torch(precision="fp16")
