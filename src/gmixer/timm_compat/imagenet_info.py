"""ImageNet's classes behind timm's names: `timm.data.ImageNetInfo`, built on labels.py.

Source of the names, signatures and results: timm 1.0.31, data/imagenet_info.py and data/dataset_info.py. timm's asserts
and KeyErrors are InputErrors here.
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

    subset: "imagenet-1k", the 1,000 classes of ILSVRC 2012; "imagenet-21k-goog" or "imagenet-21k", the 21,843 of
        Google's weights; "imagenet-21k-miil", the 11,221 of MIIL's. Capitals, "-", "_" and spaces do not count. timm's
        other subsets are not here. Raises InputError for them.
    """

    def __init__(self, subset: str = "imagenet-1k") -> None:
        self._subset = _subset_named(subset)
        self._labels = _SUBSETS[self._subset]()
        self._by_name = {label.synset: label for label in self._labels}

    def num_classes(self) -> int:
        return len(self._labels)

    def label_names(self) -> list[str]:
        """The synsets in the order of the logits; the caller's own list."""
        return [label.synset for label in self._labels]

    def label_indices(self) -> tuple[int, ...]:
        """Every class index that has a name."""
        return tuple(range(self.num_classes()))

    def has_label(self, index: SupportsInt) -> bool:
        """Whether there is such a class index."""
        return 0 <= int(index) < self.num_classes()

    @overload
    def label_descriptions(self, detailed: bool = False, as_dict: Literal[False] = False) -> list[str]: ...
    @overload
    def label_descriptions(self, detailed: bool = False, *, as_dict: Literal[True]) -> dict[str, str]: ...
    @overload
    def label_descriptions(self, detailed: bool, as_dict: Literal[True]) -> dict[str, str]: ...
    def label_descriptions(self, detailed: bool = False, as_dict: bool = False) -> list[str] | dict[str, str]:
        """What every class is called, in the order of the logits; as_dict: by synset."""
        if as_dict:
            return {label.synset: _describe(label, detailed) for label in self._labels}
        return [_describe(label, detailed) for label in self._labels]

    def index_to_label_name(self, index: SupportsIndex) -> str:
        """Class index → synset. Raises InputError for what is no class index."""
        return self._at(index).synset

    def index_to_description(self, index: SupportsIndex, detailed: bool = False) -> str:
        """Class index → "tabby, tabby cat"; detailed: ": " and WordNet's definition after it. Raises InputError."""
        return _describe(self._at(index), detailed)

    def label_name_to_description(self, label: str, detailed: bool = False) -> str:
        """Synset → as index_to_description. Raises InputError for a synset that is none of the subset's classes."""
        if label not in self._by_name:
            raise InputError(
                f"{label!r} is no class of {self._subset}; wanted a synset such as {self._labels[0].synset!r}"
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
    """The subset that ImageNetInfo takes for this model, by its class count; None where it has none.

    model_or_cfg: a class count, a dict or anything else with num_classes, or, where that is missing or 0, anything with
        a pretrained_cfg that has it. Differs from timm: None also for the subsets that are not here.
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
    raise InputError(f"no ImageNet subset {subset!r}; there is {', '.join(_SUBSETS)}")


def _plain(subset: str) -> str:
    return re.sub(r"[-_\s]", "", subset.lower())


def _describe(label: Label, detailed: bool) -> str:
    return f"{label.name}: {label.definition}" if detailed else label.name


def _get(owner: object, key: str) -> Any:
    return owner.get(key) if isinstance(owner, Mapping) else getattr(owner, key, None)
