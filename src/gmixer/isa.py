"""The instruction set (ISA) that the native core uses, for the network and for the resize. It is chosen here only."""

from __future__ import annotations

import os

from gmixer import _native
from gmixer.errors import EngineError
from gmixer.options import FP32, Precision


def available_isas(precision: Precision = FP32) -> list[str]:
    """Instruction sets that this CPU supports and that have kernels of this precision, best first; [] if none has."""
    try:
        return _native.available_isas(precision)
    except ValueError:
        return []


def check_isa(isa: str | None = None, precision: Precision = FP32) -> str:
    """`isa`, else $GMIXER_ISA, else the best instruction set that has kernels of this precision.

    Scalar kernels of bf16 are many times slower than fp32, so they run only where "scalar" is named.

    Raises EngineError if this CPU does not support it, or if it has no kernels of this precision.
    """
    isas = available_isas(precision)
    if not isas:
        raise EngineError(
            f"precision={precision!r} has no kernels on this CPU; leave it out, or pass runtime='torch' "
            f"(--runtime torch)"
        )
    named = isa if isa is not None else os.environ.get("GMIXER_ISA") or None
    if named is None and precision == "bf16" and isas == ["scalar"]:
        raise EngineError(
            "precision='bf16' has no fast kernels on this CPU: they need AVX512-BF16 or NEON's BF16; take fp32 or "
            "int8, or runtime='torch' (--runtime torch), which computes in bf16 on every CPU; isa='scalar' "
            "(GMIXER_ISA=scalar) runs it slowly"
        )
    wanted = isas[0] if named is None else named
    if wanted not in isas:
        source = "isa" if isa is not None else "GMIXER_ISA"
        if wanted in available_isas():
            raise EngineError(f"{source}={wanted!r} has no kernels for {precision}; wanted one of {', '.join(isas)}")
        raise EngineError(f"{source}={wanted!r} is not available on this CPU; it supports {', '.join(isas)}")
    return wanted


def extension_of(isa: str, precision: Precision) -> str:
    """What the kernels of this precision use beyond the ISA: "vnni", "vnni-evex", "bf16", "dotprod", or ""."""
    smallest = _native.Model(
        image_px=1,
        patch_px=1,
        in_chans=1,
        channels=16,
        blocks=1,
        token_hidden=1,
        channel_hidden=1,
        gated=False,
        num_classes=0,
        threads=1,
        isa=isa,
        precision=precision,
    )
    return smallest.extension
