"""Pixels → the tensor that a model takes.

preprocess.py  Preprocess: uint8 pixels of any size → float32, bit-equal to timm's
window.py      Pillow's resize, of the window that the crop keeps; the work is native (native/pixels)

Users of timm.data expect further names here, so gmixer.labels and gmixer.timm_compat provide them lazily.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gmixer.data.preprocess import Preprocess

if TYPE_CHECKING:
    from gmixer.labels.imagenet import Label as Label
    from gmixer.labels.imagenet import imagenet_1k as imagenet_1k
    from gmixer.labels.imagenet import labels_for as labels_for
    from gmixer.timm_compat.imagenet_info import ImageNetInfo as ImageNetInfo
    from gmixer.timm_compat.imagenet_info import infer_imagenet_subset as infer_imagenet_subset
    from gmixer.timm_compat.resolve import resolve_model_data_config as resolve_model_data_config
    from gmixer.timm_compat.transforms import create_transform as create_transform

# The only exception to the rule that a room imports only from rooms before it. Each is imported at its first use.
_PASSED_ON = {
    "ImageNetInfo": "gmixer.timm_compat.imagenet_info",
    "Label": "gmixer.labels.imagenet",
    "create_transform": "gmixer.timm_compat.transforms",
    "imagenet_1k": "gmixer.labels.imagenet",
    "infer_imagenet_subset": "gmixer.timm_compat.imagenet_info",
    "labels_for": "gmixer.labels.imagenet",
    "resolve_model_data_config": "gmixer.timm_compat.resolve",
}

__all__ = ["Preprocess", *_PASSED_ON]


def __getattr__(name: str) -> Any:
    if name not in _PASSED_ON:
        raise AttributeError(f"module 'gmixer.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PASSED_ON[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
