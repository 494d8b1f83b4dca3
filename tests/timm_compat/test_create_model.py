"""create_model beside timm's own: same keywords, same weights, same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from timm.models._features import FeatureGetterNet

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.errors import InputError, UnknownModelError, WeightsError
from gmixer.models.saving import save_model
from gmixer.timm_compat.create_model import create_model
from hub import hub_cache
from mixers import drawn_images, drawn_mixer

PAIRS = [name for name in VARIANTS if name != "gmixer_8_64"]
SMALL = "mixer_s32_224"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn weights of the smallest variant that timm knows."""
    return save_model(drawn_mixer(VARIANTS[SMALL].model), tmp_path_factory.mktemp("weights"))


def same_tensors(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    mine, wanted = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(wanted)
    for name, tensor in wanted.items():
        assert torch.equal(mine[name], tensor), name


def test_a_name_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match="model_name is a NoneType; wanted the name of a model"):
        create_model(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"num_classes": 42, "in_chans": 4}, {"num_classes": 0, "in_chans": 1}])
@pytest.mark.parametrize("name", ["gmixer_12_224", "mixer_s16_224"])
def test_the_same_seed_gives_timms_model(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    ours = create_model(name, **options)
    torch.manual_seed(3)
    same_tensors(ours, timm.create_model(name, **options))


@pytest.mark.parametrize("name", [*PAIRS, *timm.list_pretrained(["mixer_*", "gmixer_*"], exclude_filters="gmixer_8*")])
def test_pretrained_cfg_is_timms(name: str) -> None:
    theirs = timm.create_model(name, device="meta")
    ours = create_model(name, device="meta")
    assert ours.pretrained_cfg | {"url": theirs.pretrained_cfg["url"]} == theirs.pretrained_cfg
    assert ours.num_classes == theirs.num_classes


@pytest.mark.parametrize(
    "options",
    [
        {"pretrained_cfg": "miil_in21k"},
        {"pretrained_cfg": {"num_classes": 12, "input_size": (1, 64, 64), "mean": (0.5,), "std": (0.2,)}},
        {"pretrained_cfg": {"num_classes": 12}, "pretrained_cfg_overlay": {"crop_pct": 1.0, "num_classes": 3}},
        {"pretrained_cfg_overlay": {"input_size": (3, 96, 96), "fixed_input_size": True}},
        {"pretrained_cfg_overlay": {"file": "elsewhere.safetensors", "mean": (0.1, 0.2, 0.3)}, "num_classes": 5},
    ],
    ids=str,
)
def test_a_pretrained_cfg_of_the_callers(options: dict[str, Any]) -> None:
    if isinstance(own := options.get("pretrained_cfg"), dict):  # timm sizes the network by it only where it says so
        options = options | {"pretrained_cfg": own | {"fixed_input_size": True}}
    theirs = timm.create_model("mixer_b16_224", device="meta", **options)
    ours = create_model("mixer_b16_224", device="meta", **options)
    assert ours.pretrained_cfg | {"url": None} == theirs.pretrained_cfg | {"url": None}
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}


@pytest.mark.parametrize("by", ["file", "state_dict", "hub", "timm's cfg object"])
def test_weights_that_the_pretrained_cfg_points_at(by: str, folder: Path, tmp_path: Path) -> None:
    file = folder / "model.safetensors"
    cache = hub_cache(tmp_path, "someone/mixer", file)
    options: dict[str, Any] = {
        "file": {"pretrained_cfg_overlay": {"file": str(file)}},
        "state_dict": {"pretrained_cfg_overlay": {"state_dict": load_file(file)}},
        "hub": {"pretrained_cfg_overlay": {"hf_hub_id": "someone/mixer"}, "cache_dir": cache},
        "timm's cfg object": {"pretrained_cfg": replace(gmixer.get_pretrained_cfg(SMALL), file=str(file))},
    }[by]
    for more in ({}, {"num_classes": 3, "in_chans": 1}):
        ours = create_model(SMALL, pretrained=True, **options, **more)
        wanted = create_model(f"local-dir:{folder}", pretrained=True, **more)
        for name, tensor in wanted.state_dict().items():
            assert (name.startswith("head.") and more) or torch.equal(ours.state_dict()[name], tensor), name


