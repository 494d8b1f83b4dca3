"""The class names against the installed timm's, and against WordNet where it is installed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from importlib import resources
from pathlib import Path

import pytest
from timm.data import ImageNetInfo

from gmixer.errors import InputError
from gmixer.labels import Label, imagenet_1k, labels_for
from gmixer.labels.imagenet import imagenet_21k_goog, imagenet_21k_miil

DATA = resources.files("gmixer.labels")
TOOL = Path(__file__).parents[2] / "tools" / "make_imagenet_tables.py"
WORDNET = Path("/usr/share/wordnet/data.noun")


@pytest.mark.parametrize(
    ("labels", "subset", "classes"),
    [
        (imagenet_1k, "imagenet-1k", 1000),
        (imagenet_21k_goog, "imagenet-21k-goog", 21843),
        (imagenet_21k_miil, "imagenet-21k-miil", 11221),
    ],
)
def test_equal_to_timm(labels, subset, classes):
    info = ImageNetInfo(subset)
    labels = labels()
    assert len(labels) == info.num_classes() == classes
    assert [label.index for label in labels] == list(range(classes))
    for i, label in enumerate(labels):
        assert label.synset == info.index_to_label_name(i)
        assert label.name == info.index_to_description(i)
        assert f"{label.name}: {label.definition}" == info.index_to_description(i, detailed=True)


@pytest.mark.parametrize("labels", [imagenet_1k, imagenet_21k_goog, imagenet_21k_miil])
def test_order_is_that_of_the_ids(labels):
    synsets = [label.synset for label in labels()]
    assert synsets == sorted(set(synsets))


def test_a_known_one():
    label = imagenet_1k()[281]
    assert label == Label(281, "n02123045", "tabby, tabby cat", label.definition)
    assert label.definition.startswith("a cat with a grey or tawny coat")


def test_read_once():
    assert imagenet_1k() is imagenet_1k()


@pytest.mark.parametrize("file", ["imagenet_1k.tsv", "imagenet_21k.tsv"])
def test_file_names_its_source(file):
    lines = DATA.joinpath(file).read_text(encoding="utf-8").splitlines()
    assert "WordNet 3.0" in " ".join(line for line in lines[:3] if line.startswith("#"))


def test_the_tool_makes_the_tables(tmp_path, need):
    need(WORDNET.exists(), "WordNet", debian="wordnet-base")
    subprocess.run([sys.executable, TOOL, tmp_path], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hypernyms.tsv", "imagenet_1k.tsv", "imagenet_21k.tsv"]
    for made in tmp_path.iterdir():
        assert made.read_bytes() == DATA.joinpath(made.name).read_bytes(), made.name


def test_labels_for():
    assert labels_for(1000) is imagenet_1k()
    assert labels_for(2, ["cat", "dog"]) == (Label(0, "", "cat", ""), Label(1, "", "dog", ""))
    assert labels_for(1000, [f"c{i}" for i in range(1000)])[7] == Label(7, "", "c7", "")
    assert labels_for(21843) is imagenet_21k_goog() and labels_for(11221) is imagenet_21k_miil()
    assert labels_for(21841)[17] == Label(17, "", "class 17", "")
    assert labels_for(0) == labels_for(0, []) == ()


@pytest.mark.parametrize("names", [["cat"], ["a", "b", "c"], [], "ab"])
def test_wrong_number_of_names(names):
    with pytest.raises(InputError, match="wanted a list of 2"):
        labels_for(2, names)


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        imagenet_1k()[0].name = "trout"
