"""The instruction set (ISA) that the native core uses, for the network and for the resize. It is chosen here only."""

from __future__ import annotations

import os

from gmixer import _native
from gmixer.errors import EngineError


def available_isas(precision: str = "fp32") -> list[str]:
    """Instruction sets that this CPU supports in that precision, best first."""
    return _native.available_isas(precision)


def check_isa(isa: str | None = None) -> str:
    """`isa`, else $GMIXER_ISA, else the best instruction set. Raises EngineError if this CPU does not support it."""
    isas = available_isas()
    wanted = isa if isa is not None else os.environ.get("GMIXER_ISA") or isas[0]
    if wanted not in isas:
        source = "isa" if isa is not None else "GMIXER_ISA"
        raise EngineError(f"{source}={wanted!r} is not available on this CPU; it supports {', '.join(isas)}")
    return wanted
