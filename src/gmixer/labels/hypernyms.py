"""The parent categories of a class in WordNet: dog is above every breed.

hypernyms.tsv is made by tools/make_imagenet_tables.py from WordNet 3.0 (licence: NOTICE). It holds the classes of
ImageNet-1k and 21k and every synset above them. A synset may have several direct parents; entity is above all.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def _rows() -> dict[str, tuple[tuple[str, ...], str]]:
    """Synset → (its direct parents, its name); read once, at the first call."""
    text = Path(__file__).with_name("hypernyms.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {synset: (tuple(above.split()), name) for synset, above, name in rows}


def is_known(synset: str) -> bool:
    return synset in _rows()


def ancestors_of(synset: str) -> set[str]:
    """Every synset above it, by all paths, without itself. Raises KeyError for an unknown synset."""
    rows = _rows()
    found: set[str] = set()
    waiting = list(rows[synset][0])
    while waiting:
        ancestor = waiting.pop()
        if ancestor not in found:
            found.add(ancestor)
            waiting += rows[ancestor][0]
    return found


@cache
def depth_of(synset: str) -> int:
    """The length of the longest path up to entity, so every synset is deeper than all synsets above it."""
    return max((depth_of(above) + 1 for above in _rows()[synset][0]), default=0)


def name_of(ancestor: str) -> str:
    """Its first lemma: "dog" of "dog, domestic dog, Canis familiaris". Not unique: three synsets have the name cap."""
    return _rows()[ancestor][1]
