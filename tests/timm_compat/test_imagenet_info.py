"""ImageNetInfo and infer_imagenet_subset against the installed timm's."""

from __future__ import annotations

import inspect

import pytest
import timm.data
import torch
from timm.data.imagenet_info import infer_imagenet_subset as timm_infer
from timm.models import PretrainedCfg

from gmixer.catalogue import VARIANTS
from gmixer.data import ImageNetInfo, infer_imagenet_subset
from gmixer.errors import InputError
from gmixer.labels import labels_for

OURS, TIMMS = ImageNetInfo(), timm.data.ImageNetInfo()


def public(owner: object) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def test_the_same_methods_with_the_same_parameters():
    assert public(OURS) == public(TIMMS)
    for name in public(TIMMS):
        ours, theirs = (inspect.signature(getattr(info, name)).parameters for info in (OURS, TIMMS))
        assert [(p.name, p.default, p.kind) for p in ours.values()] == [
            (p.name, p.default, p.kind) for p in theirs.values()
        ]


@pytest.mark.parametrize(
    ("subset", "classes"),
    [("imagenet-1k", 1000), ("imagenet-21k", 21843), ("imagenet-21k-goog", 21843), ("imagenet-21k-miil", 11221)],
)
def test_every_answer(subset, classes):
    ours, timms = ImageNetInfo(subset), timm.data.ImageNetInfo(subset)
    assert ours.num_classes() == timms.num_classes() == classes
    assert ours.label_names() == timms.label_names()
    assert ours.label_indices() == timms.label_indices()
    for detailed in (False, True):
        for as_dict in (False, True):
            got = ours.label_descriptions(detailed, as_dict)
            assert got == timms.label_descriptions(detailed, as_dict)
            assert list(got) == list(timms.label_descriptions(detailed=detailed, as_dict=as_dict))
        for index, name in enumerate(timms.label_names()):
            assert ours.index_to_label_name(index) == name
            assert ours.index_to_description(index, detailed) == timms.index_to_description(index, detailed)
            assert ours.label_name_to_description(name, detailed) == timms.label_name_to_description(name, detailed)
    assert ours.has_label(classes - 1) and not ours.has_label(classes)


def test_the_two_cranes():
    """One word, two classes: only the definition tells them apart."""
    bird, machine = 134, 517
    assert OURS.index_to_description(bird) == OURS.index_to_description(machine) == "crane"
    assert OURS.index_to_description(bird, detailed=True) != OURS.index_to_description(machine, detailed=True)


@pytest.mark.parametrize("index", [0, 999, torch.tensor(3), True])
def test_what_is_an_index(index):
    assert OURS.index_to_label_name(index) == TIMMS.index_to_label_name(index)
    assert OURS.has_label(index) is TIMMS.has_label(index) is True


@pytest.mark.parametrize("index", [-1, 1000, 1.5, "3", None])
def test_what_is_not(index):
    with pytest.raises((AssertionError, TypeError)):
        TIMMS.index_to_label_name(index)
    for ask in (OURS.index_to_label_name, OURS.index_to_description):
        with pytest.raises(InputError, match="wanted a whole number, 0 to 999"):
            ask(index)


@pytest.mark.parametrize("index", [-1, 0, 999, 1000, 1.5, "3", torch.tensor(1000)])
def test_has_label(index):
    assert OURS.has_label(index) is bool(TIMMS.has_label(index))


def test_unknown_synset():
    with pytest.raises(InputError, match="'tabby' is not a class of imagenet-1k; wanted a synset such as 'n01440764'"):
        OURS.label_name_to_description("tabby")
    with pytest.raises(
        InputError, match="'n99' is not a class of imagenet-21k-miil; wanted a synset such as 'n00005787'"
    ):
        ImageNetInfo("ImageNet 21k MIIL").label_name_to_description("n99")


def test_the_list_is_the_callers_own():
    OURS.label_names().clear()
    assert OURS.num_classes() == len(OURS.label_names()) == 1000


@pytest.mark.parametrize("subset", ["ImageNet-1K", "imagenet1k", "imagenet_1k", "imagenet 1k", "ImageNet_21k-MIIL"])
def test_spellings_of_the_subset(subset):
    assert ImageNetInfo(subset).label_names() == timm.data.ImageNetInfo(subset).label_names()


@pytest.mark.parametrize("subset", ["imagenet-22k", "imagenet-22k-ms", "imagenet-12k", "imagenet", "", None, 1000])
def test_other_subsets(subset):
    with pytest.raises(InputError, match=r"no ImageNet subset .*; wanted one of imagenet-1k, .*-21k-goog, .*-21k-miil"):
        ImageNetInfo(subset)


class Model:
    def __init__(self, **attributes: object) -> None:
        self.__dict__ |= attributes


@pytest.mark.parametrize(
    "model",
    [
        {"num_classes": 1000},
        {"num_classes": 10},
        {"num_classes": 11221},
        {"num_classes": 21843},
        {"num_classes": None},
        {},
        Model(num_classes=1000),
        Model(num_classes=7, pretrained_cfg={"num_classes": 1000}),
        Model(num_classes=0, pretrained_cfg={"num_classes": 1000}),
        Model(pretrained_cfg={"num_classes": 1000}),
        Model(pretrained_cfg={}),
        Model(),
        object(),
        timm.create_model("gmixer_12_224", device="meta"),
        timm.create_model("gmixer_12_224", device="meta", num_classes=0),
        timm.create_model("gmixer_12_224", device="meta", num_classes=5),
        VARIANTS["gmixer_8_64"].model,
    ],
)
def test_infer_as_timm(model):
    assert infer_imagenet_subset(model) == timm_infer(model)


def test_infer_where_timm_cannot_or_we_have_none():
    assert infer_imagenet_subset(1000) == "imagenet-1k"
    assert infer_imagenet_subset(Model(pretrained_cfg=PretrainedCfg(num_classes=1000))) == "imagenet-1k"
    assert infer_imagenet_subset(None) is None
    for count in (0, 11821, 21841, 21842):  # timm names these subsets; ImageNetInfo would refuse them
        assert infer_imagenet_subset(count) is infer_imagenet_subset({"num_classes": count}) is None
    for count in (1000, 11221, 21843):
        names = ImageNetInfo(infer_imagenet_subset(count)).label_names()
        assert names == [label.synset for label in labels_for(count)]
