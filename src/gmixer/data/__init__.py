"""Step 2: pixels → tensor, and the names of the classes.

preprocess.py  Preprocess: uint8 pixels of any size → the float32 tensor that a model takes, bit-equal to timm's
resolve.py     resolve_model_data_config: how a model wants its pictures, in timm's words
labels.py      Label, imagenet_1k, labels_for: class index → synset, name, definition
"""

from gmixer.data.labels import Label, imagenet_1k, labels_for
from gmixer.data.preprocess import Preprocess
from gmixer.data.resolve import resolve_model_data_config

__all__ = ["Label", "Preprocess", "imagenet_1k", "labels_for", "resolve_model_data_config"]
