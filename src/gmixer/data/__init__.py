"""Step 2: pixels → tensor, and the names of the classes.

preprocess.py     Preprocess: uint8 pixels of any size → the float32 tensor that a model takes, bit-equal to timm's
window.py         Pillow's resize, of the window that the crop keeps; the work is native (native/pixels)
transforms.py     create_transform: the same as a torch transform, timm's drop-in, and for training; torch when called
resolve.py        resolve_model_data_config: how a model wants its pictures, in timm's words
labels.py         Label, imagenet_1k, labels_for: class index → synset, name, definition
hypernyms.py      what WordNet has above the classes
imagenet_info.py  ImageNetInfo, infer_imagenet_subset: the labels behind timm's names
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gmixer.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
from gmixer.data.labels import Label, imagenet_1k, labels_for
from gmixer.data.preprocess import Preprocess
from gmixer.data.resolve import resolve_model_data_config

if TYPE_CHECKING:
    from gmixer.data.transforms import create_transform as create_transform

__all__ = [
    "ImageNetInfo",
    "Label",
    "Preprocess",
    "create_transform",
    "imagenet_1k",
    "infer_imagenet_subset",
    "labels_for",
    "resolve_model_data_config",
]


def __getattr__(name: str) -> Any:
    if name != "create_transform":
        raise AttributeError(f"module 'gmixer.data' has no attribute {name!r}")
    from gmixer.data.transforms import create_transform  # 5 ms that only who has torch needs

    globals()[name] = create_transform
    return create_transform
