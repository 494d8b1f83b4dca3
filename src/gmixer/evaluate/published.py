"""Published figures: top-1 and top-5 of published weights on published sets, in per cent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SetName = Literal["imagenet-1k", "real", "v2", "sketch", "a", "r"]


@dataclass(frozen=True, slots=True)
class Published:
    top1: float
    top5: float | None = None  # None: not published


# timm's results tables, huggingface/pytorch-image-models at 7479d451a6df, the rows of 224 px: results-imagenet.csv,
# -imagenet-real, -sketch, -imagenet-a; gmixer's top-1 on V2 and R too. A row that is in no table of that commit names
# another commit. timm repeats its measurements: at 36d930ffc943 gmixer had 66.43 on V2 and 38.05 on R.
_PUBLISHED: dict[tuple[str, SetName], Published] = {
    ("gmixer_24_224.ra3_in1k", "imagenet-1k"): Published(78.048, 93.654),
    ("gmixer_24_224.ra3_in1k", "real"): Published(83.972, 95.852),
    ("gmixer_24_224.ra3_in1k", "v2"): Published(66.140),
    ("gmixer_24_224.ra3_in1k", "sketch"): Published(27.031, 44.373),
    ("gmixer_24_224.ra3_in1k", "a"): Published(11.627, 37.267),
    ("gmixer_24_224.ra3_in1k", "r"): Published(37.983),
    ("mixer_b16_224.goog_in21k_ft_in1k", "imagenet-1k"): Published(76.640, 92.228),
    ("mixer_b16_224.goog_in21k_ft_in1k", "real"): Published(82.031, 94.449),
    ("mixer_b16_224.goog_in21k_ft_in1k", "sketch"): Published(25.145, 41.237),
    ("mixer_b16_224.goog_in21k_ft_in1k", "a"): Published(8.427, 29.267),
    ("mixer_b16_224.goog_in21k_ft_in1k", "v2"): Published(63.290, 83.340),  # 36d930ffc943
    ("mixer_b16_224.goog_in21k_ft_in1k", "r"): Published(34.427, 48.107),  # 36d930ffc943
    ("mixer_b16_224.miil_in21k_ft_in1k", "imagenet-1k"): Published(82.310, 95.714),
    ("mixer_b16_224.miil_in21k_ft_in1k", "real"): Published(87.230, 97.414),  # 36d930ffc943
    ("mixer_b16_224.miil_in21k_ft_in1k", "v2"): Published(71.300, 89.650),  # 36d930ffc943
    ("mixer_b16_224.miil_in21k_ft_in1k", "sketch"): Published(36.267, 55.965),  # 0173a139a2c6
    ("mixer_b16_224.miil_in21k_ft_in1k", "a"): Published(19.040, 51.213),  # 049b13325316
    ("mixer_b16_224.miil_in21k_ft_in1k", "r"): Published(47.793, 63.403),  # 36d930ffc943
    ("mixer_l16_224.goog_in21k_ft_in1k", "imagenet-1k"): Published(72.090, 87.650),
    ("mixer_l16_224.goog_in21k_ft_in1k", "real"): Published(77.319, 90.542),
    ("mixer_l16_224.goog_in21k_ft_in1k", "sketch"): Published(20.142, 32.966),
    ("mixer_l16_224.goog_in21k_ft_in1k", "a"): Published(5.920, 18.200),
    ("mixer_l16_224.goog_in21k_ft_in1k", "v2"): Published(56.660, 76.010),  # 36d930ffc943
    ("mixer_l16_224.goog_in21k_ft_in1k", "r"): Published(26.860, 37.913),  # 36d930ffc943
}


def published(model: str, of: SetName) -> Published | None:
    """model: variant.tag. None if no figure was published, or none was found."""
    return _PUBLISHED.get((model, of))
