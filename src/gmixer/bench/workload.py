"""What one process measures, as an object that travels between processes.

B images of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.isa import check_isa
from gmixer.options import FP32, Native, NativePrecision, Reading, WeightsSource
from gmixer.runtimes.threads import check_threads
from gmixer.weights import find_checkpoint

if TYPE_CHECKING:
    from gmixer.predictor import Predictor
    from gmixer.runtimes import Engine
    from gmixer.weights import Checkpoint

SEED = 1


@dataclass(frozen=True, slots=True)
class Workload:
    """One model, the batch it computes, how gmixer runs it, and how long it is measured."""

    source: str  # gmixer.load takes it,
    variant: str | None  # with this name=
    batch: int
    native: Native
    seconds: float
    allow_pickle: bool = False

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Workload:
        """fields: from dataclasses.asdict, through JSON."""
        return cls(**{**fields, "native": Native(**fields["native"])})

    @property
    def threads(self) -> int:
        """What the network runs on. Raises EngineError for a number that is not possible."""
        return check_threads(self.native.threads)

    @property
    def precision(self) -> NativePrecision:
        """What a plan names; without one, fp32."""
        return self.native.precision or FP32

    @property
    def isa(self) -> str:
        """What the network runs on. Raises EngineError for an instruction set that this CPU does not support."""
        return check_isa(self.native.isa, self.precision)

    def checkpoint(self) -> Checkpoint:
        return find_checkpoint(self.source, self._weights)

    def load_predictor(self) -> Predictor:
        from gmixer.loading import open_predictor

        return open_predictor(self.source, self._weights, Reading(), self.native)

    @property
    def _weights(self) -> WeightsSource:
        return WeightsSource(name=self.variant, allow_pickle=self.allow_pickle)

    def load_engine(self) -> Engine:
        return native_engine(self.load_predictor())


def native_engine(predictor: Predictor) -> Engine:
    from gmixer.runtimes import Engine

    assert isinstance(predictor.runtime, Engine)  # self.native opens it
    return predictor.runtime


def drawn_images(config: ModelConfig, batch: int) -> NDArray[np.float32]:
    """Normalised images of noise, (B, in_chans, image_px, image_px). A larger batch begins with the smaller one."""
    shape = (batch, config.in_chans, config.image_px, config.image_px)
    return np.random.default_rng(SEED).standard_normal(shape, np.float32)
