"""Scores the model in training on the validation part, by all processes of a run together.

B images of a batch, K classes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gmixer.config import ModelConfig
from gmixer.datasets.labeled_images import UNKNOWN
from gmixer.evaluate import Outcomes, Scored, score_images
from gmixer.models.mixer import Mixer
from gmixer.options import FP32, Precision
from gmixer.runtimes import Output, checked_output
from gmixer.train.distributed import World
from gmixer.train.run_context import TrainData


def validate(model: Mixer, data: TrainData, world: World) -> Scored:
    """The outcomes, errors and notes of the labelled images; the same in all processes."""
    mine = np.flatnonzero(data.val.labels != UNKNOWN)[world.rank :: world.size]
    runtime = ModelInTraining(model, world.device)
    (scored,) = score_images([runtime], data.val, mine, data.preprocess())
    shares = world.gathered(scored)
    return Scored(
        Outcomes.joined([share.outcomes for share in shares]),
        [error for share in shares for error in share.unreadable],
        {name: note for share in shares for name, note in share.notes.items()},
    )


class ModelInTraining:
    """The weights as they are now, in eval mode and in float32. The model keeps its mode until `forward` is called."""

    precision: Precision = FP32
    batch_hint = 32  # on a CPU, torch's last bits depend on the batch size: recorded runs have batches of 32

    def __init__(self, model: Mixer, device: torch.device) -> None:
        self._model, self._device = model, device

    def __repr__(self) -> str:
        return f"<ModelInTraining: torch on {self._device}, {self.precision}>"

    @property
    def config(self) -> ModelConfig:
        return self._model.config

    @torch.inference_mode()
    def forward(self, x_BCHW: NDArray[np.float32], *, tokens: bool = False) -> Output:
        model = self._model.eval()
        tokens_BNC = model.forward_features(torch.from_numpy(x_BCHW).to(self._device))
        features_BC, logits_BK = model.forward_head(tokens_BNC, pre_logits=True), model.forward_head(tokens_BNC)
        output = Output(_as_array(features_BC), _as_array(logits_BK), _as_array(tokens_BNC) if tokens else None)
        return checked_output(output, x_BCHW, self)


def _as_array(x: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = x.float().cpu().numpy()
    return values
