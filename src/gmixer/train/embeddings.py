"""The embeddings of many images, computed once on the native engine. N images, C channels of an embedding."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from gmixer.data import Preprocess
from gmixer.datasets.labeled_images import LabeledImages
from gmixer.errors import ImageError
from gmixer.evaluate.outcomes import prepare_numbered
from gmixer.models.mixer import Mixer
from gmixer.prediction import run
from gmixer.runtimes import Engine
from gmixer.train.log import Listener


def embed_all(
    model: Mixer, preprocess: Preprocess, images: LabeledImages, numbers: NDArray[np.int64], listener: Listener
) -> tuple[NDArray[np.float32], NDArray[np.int64], list[ImageError]]:
    """The embeddings (N, C) of the readable images among `numbers`; their numbers (N,); the errors of the others."""
    engine = Engine.from_torch(model)
    features = [np.empty((0, model.num_features), np.float32)]
    readable: list[int] = []
    unreadable: list[ImageError] = []
    listener.begins(step=0, steps=len(numbers))
    done = 0
    with closing(prepare_numbered(images, numbers, preprocess, size=engine.batch_hint)) as batches:
        for batch in batches:
            tensors = {int(numbers[done + b]): x for b, x in enumerate(batch) if not isinstance(x, ImageError)}
            unreadable += [x for x in batch if isinstance(x, ImageError)]
            if tensors:
                features.append(run(engine, list(tensors.values())).features)
                readable += tensors
            done += len(batch)
            listener.embedded(done)
    return np.concatenate(features), np.array(readable, np.int64), unreadable