def test_nothing_in_the_cache_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"looked in {tmp_path}.*gmixer pull hf-hub:timm/mixer_b16_224.miil"):
        create_model("mixer_b16_224.miil_in21k", pretrained=True, cache_dir=tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_classes": 7},
        {"num_classes": 0},
        {"in_chans": 1},
        {"in_chans": 4},
        {"in_chans": 2, "num_classes": 5},
        {"global_pool": ""},
        {"features_only": True},
        {"features_only": True, "out_indices": [1, -1]},
    ],
    ids=str,
)
def test_weights_of_a_folder_give_timms_numbers(folder: Path, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    ours = create_model(f"local-dir:{folder}", pretrained=True, **options).eval()
    torch.manual_seed(0)
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True, **options).eval()
    config = replace(VARIANTS[SMALL].model, in_chans=options.get("in_chans", 3))
    x = torch.from_numpy(drawn_images(config, 2))
    with torch.inference_mode():
        got, wanted = ours(x), theirs(x)
    assert isinstance(got, list) == isinstance(wanted, list)
    for ours_map, theirs_map in zip(got, wanted, strict=True) if isinstance(got, list) else [(got, wanted)]:
        torch.testing.assert_close(ours_map, theirs_map, rtol=1e-6, atol=1e-5)


def test_the_embedded_model_in_torch_is_the_engines(predictor: gmixer.Predictor) -> None:
    model = gmixer.create_model("gmixer_8_64", pretrained=True).eval()
    x = drawn_images(predictor.model, 3)
    with torch.inference_mode():
        np.testing.assert_allclose(model(torch.from_numpy(x)), predictor.forward(x).logits, atol=1e-4)
    same = gmixer.Engine.from_torch(model)
    np.testing.assert_array_equal(same.forward(x).logits, predictor.forward(x).logits)
    assert gmixer.data.resolve_model_data_config(model) == predictor.data.to_timm()


@pytest.mark.parametrize("image_px", [48, 96])
def test_another_size_is_the_engines(image_px: int, photos: list[Path]) -> None:
    model = create_model("gmixer_8_64", pretrained=True, img_size=image_px).eval()
    predictor = gmixer.load("gmixer_8_64", image_px=image_px)
    assert gmixer.data.resolve_model_data_config(model) == predictor.data.to_timm()
    x = predictor.transform(photos)
    with torch.inference_mode():
        np.testing.assert_allclose(model(torch.from_numpy(x)), predictor.forward(x).logits, atol=1e-4)
    same_tensors(
        create_model("gmixer_8_64", pretrained=True, img_size=64), create_model("gmixer_8_64", pretrained=True)
    )


def test_another_size_and_feature_maps_and_classes() -> None:
    options: dict[str, Any] = {"pretrained": True, "img_size": 96, "in_chans": 1}
    maps = create_model("gmixer_8_64", features_only=True, **options)
    x = torch.rand(2, 1, 96, 96)
    assert [tuple(y.shape) for y in maps(x)] == [(2, 256, 12, 12)] * 3
    assert gmixer.data.resolve_model_data_config(maps)["input_size"] == (1, 96, 96)
    assert create_model("gmixer_8_64", num_classes=5, **options)(x).shape == (2, 5)


def round_trips() -> Iterator[Any]:
    for name in PAIRS:
        if name == SMALL:
            yield from (pytest.param(name, K, chans) for K, chans in product((1000, 42, 0), (3, 1, 4)))
        elif not name.startswith("mixer_l"):  # as the smaller ones but for more of everything: 45 s for nothing new
            yield pytest.param(name, 42, 1, marks=pytest.mark.slow)


@pytest.mark.parametrize(("name", "num_classes", "in_chans"), list(round_trips()))
def test_there_and_back_through_timm(name: str, num_classes: int, in_chans: int, tmp_path: Path) -> None:
    first = create_model(name, num_classes=num_classes, in_chans=in_chans)
    save_model(first, tmp_path / "a")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'a'}", pretrained=True)
    same_tensors(first, theirs)
    save_model(theirs, tmp_path / "b")
    same_tensors(create_model(f"local-dir:{tmp_path / 'b'}", pretrained=True), first)


def test_checkpoint_path_must_fit_whole(folder: Path) -> None:
    file = folder / "model.safetensors"
    same_tensors(create_model(SMALL, checkpoint_path=file), create_model(f"local-dir:{folder}", pretrained=True))
    with pytest.raises(WeightsError, match=r"model.safetensors: head.(weight|bias) is 1000.* wants 10"):
        create_model(SMALL, num_classes=10, checkpoint_path=file)


