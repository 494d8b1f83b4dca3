"""The table in catalogue.py against timm's registry, and the searches in it."""

from __future__ import annotations

import pytest
import timm

from gmixer.catalogue import DEPRECATED, EMBEDDED_MODEL, VARIANTS, find_model, model_names
from gmixer.config import DataConfig
from gmixer.errors import UnknownModelError

TIMM_NAMES = timm.list_models(["mixer_*", "gmixer_*"])


def test_every_variant_is_there():
    assert set(VARIANTS) == {*TIMM_NAMES, "gmixer_8_64"}


@pytest.mark.parametrize("name", TIMM_NAMES)
def test_tags_and_their_order(name):
    cfgs = timm.models.get_arch_pretrained_cfgs(name)
    tags = [cfg.tag for cfg in cfgs.values() if cfg.has_weights]
    assert list(VARIANTS[name].pretrained) == tags
    default = timm.models.get_pretrained_cfg(name)
    assert next(iter(VARIANTS[name].pretrained), "untrained") == default.tag
    assert VARIANTS[name].model.num_classes == 1000


@pytest.mark.parametrize("name", timm.list_models(["mixer_*", "gmixer_*"], pretrained=True))
def test_pretrained(name):
    base, _, tag = name.partition(".")
    want = timm.models.get_pretrained_cfg(name)
    got = VARIANTS[base].pretrained[tag]
    assert got.num_classes == want.num_classes
    assert got.license == want.license
    assert_data_config(got.data, want)


@pytest.mark.parametrize("name", TIMM_NAMES)
def test_untrained_data_config(name):
    assert_data_config(VARIANTS[name].data, timm.models.get_pretrained_cfg(name))


def assert_data_config(got: DataConfig, want) -> None:
    assert got.to_timm() == {key: getattr(want, key) for key in got.to_timm()}
    assert DataConfig.from_timm(want.to_dict()) == got


def test_published_accuracy():
    """results-imagenet.csv, as FACTS §1 cites it."""
    got = {name: find_model(name)[2].top1 for name in model_names() if find_model(name)[2]}
    assert got["gmixer_24_224.ra3_in1k"] == 78.048
    assert got["mixer_b16_224.goog_in21k_ft_in1k"] == 76.616
    assert got["mixer_b16_224.miil_in21k_ft_in1k"] == 82.314


def test_model_names():
    names = list(model_names())
    assert len(names) == len(set(names)) == 13
    assert EMBEDDED_MODEL in names
    for name in names:
        full, variant, pretrained = find_model(name)
        assert full == name and variant is VARIANTS[name.partition(".")[0]]
        assert (pretrained is None) == ("." not in name)


def test_bare_name():
    assert find_model("mixer_b16_224")[0] == "mixer_b16_224.goog_in21k_ft_in1k"
    assert find_model("gmixer_12_224") == ("gmixer_12_224", VARIANTS["gmixer_12_224"], None)


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if not variant.pretrained])
def test_untrained_is_a_tag(name):
    assert timm.models.get_pretrained_cfg(f"{name}.untrained") == timm.models.get_pretrained_cfg(name)
    assert find_model(f"{name}.untrained") == find_model(name) == (name, VARIANTS[name], None)


def test_deprecated_names_are_timms():
    theirs = timm.models.get_deprecated_models("mlp_mixer")
    assert {old: new for old, new in theirs.items() if new.partition(".")[0] in VARIANTS} == DEPRECATED


@pytest.mark.parametrize("old", DEPRECATED)
def test_deprecated_name(old):
    current = DEPRECATED[old]
    with pytest.warns(UserWarning, match=f"{old} is a deprecated name; the model is now {current}"):
        assert find_model(old) == find_model(current)
    with pytest.warns(UserWarning, match=current):
        assert find_model(f"{old}.goog_in21k")[0] == f"{current.partition('.')[0]}.goog_in21k"
    with pytest.warns(UserWarning, match=current), pytest.raises(UnknownModelError, match=current):
        find_model(f"{old}.ra3_in1k")


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("gmixer_24", "gmixer_24_224"),
        ("resnet50", "gmixer_24_224"),
        ("", "gmixer_24_224"),
        ("mixer_b16_224.goog", r"mixer_b16_224\.miil_in21k"),
        ("gmixer_12_224.ra3_in1k", "never published"),
        ("gmixer_24_224.untrained", r"gmixer_24_224\.ra3_in1k"),
    ],
)
def test_unknown_names(name, names):
    with pytest.raises(UnknownModelError, match=names) as caught:
        find_model(name)
    assert isinstance(caught.value, RuntimeError)  # which timm raises
