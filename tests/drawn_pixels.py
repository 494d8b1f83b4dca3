"""Data configs and drawn pixels that the tests of the transform share."""

from __future__ import annotations

import numpy as np

from gmixer.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig

CONFIGS = (
    DataConfig(image_px=224, crop_fraction=0.875, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    DataConfig(image_px=64, crop_fraction=0.888, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    DataConfig(image_px=224, crop_fraction=1.0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    DataConfig(image_px=256, crop_fraction=0.95, mean=(0.0, 0.1, 1.0), std=(1.0, 0.3, 0.07)),
)


def noise(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    data = np.random.default_rng(seed).bytes(height * width * channels)
    return np.frombuffer(data, np.uint8).reshape(height, width, channels)
