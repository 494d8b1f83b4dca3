"""The measured model: a variant of the catalogue with drawn weights, or a model whose weights are on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gmixer.bench.workload import Workload
from gmixer.catalogue import VARIANTS, find_model
from gmixer.config import ModelConfig
from gmixer.options import FP32, Native, NativePrecision, WeightsSource
from gmixer.runtimes.opening import with_precision
from gmixer.weights import find_checkpoint, is_path
from gmixer.weights.drawn import drawn_tensors
from gmixer.weights.find import refuse_name

SEED = 0


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    config: ModelConfig
    source: str  # gmixer.load takes it in any process,
    variant: str | None  # with this name=
    drawn: bool
    scratch: Path  # a folder that exists as long as the target is measured
    precision: NativePrecision
    allow_pickle: bool = False

    def workload(self, *, batch: int = 1, native: Native = Native(threads=1), seconds: float = 0) -> Workload:
        return Workload(
            self.source,
            self.variant,
            batch=batch,
            native=native,
            seconds=seconds,
            allow_pickle=self.allow_pickle,
        )


@contextmanager
def open_target(model: str, weights: WeightsSource = WeightsSource(), native: Native = Native()) -> Iterator[Target]:
    """model: a bare variant gets drawn weights (drawn_tensors); a variant with its tag, a folder or a file has its own.

    native: its precision is the target's; without one, what the weights are stored for.
    Raises UnknownModelError, WeightsError, InputError, EngineError. Never touches the network.
    """
    with TemporaryDirectory(prefix="gmixer-bench-") as folder:
        scratch = Path(folder)
        if model in VARIANTS and not is_path(model):
            refuse_name(weights, f"{model} is a model of the table")
            config = find_model(model)[1].model
            path = scratch / "drawn.safetensors"
            _draw(config, path)
            precision = native.precision or FP32
            yield Target(model, config, str(path), model, drawn=True, scratch=scratch, precision=precision)
        else:
            checkpoint = find_checkpoint(model, replace(weights, fetch=False))
            chosen = with_precision(native, checkpoint)
            assert isinstance(chosen, Native) and chosen.precision is not None
            yield Target(
                checkpoint.name,
                checkpoint.model,
                model,
                weights.name,
                drawn=False,
                scratch=scratch,
                precision=chosen.precision,
                allow_pickle=weights.allow_pickle,
            )


def _draw(config: ModelConfig, path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(drawn_tensors(config, SEED), path)
