"""Class index → synset, name and definition.

tools/make_imagenet_tables.py makes imagenet_1k.tsv and imagenet_21k.tsv from WordNet 3.0 (licence: NOTICE).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gmixer.errors import InputError


@dataclass(frozen=True, slots=True)
class Label:
    """One class of a classifier."""

    index: int  # its index among the logits
    synset: str  # WordNet 3.0 id: "n02123045"; "" if there is none
    name: str  # every lemma of the synset: "tabby, tabby cat"; not unique: "crane" is a bird and a machine
    definition: str  # WordNet's; "" if there is none


@cache
def imagenet_1k() -> tuple[Label, ...]:
    """The 1,000 classes of ILSVRC 2012 in the order of the logits; read once, at the first call."""
    return _numbered(_rows("imagenet_1k.tsv"))


@cache
def imagenet_21k_goog() -> tuple[Label, ...]:
    """The 21,843 classes of Google's weights, from ImageNet-21k, in the order of the logits; read once, when called."""
    return _numbered((synset, name, definition) for synset, _, name, definition in _rows("imagenet_21k.tsv"))


@cache
def imagenet_21k_miil() -> tuple[Label, ...]:
    """The 11,221 classes of MIIL's weights, ImageNet-21k-P, in the order of the logits; read once, when called."""
    rows = _rows("imagenet_21k.tsv")
    return _numbered((synset, name, definition) for synset, miil, name, definition in rows if miil)


_BY_COUNT: dict[int, Callable[[], tuple[Label, ...]]] = {
    1000: imagenet_1k,
    11221: imagenet_21k_miil,
    21843: imagenet_21k_goog,
}


def labels_for(num_classes: int, class_names: Sequence[str] | None = None) -> tuple[Label, ...]:
    """The labels of a model with `num_classes` outputs.

    class_names: their names, in order. Without names, 1,000 classes are ImageNet-1k's, 11,221 are MIIL's ImageNet-21k
    and 21,843 are Google's. For every other number, the names are such as "class 17". Raises InputError unless there
    are as many names as classes.
    """
    if class_names is not None:
        if isinstance(class_names, str) or len(class_names) != num_classes:
            raise InputError(
                f"class_names has {len(class_names)} entries; wanted a list of {num_classes}, one for each class"
            )
        return tuple(Label(index, "", name, "") for index, name in enumerate(class_names))
    if num_classes in _BY_COUNT:
        return _BY_COUNT[num_classes]()
    return tuple(Label(index, "", f"class {index}", "") for index in range(num_classes))


def _rows(file: str) -> Iterator[list[str]]:
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    return (line.split("\t") for line in text.splitlines() if not line.startswith("#"))


def _numbered(rows: Iterable[Sequence[str]]) -> tuple[Label, ...]:
    """rows: synset, name, definition of each class."""
    return tuple(Label(index, synset, name, definition) for index, (synset, name, definition) in enumerate(rows))
