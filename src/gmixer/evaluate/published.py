"""What others measured: top-1 and top-5 of published weights on published sets, in per cent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

SetName = Literal["imagenet-1k", "real", "v2", "sketch", "a", "r"]
SET_NAMES: tuple[SetName, ...] = get_args(SetName)


@dataclass(frozen=True, slots=True)
class Published:
    top1: float
    top5: float | None = None  # where it was given


# timm's results tables: results-imagenet.csv, -real, imagenetv2-matched-frequency, sketch, imagenet-a, imagenet-r.
_PUBLISHED: dict[tuple[str, SetName], Published] = {
    ("gmixer_24_224.ra3_in1k", "imagenet-1k"): Published(78.048, 93.654),
    ("gmixer_24_224.ra3_in1k", "real"): Published(83.972),
    ("gmixer_24_224.ra3_in1k", "v2"): Published(66.140),
    ("gmixer_24_224.ra3_in1k", "sketch"): Published(27.031),
    ("gmixer_24_224.ra3_in1k", "a"): Published(11.627),
    ("gmixer_24_224.ra3_in1k", "r"): Published(37.983),
    ("mixer_b16_224.goog_in21k_ft_in1k", "imagenet-1k"): Published(76.616),
    ("mixer_b16_224.miil_in21k_ft_in1k", "imagenet-1k"): Published(82.314),
}


def published(model: str, of: SetName) -> Published | None:
    """model: variant.tag. None where nobody published it, or where we found no figure."""
    return _PUBLISHED.get((model, of))
