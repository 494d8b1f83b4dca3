"""subsets.py: the classes of ImageNet-A and ImageNet-R."""

from __future__ import annotations

from importlib import resources
from typing import Literal

import pytest

from gmixer.evaluate.subsets import SUBSETS
from gmixer.labels import imagenet_1k


@pytest.mark.parametrize("of", ["a", "r"])
def test_classes_are_those_of_timm(of: Literal["a", "r"]) -> None:
    folder = resources.files("timm.data") / "_info"
    indices = (folder / f"imagenet_{of}_indices.txt").read_text().split()
    synsets = (folder / f"imagenet_{of}_synsets.txt").read_text().split()
    assert len(SUBSETS[of]) == 200
    assert SUBSETS[of].tolist() == [int(index) for index in indices]
    assert [imagenet_1k()[i].synset for i in SUBSETS[of]] == synsets
