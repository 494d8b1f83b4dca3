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


def check_isa(isa: str | None = None) -> str:
    """`isa`, else $GMIXER_ISA, else the best instruction set. Raises EngineError if this CPU does not support it."""
    isas = available_isas()
    wanted = isa if isa is not None else os.environ.get("GMIXER_ISA") or isas[0]
    if wanted not in isas:
        source = "isa" if isa is not None else "GMIXER_ISA"
        raise EngineError(f"{source}={wanted!r} is not available on this CPU; it supports {', '.join(isas)}")
    return wanted
