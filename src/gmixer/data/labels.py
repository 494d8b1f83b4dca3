"""Class index → what it is called.

imagenet_1k.tsv is made by tools/make_imagenet_labels.py from WordNet 3.0 (licence: NOTICE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gmixer.errors import InputError


@dataclass(frozen=True, slots=True)
class Label:
    """One class of a classifier."""

    index: int  # place among the logits
    synset: str  # WordNet 3.0 id: "n02123045"; "" where there is none
    name: str  # every lemma of the synset: "tabby, tabby cat"; not unique: "crane" is a bird and a machine
    definition: str  # WordNet's; "" where there is none


@cache
def imagenet_1k() -> tuple[Label, ...]:
    """The 1,000 classes of ILSVRC 2012 in the order of the logits; read once, at the first call."""
    text = resources.files("gmixer.data").joinpath("imagenet_1k.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple(Label(index, synset, name, definition) for index, (synset, name, definition) in enumerate(rows))


def labels_for(num_classes: int, class_names: Sequence[str] | None = None) -> tuple[Label, ...]:
    """The labels of a model with `num_classes` outputs.

    class_names, where given, name them in order; without names 1,000 classes are ImageNet's, and those of any other
    count are called "class 17". Raises InputError where the names are not as many as the classes.
    """
    if class_names is not None:
        if isinstance(class_names, str) or len(class_names) != num_classes:
            raise InputError(f"class_names has {len(class_names)} entries; wanted a list of {num_classes}, one a class")
        return tuple(Label(index, "", name, "") for index, name in enumerate(class_names))
    if num_classes == 1000:
        return imagenet_1k()
    return tuple(Label(index, "", f"class {index}", "") for index in range(num_classes))
