"""The class names against the installed timm's, and against WordNet where it is installed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from importlib import resources
from pathlib import Path

import pytest
from timm.data import ImageNetInfo

from gmixer.data import Label, imagenet_1k, labels_for
from gmixer.errors import InputError

TSV = resources.files("gmixer.data").joinpath("imagenet_1k.tsv")
TOOL = Path(__file__).parents[1] / "tools" / "make_imagenet_labels.py"
WORDNET = Path("/usr/share/wordnet/data.noun")


def test_equal_to_timm():
    info = ImageNetInfo("imagenet-1k")
    labels = imagenet_1k()
    assert len(labels) == info.num_classes() == 1000
    assert [label.index for label in labels] == list(range(1000))
    for i, label in enumerate(labels):
        assert label.synset == info.index_to_label_name(i)
        assert label.name == info.index_to_description(i)
        assert f"{label.name}: {label.definition}" == info.index_to_description(i, detailed=True)


def test_order_is_that_of_the_ids():
    synsets = [label.synset for label in imagenet_1k()]
    assert synsets == sorted(set(synsets))


def test_a_known_one():
    label = imagenet_1k()[281]
    assert label == Label(281, "n02123045", "tabby, tabby cat", label.definition)
    assert label.definition.startswith("a cat with a grey or tawny coat")


def test_read_once():
    assert imagenet_1k() is imagenet_1k()


def test_file_names_its_source():
    head = TSV.read_text(encoding="utf-8").splitlines()[:2]
    assert all(line.startswith("#") for line in head) and "WordNet 3.0" in " ".join(head)


@pytest.mark.skipif(not WORDNET.exists(), reason="WordNet is not installed (Debian: wordnet-base)")
def test_the_tool_makes_this_file():
    with resources.as_file(TSV) as path:
        made = subprocess.run([sys.executable, TOOL, path], check=True, capture_output=True).stdout
        assert made == path.read_bytes()


def test_labels_for():
    assert labels_for(1000) is imagenet_1k()
    assert labels_for(2, ["cat", "dog"]) == (Label(0, "", "cat", ""), Label(1, "", "dog", ""))
    assert labels_for(1000, [f"c{i}" for i in range(1000)])[7] == Label(7, "", "c7", "")
    assert labels_for(21843)[17] == Label(17, "", "class 17", "")
    assert labels_for(0) == labels_for(0, []) == ()


@pytest.mark.parametrize("names", [["cat"], ["a", "b", "c"], [], "ab"])
def test_wrong_number_of_names(names):
    with pytest.raises(InputError, match="wanted a list of 2"):
        labels_for(2, names)


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        imagenet_1k()[0].name = "trout"
