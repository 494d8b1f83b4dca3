"""resolve_model_data_config against the installed timm's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import pytest
import timm
import torch
from timm.data import create_transform
from timm.data import resolve_model_data_config as timm_resolve

from gmixer.catalogue import VARIANTS, model_names
from gmixer.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig
from gmixer.data import create_transform as our_transform
from gmixer.data import resolve_model_data_config
from gmixer.errors import InputError, UnknownModelError

NAMES = [name for name in model_names() if name.partition(".")[0] in timm.list_models(["mixer_*", "gmixer_*"])]
OVERRIDES = [
    {},
    {"in_chans": 1},
    {"chans": 1, "img_size": 96},
    {"in_chans": 4, "chans": 1, "img_size": 96},
    {"in_chans": 1, "mean": (0.5,), "std": [0.25]},
    {"in_chans": 4, "img_size": 64, "mean": (0.1, 0.2, 0.3, 0.4), "std": (0.2,)},
    {"input_size": (3, 160, 160)},
    {"input_size": [1, 64, 96], "mean": (0.5,)},
    {"input_size": (1, 64, 64), "in_chans": 3, "img_size": 32},
    {"img_size": 256},
    {"interpolation": "bilinear"},
    {"interpolation": ""},
    {"mean": (0.1, 0.2, 0.3)},
    {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
    {"std": (0.3,)},
    {"crop_pct": 1.0},
    {"crop_pct": 0},
    {"crop_mode": "squash"},
    {"crop_mode": "border", "crop_pct": 0.95, "img_size": 192, "interpolation": "bilinear"},
    {"mean": None, "std": None, "crop_pct": None, "input_size": None, "img_size": None, "in_chans": None},
    {"no_such_key": 1},
]


@cache
def timm_model(name: str) -> torch.nn.Module:
    return timm.create_model(name, device="meta")


@dataclass
class Holder:
    """As a Predictor or an Engine carries its DataConfig."""

    data: object


@dataclass
class TimmStyle:
    pretrained_cfg: object


def assert_same(got: dict, want: dict) -> None:
    assert got == want
    assert list(got) == list(want)  # the order too
    assert [type(v) for v in got.values()] == [type(v) for v in want.values()]


@pytest.mark.parametrize(("name", "args"), list(product(NAMES, OVERRIDES)), ids=str)
def test_names_and_overrides(name, args):
    want = timm_resolve(timm_model(name), args)
    assert_same(resolve_model_data_config(name, args), want)
    assert_same(resolve_model_data_config(timm_model(name), args), want)
    assert_same(resolve_model_data_config(TimmStyle(timm.get_pretrained_cfg(name)), args), want)


def test_every_name_of_timm_is_tested():
    assert len(NAMES) == 12
    theirs = timm.list_models(["mixer_*", "gmixer_*"], pretrained=True, exclude_filters="gmixer_8_64")  # ours, if told
    assert {n for n in NAMES if "." in n} == set(theirs)


def test_bare_name_takes_the_default_tag():
    for base in timm.list_models(["mixer_*", "gmixer_*"], exclude_filters="gmixer_8_64"):
        assert_same(resolve_model_data_config(base), timm_resolve(timm_model(base)))


def test_the_card():
    """FACTS §3, word for word."""
    assert list(resolve_model_data_config("gmixer_24_224.ra3_in1k").items()) == [
        ("input_size", (3, 224, 224)),
        ("interpolation", "bicubic"),
        ("mean", (0.485, 0.456, 0.406)),
        ("std", (0.229, 0.224, 0.225)),
        ("crop_pct", 0.875),
        ("crop_mode", "center"),
    ]


@pytest.mark.parametrize("name", VARIANTS)
def test_data_attribute(name):
    data = VARIANTS[name].data
    assert resolve_model_data_config(Holder(data)) == data.to_timm()
    assert resolve_model_data_config(Holder(data), {"img_size": 96})["input_size"] == (3, 96, 96)


def test_sparse_pretrained_cfg_takes_timms_defaults():
    for sparse in ({}, {"mean": (0.5, 0.5, 0.5)}, {"input_size": (1, 32, 32), "crop_mode": "squash"}):
        assert_same(resolve_model_data_config(TimmStyle(sparse)), timm_resolve(TimmStyle(sparse)))


def test_result_feeds_timm_and_comes_back():
    config = resolve_model_data_config("mixer_b16_224.miil_in21k")
    assert callable(create_transform(**config, is_training=False))
    assert DataConfig.from_timm(config) == VARIANTS["mixer_b16_224"].pretrained["miil_in21k"].data


@pytest.mark.parametrize(
    "args",
    [
        {"input_size": 224},
        {"input_size": (224, 224)},
        {"img_size": (224, 224)},
        {"img_size": 224.0},
        {"mean": (0.5, 0.5)},
        {"std": (0.5, 0.5, 0.5), "in_chans": 1},
    ],
    ids=str,
)
def test_where_timm_asserts(args):
    with pytest.raises(AssertionError):
        timm_resolve(timm_model("gmixer_12_224"), args)
    with pytest.raises(InputError, match="wanted"):
        resolve_model_data_config("gmixer_12_224", args)


@pytest.mark.parametrize("model", [object(), Holder({"mean": 0.5}), None, 3], ids=["object", "Holder", "None", "3"])
def test_a_model_without_a_data_config(model):
    with pytest.raises(InputError, match="has no data config; wanted the name of a model"):
        resolve_model_data_config(model)


def test_unknown_name():
    with pytest.raises(UnknownModelError, match="gmixer_24_224"):
        resolve_model_data_config("gmixer_24_225")


def grey_of(numbers: tuple[float, ...]) -> float:
    return pytest.approx(sum(numbers) / 3, rel=1e-15)


@pytest.mark.parametrize("name", ["gmixer_12_224", "mixer_s32_224"])
@pytest.mark.parametrize("in_chans", [1, 2, 4, 7])
def test_follows_the_models_channels_where_timm_does_not(name, in_chans):
    model = timm.create_model(name, in_chans=in_chans, device="meta")
    said = timm_resolve(model)
    assert said["input_size"] == (3, 224, 224)  # should timm follow one day, compare with it
    got = resolve_model_data_config(model)
    assert got["input_size"] == (in_chans, 224, 224)
    for key in ("mean", "std"):
        r, g, b = said[key]
        want = (grey_of((r, g, b)),) if in_chans == 1 else (r, g, b, r, g, b, r)[:in_chans]
        assert got[key] == want
    assert list(got) == list(said)
    assert {k: got[k] for k in ("interpolation", "crop_pct", "crop_mode")} == {
        k: said[k] for k in ("interpolation", "crop_pct", "crop_mode")
    }
    DataConfig.from_timm(got)
    our_transform(**got)


def test_three_channels_are_as_timm_says():
    model = timm.create_model("gmixer_12_224", in_chans=3, device="meta")
    assert_same(resolve_model_data_config(model), timm_resolve(model))


def test_args_go_before_the_models_channels():
    model = timm.create_model("gmixer_12_224", in_chans=1, device="meta")
    grey = {"mean": (grey_of(IMAGENET_MEAN),), "std": (grey_of(IMAGENET_STD),)}
    for args, want in [
        ({"img_size": 64}, {"input_size": (1, 64, 64), **grey}),
        ({"img_size": 64, "in_chans": 4, "mean": (0.5,)}, {"input_size": (4, 64, 64), "mean": (0.5,) * 4}),
        ({"input_size": (3, 64, 64), "std": (0.1, 0.2, 0.3)}, {"input_size": (3, 64, 64), "std": (0.1, 0.2, 0.3)}),
        ({"mean": (0.5,)}, {"input_size": (1, 224, 224), "mean": (0.5,), "std": grey["std"]}),
    ]:
        got = resolve_model_data_config(model, args)
        assert {key: got[key] for key in want} == want
    with pytest.raises(InputError, match="wanted one number, or 1, one per channel"):
        resolve_model_data_config(model, {"mean": (0.5, 0.5, 0.5)})


@pytest.mark.parametrize("in_chans", [None, "4", 4.0, True])
def test_what_is_no_number_of_channels_is_not_followed(in_chans):
    model = TimmStyle({"input_size": (3, 32, 32)})
    model.in_chans = in_chans
    assert resolve_model_data_config(model)["input_size"] == (3, 32, 32)


def test_follows_a_data_attribute_and_a_sparse_config_too():
    holder = Holder(VARIANTS["mixer_s32_224"].data)
    holder.in_chans = 4
    assert resolve_model_data_config(holder)["mean"] == (0.5,) * 4
    sparse = TimmStyle({})
    sparse.in_chans = 2
    got = resolve_model_data_config(sparse)
    assert (got["input_size"], got["mean"]) == ((2, 224, 224), IMAGENET_MEAN[:2])
    own = TimmStyle({"input_size": (1, 32, 32), "mean": (0.4,), "std": (0.3,)})
    own.in_chans = 1
    assert_same(resolve_model_data_config(own), timm_resolve(own))
