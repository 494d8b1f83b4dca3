"""A checkpoint and the options of a runtime → the runtime, ready to run."""

from __future__ import annotations

from gmixer.errors import require_torch
from gmixer.isa import check_isa
from gmixer.options import Native, Torch
from gmixer.runtimes.native import Engine
from gmixer.runtimes.protocol import Runtime
from gmixer.weights import Checkpoint


def open_runtime(checkpoint: Checkpoint, options: Native | Torch) -> Runtime:
    """The checkpoint's weights on the native core or in PyTorch.

    Raises EngineError (isa, precision, threads, device, an architecture that the runtime cannot run), WeightsError
    (NaN, a missing tensor), MissingExtraError (torch is not installed).
    """
    source = str(checkpoint.path)
    if isinstance(options, Native):
        return Engine(
            checkpoint.model,
            checkpoint.tensors(),
            threads=options.threads,
            isa=options.isa,
            source=source,
            precision=options.precision,
        )
    with require_torch("runtime='torch'"):
        from gmixer.runtimes.torch import TorchEngine
    return TorchEngine(checkpoint.model, checkpoint.tensors(), options, source=source)


def check_offered(options: Native | Torch) -> None:
    """Raises EngineError if this CPU has no kernels for the ISA and the precision. Reads no weights."""
    if isinstance(options, Native):
        check_isa(options.isa, options.precision)
