"""A checkpoint and the options of a runtime → the runtime, ready to run."""

from __future__ import annotations

from dataclasses import replace

from gmixer.errors import EngineError, InputError, require_torch
from gmixer.isa import check_isa
from gmixer.options import FP32, Native, Torch
from gmixer.runtimes.native import Engine
from gmixer.runtimes.protocol import Runtime
from gmixer.weights import Checkpoint


def open_runtime(checkpoint: Checkpoint, options: Native | Torch) -> Runtime:
    """The checkpoint's weights on the native core or in PyTorch.

    Raises EngineError (isa, precision, threads, device, an architecture that the runtime cannot run), InputError (a
    precision that the weights cannot have), WeightsError (NaN, a missing tensor), MissingExtraError (torch is not
    installed).
    """
    options, source = with_precision(options, checkpoint), str(checkpoint.path)
    if isinstance(options, Native):
        return Engine(
            checkpoint.model,
            checkpoint.native_tensors(),
            threads=options.threads,
            isa=options.isa,
            source=source,
            precision=options.precision or FP32,
        )
    with require_torch("runtime='torch'"):
        from gmixer.runtimes.torch import TorchEngine
    return TorchEngine(checkpoint.model, checkpoint.tensors(), options, source=source)


def with_precision(options: Native | Torch, checkpoint: Checkpoint) -> Native | Torch:
    """The same options. A precision that was not given is the one that the weights are stored for.

    Raises InputError for weights in int8 that shall run in another precision, or in PyTorch. Raises EngineError if this
    CPU has no kernels for the precision.
    """
    stored_for, conversion = checkpoint.stored_for, checkpoint.conversion
    if conversion and stored_for == "int8" and options.precision not in (None, "int8"):
        raise InputError(
            f"precision is {options.precision!r} and {checkpoint.name} is stored in int8, which holds no other "
            f"precision; leave out precision (--precision), or load the original, {conversion.source}"
        )
    if isinstance(options, Torch):
        if conversion and stored_for == "int8":
            raise InputError(
                f"{checkpoint.name} is stored in int8, which only the native runtime computes: leave out "
                f"runtime='torch' (--runtime torch), or load the original, {conversion.source}"
            )
        assert stored_for != "int8"
        return replace(options, precision=options.precision or stored_for)
    try:
        check_isa(options.isa, options.precision or stored_for)
    except EngineError as error:
        if options.precision is not None or conversion is None:
            raise
        told = f"{checkpoint.name} is stored for {stored_for}; {error}"
        raise EngineError(f"{told}; or load the original, {conversion.source}") from None
    return replace(options, precision=options.precision or stored_for)


def check_offered(options: Native | Torch) -> None:
    """Raises EngineError if this CPU has no kernels for the ISA and the precision. Reads no weights."""
    if isinstance(options, Native):
        check_isa(options.isa, options.precision or FP32)
