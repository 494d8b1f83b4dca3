"""ImageNet's classes with timm's interface: `timm.data.ImageNetInfo`, built on gmixer.labels.

Source of the names, signatures and results: timm 1.0.31, data/imagenet_info.py and data/dataset_info.py. An assert or
KeyError of timm's is an InputError here.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import Any, Literal, SupportsIndex, SupportsInt, overload

from gmixer.errors import InputError
from gmixer.labels.imagenet import Label, imagenet_1k, imagenet_21k_goog, imagenet_21k_miil

_SUBSETS = {
    "imagenet-1k": imagenet_1k,
    "imagenet-21k": imagenet_21k_goog,
    "imagenet-21k-goog": imagenet_21k_goog,
    "imagenet-21k-miil": imagenet_21k_miil,
}
_SUBSET_OF_COUNT = {1000: "imagenet-1k", 11221: "imagenet-21k-miil", 21843: "imagenet-21k-goog"}


class ImageNetInfo:
    """Class index → synset, such as n02123045, and synset → words.

    subset: "imagenet-1k" has the 1,000 classes of ILSVRC 2012. "imagenet-21k-goog" or "imagenet-21k" has the 21,843
        classes of Google's weights, "imagenet-21k-miil" the 11,221 of MIIL's. Case, "-", "_" and spaces are ignored.

    Raises InputError for timm's other subsets.
    """

    def __init__(self, subset: str = "imagenet-1k") -> None:
        self._subset = _subset_named(subset)
        self._labels = _SUBSETS[self._subset]()
        self._by_name = {label.synset: label for label in self._labels}

    def num_classes(self) -> int:
        return len(self._labels)

    def label_names(self) -> list[str]:
        """The synsets in the order of the logits, in a new list."""
        return [label.synset for label in self._labels]

    def label_indices(self) -> tuple[int, ...]:
        """Every class index."""
        return tuple(range(self.num_classes()))

    def has_label(self, index: SupportsInt) -> bool:
        """Whether the subset has this class index."""
        return 0 <= int(index) < self.num_classes()

    @overload
    def label_descriptions(self, detailed: bool = False, as_dict: Literal[False] = False) -> list[str]: ...
    @overload
    def label_descriptions(self, detailed: bool = False, *, as_dict: Literal[True]) -> dict[str, str]: ...
    @overload
    def label_descriptions(self, detailed: bool, as_dict: Literal[True]) -> dict[str, str]: ...
    def label_descriptions(self, detailed: bool = False, as_dict: bool = False) -> list[str] | dict[str, str]:
        """The words of every class, in the order of the logits. as_dict: by synset."""
        if as_dict:
            return {label.synset: _describe(label, detailed) for label in self._labels}
        return [_describe(label, detailed) for label in self._labels]

    def index_to_label_name(self, index: SupportsIndex) -> str:
        """Class index → synset. Raises InputError for any other value."""
        return self._at(index).synset

    def index_to_description(self, index: SupportsIndex, detailed: bool = False) -> str:
        """Class index → "tabby, tabby cat". detailed: WordNet's definition follows after ": ". Raises InputError."""
        return _describe(self._at(index), detailed)

    def label_name_to_description(self, label: str, detailed: bool = False) -> str:
        """Synset → the same as index_to_description. Raises InputError for a synset outside the subset."""
        if label not in self._by_name:
            raise InputError(
                f"{label!r} is not a class of {self._subset}; wanted a synset such as {self._labels[0].synset!r}"
            )
        return _describe(self._by_name[label], detailed)

    def _at(self, index: SupportsIndex) -> Label:
        try:
            place = operator.index(index)
        except TypeError:
            place = -1
        if not self.has_label(place):
            raise InputError(f"class index is {index!r}; wanted a whole number, 0 to {self.num_classes() - 1}")
        return self._labels[place]


def infer_imagenet_subset(model_or_cfg: object) -> str | None:
    """The name of the subset with the model's number of classes, for ImageNetInfo. None: no subset has this number.

    model_or_cfg: a number of classes, or a dict or object with num_classes. If that is missing or 0, the object's
        pretrained_cfg is read. timm also returns the names of its other subsets.
    """
    if isinstance(model_or_cfg, int):
        count: object = model_or_cfg
    else:
        count = _get(model_or_cfg, "num_classes")
        if not count and not isinstance(model_or_cfg, Mapping):
            count = _get(getattr(model_or_cfg, "pretrained_cfg", None), "num_classes")
    return next((subset for classes, subset in _SUBSET_OF_COUNT.items() if count == classes), None)


def _subset_named(subset: str) -> str:
    for name in _SUBSETS:
        if isinstance(subset, str) and _plain(subset) == _plain(name):
            return name
    raise InputError(f"no ImageNet subset {subset!r}; wanted one of {', '.join(_SUBSETS)}")


def _plain(subset: str) -> str:
    return re.sub(r"[-_\s]", "", subset.lower())


def _describe(label: Label, detailed: bool) -> str:
    return f"{label.name}: {label.definition}" if detailed else label.name


def _get(owner: object, key: str) -> Any:
    return owner.get(key) if isinstance(owner, Mapping) else getattr(owner, key, None)
