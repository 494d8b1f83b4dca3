"""The accuracy of a model on the validation part, measured by all processes of a run together."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gmixer.datasets.labeled_images import UNKNOWN
from gmixer.errors import ImageError
from gmixer.evaluate import Outcomes, score_images
from gmixer.models.mixer import Mixer
from gmixer.train.distributed import World
from gmixer.train.run_context import TrainData


def validate(model: Mixer, data: TrainData, world: World) -> tuple[Outcomes, list[ImageError]]:
    """The outcomes of the labelled images, and why some images could not be read; the same in all processes."""
    model.eval()

    @torch.inference_mode()
    def forward(x_BCSS: NDArray[np.float32]) -> NDArray[np.float32]:
        logits_BK: NDArray[np.float32] = model(torch.from_numpy(x_BCSS).to(world.device)).float().cpu().numpy()
        return logits_BK

    mine = np.flatnonzero(data.val.labels != UNKNOWN)[world.rank :: world.size]
    shares = world.gathered(score_images(forward, data.val, mine, data.preprocess()))
    outcomes = Outcomes.joined([outcomes for outcomes, _ in shares])
    return outcomes, [error for _, errors in shares for error in errors]