def test_overlay_dtype_and_harmless_keywords() -> None:
    model = create_model(
        SMALL,
        pretrained_cfg_overlay={"mean": (0.1, 0.2, 0.3)},
        dtype=torch.bfloat16,
        scriptable=True,
        exportable=True,
        no_jit=None,
        drop_path_rate=0.1,
    )
    assert model.pretrained_cfg["mean"] == (0.1, 0.2, 0.3) and model.head.weight.dtype == torch.bfloat16
    assert create_model(SMALL, img_size=96).config.patches == 9
    with pytest.warns(UserWarning, match="the model is now mixer_b16_224.miil_in21k"):
        assert create_model("mixer_b16_224_miil_in21k", device="meta").num_classes == 11221


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"num_clases": 3}, TypeError, "no keyword 'num_clases'; did you mean 'num_classes'"),
        ({"block_layer": None}, TypeError, "block_layer is not offered"),
        ({"embed_dim": 512}, TypeError, "embed_dim belongs to the variant"),
        ({"model_name": "resnet50"}, UnknownModelError, "no model 'resnet50'"),
        ({"model_name": "gmixer_24_224.ra2"}, UnknownModelError, "there are gmixer_24_224.ra3_in1k"),
        ({"model_name": "gmixer_24_224", "pretrained": True}, WeightsError, "safetensors is not on this machine"),
        ({"model_name": "mixer_s32_224", "pretrained": True}, WeightsError, "never published with weights"),
        ({"model_name": "hf-hub:timm/gmixer_24_224.ra3_in1k"}, WeightsError, "config.json is not on this machine"),
        ({"model_name": "local-dir:nowhere"}, WeightsError, "nowhere"),
        ({"global_pool": "max"}, InputError, "global_pool is 'max'"),
        ({"model_name": "gmixer_8_64", "pretrained": True, "img_size": 100}, InputError, "not a multiple .* take 96"),
        ({"model_name": "gmixer_8_64", "pretrained": True, "img_size": 8000}, InputError, "wanted at most 4,096"),
        ({"pretrained_cfg_overlay": {"crop": 1.0}}, TypeError, "no 'crop'; did you mean 'crop_pct'"),
        ({"pretrained_cfg_overlay": {"input_size": (3, 64, 96)}}, InputError, "of a square"),
        ({"pretrained_cfg": "ra3_in1k"}, UnknownModelError, "mixer_s32_224 has no weights tagged 'ra3_in1k'"),
        ({"model_name": "gmixer_8_64", "pretrained": True, "stem_norm": True}, WeightsError, "lacks stem.norm.weight"),
    ],
)
def test_what_cannot_be_made(call: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        create_model(**{"model_name": SMALL} | call)


def parity_cases() -> Iterator[Any]:
    """Every variant with two blocks; of the wide ones (most of the time) all but the default are marked slow."""
    for name, K, chans in product(VARIANTS, (1000, 42, 0), (3, 1, 4)):
        slow = VARIANTS[name].model.channels > 512 and (K, chans) != (1000, 3)
        yield pytest.param(name, K, chans, id=f"{name}-{K}-{chans}", marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("name", "num_classes", "in_chans"), list(parity_cases()))
def test_parity_with_timm(name: str, num_classes: int, in_chans: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits, feature maps and intermediates on the same drawn weights, bit for bit."""
    variant = VARIANTS[name]
    monkeypatch.setitem(VARIANTS, name, replace(variant, model=replace(variant.model, blocks=2)))
    config = replace(VARIANTS[name].model, num_classes=num_classes, in_chans=in_chans)
    theirs = drawn_mixer(config)
    x = torch.from_numpy(drawn_images(config, 1))

    plain = create_model(name, num_classes=num_classes, in_chans=in_chans).eval()
    plain.load_state_dict(theirs.state_dict())
    maps = create_model(name, num_classes=num_classes, in_chans=in_chans, features_only=True, out_indices=2).eval()
    maps.model.load_state_dict(theirs.state_dict(), strict=False)
    with torch.inference_mode():
        assert torch.equal(plain(x), theirs(x))
        for options in ({}, {"indices": 1, "norm": True, "output_fmt": "NLC"}, {"indices": [0], "stop_early": True}):
            tokens, between = plain.forward_intermediates(x, **options)
            their_tokens, their_between = theirs.forward_intermediates(x, **options)
            assert torch.equal(tokens, their_tokens)
            assert all(map(torch.equal, between, their_between)) and len(between) == len(their_between)
        their_maps = FeatureGetterNet(theirs, out_indices=2)  # prunes theirs, so it goes last
        assert all(map(torch.equal, maps(x), their_maps(x))) and len(maps(x)) == 2
    assert list(maps.model.state_dict()) == list(their_maps.model.state_dict())
    mine, wanted = maps.feature_info, their_maps.feature_info
    assert mine.info == wanted.info and mine[1] == wanted[1] and len(mine) == len(wanted)
    for idx in (None, 1, [0, 1]):
        for ask in ("channels", "reduction", "module_name", "get_dicts"):
            assert getattr(mine, ask)(idx=idx) == getattr(wanted, ask)(idx=idx), (ask, idx)
        assert mine.get_dicts(["module"], idx) == wanted.get_dicts(["module"], idx)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(VARIANTS) - {"mixer_l32_224"}))  # mixer_l16_224 but for the patch
def test_real_sizes(name: str) -> None:
    theirs = drawn_mixer(VARIANTS[name].model)
    ours = create_model(name).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.from_numpy(drawn_images(VARIANTS[name].model, 1))
    with torch.inference_mode():
        assert torch.equal(ours(x), theirs(x))
