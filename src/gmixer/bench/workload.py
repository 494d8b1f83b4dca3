"""What one process measures, as an object that travels between processes.

B images of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.options import WeightsSource
from gmixer.weights import find_checkpoint

if TYPE_CHECKING:
    from gmixer.predictor import Predictor
    from gmixer.runtimes import Engine
    from gmixer.weights import Checkpoint

SEED = 1


@dataclass(frozen=True, slots=True)
class Workload:
    """One model, the batch it computes, how gmixer runs it, and how long it is measured. dataclasses.asdict is JSON."""

    source: str  # gmixer.load takes it,
    variant: str | None  # with this name=
    batch: int
    threads: int
    isa: str | None
    seconds: float

    def checkpoint(self) -> Checkpoint:
        return find_checkpoint(self.source, WeightsSource(name=self.variant))

    def load_predictor(self) -> Predictor:
        import gmixer

        return gmixer.load(self.source, name=self.variant, threads=self.threads, isa=self.isa)

    def load_engine(self) -> Engine:
        return native_engine(self.load_predictor())


def native_engine(predictor: Predictor) -> Engine:
    from gmixer.runtimes import Engine

    assert isinstance(predictor.runtime, Engine)  # gmixer.load's default
    return predictor.runtime


def drawn_images(config: ModelConfig, batch: int) -> NDArray[np.float32]:
    """Normalised images of noise, (B, in_chans, image_px, image_px). A larger batch begins with the smaller one."""
    shape = (batch, config.in_chans, config.image_px, config.image_px)
    return np.random.default_rng(SEED).standard_normal(shape, np.float32)
