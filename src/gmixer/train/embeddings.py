"""The embeddings of many images, computed once on the native engine. N images, C channels of an embedding."""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmixer.data import Preprocess
from gmixer.datasets.labeled_images import LabeledImages
from gmixer.errors import ImageError
from gmixer.evaluate.outcomes import run_numbered
from gmixer.models.mixer import Mixer
from gmixer.runtimes import Engine
from gmixer.train.log import Listener


class Embedded(NamedTuple):
    """The embeddings of the images that could be read. notes: image name → note."""

    features_NC: NDArray[np.float32]
    numbers_N: NDArray[np.int64]  # of the images
    unreadable: list[ImageError]
    notes: dict[str, str]


def embed_all(
    model: Mixer, preprocess: Preprocess, images: LabeledImages, numbers: NDArray[np.int64], listener: Listener
) -> Embedded:
    """Embeds the images of these numbers."""
    engine = Engine.from_torch(model)
    features = [np.empty((0, model.num_features), np.float32)]
    readable: list[int] = []
    unreadable: list[ImageError] = []
    notes: dict[str, str] = {}
    listener.begins(step=0, steps=len(numbers))
    batches = run_numbered([engine], images, numbers, preprocess, unreadable, notes, listener.embedded)
    with closing(batches):
        for of_batch, (output,) in batches:
            features.append(output.features)
            readable += of_batch
    return Embedded(np.concatenate(features), np.array(readable, np.int64), unreadable, notes)
