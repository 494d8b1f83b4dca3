"""features_only beside timm's own: each feature_cls, on one seed, bit for bit."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import timm
import torch
from timm.models._features import FeatureGetterNet, FeatureHookNet
from torch import nn

from gmixer.catalogue import VARIANTS
from gmixer.errors import InputError
from gmixer.timm_compat.create_model import create_model

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # torch calls script and trace deprecated

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def pair(**options: Any) -> tuple[nn.Module, nn.Module]:
    """Ours and timm's of one seed, at 64 pixels."""
    models = []
    for create in (create_model, timm.create_model):
        torch.manual_seed(3)
        models.append(create("mixer_s32_224", img_size=64, num_classes=5, features_only=True, **options).eval())
    return models[0], models[1]


@pytest.mark.parametrize(
    ("feature_cls", "out_indices"),
    [
        *product(["getter", "fx", "hook"], [None, [2, 0, 2], (3, -8)]),
        *product(["GETTER", FeatureGetterNet, FeatureHookNet], [2]),
    ],
)
def test_each_feature_cls_is_timms(feature_cls: Any, out_indices: Any) -> None:
    ours, theirs = pair(feature_cls=feature_cls, out_indices=out_indices)
    got, wanted = ours(X), theirs(X)
    assert len(got) == len(wanted) and all(map(torch.equal, got, wanted))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for ask in ("channels", "reduction", "module_name", "get_dicts"):
        assert getattr(ours.feature_info, ask)() == getattr(theirs.feature_info, ask)(), ask
    assert ours.pretrained_cfg.keys() == theirs.pretrained_cfg.keys()


@pytest.fixture
def three_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, variant in VARIANTS.items():
        monkeypatch.setitem(VARIANTS, name, replace(variant, model=replace(variant.model, blocks=3)))


@pytest.mark.parametrize("feature_cls", ["getter", "fx", "hook"])
@pytest.mark.usefixtures("three_blocks")
def test_each_compiles_and_copies(feature_cls: str) -> None:
    """timm's "hook" cannot be scripted, copied or pickled."""
    options: dict[str, Any] = {"feature_cls": feature_cls, "out_indices": [2, 0]}
    model = create_model("mixer_s32_224", img_size=64, features_only=True, **options).eval()
    for other in (
        torch.jit.script(model),
        torch.jit.script(torch.fx.symbolic_trace(model)),
        torch.jit.trace(model, X, strict=False),
        torch.export.export(model, (X,)).module(),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ):
        assert all(map(torch.equal, other(X), model(X)))


@pytest.mark.parametrize("feature_cls", ["list", "Dict"])
def test_a_mixer_has_no_top_modules_to_cut_at(feature_cls: str) -> None:
    with pytest.raises(InputError, match="blocks lie inside one of them; wanted 'getter', 'fx' or 'hook'"):
        create_model("mixer_s32_224", device="meta", features_only=True, feature_cls=feature_cls)


def test_what_is_no_feature_cls() -> None:
    with pytest.raises(InputError, match="feature_cls is 'hooks'; wanted 'getter', 'fx' or 'hook', or a class"):
        create_model("mixer_s32_224", device="meta", features_only=True, feature_cls="hooks")
    with pytest.raises(InputError, match="pass both, or neither"):
        create_model("mixer_s32_224", device="meta", feature_cls="getter")
    for feature_cls in ("getter", "fx", "hook"):
        with pytest.raises(InputError, match="out of range"):
            create_model("mixer_s32_224", img_size=32, features_only=True, feature_cls=feature_cls, out_indices=[8])


def suite(name: str, image_px: int) -> None:
    """What timm's test suite asks of a model: script, fx, fx with script, features of "getter", and a backward pass."""
    x = torch.randn(1, 3, image_px, image_px)
    model = create_model(name, img_size=image_px, scriptable=True, exportable=True, no_jit=True).eval()
    nn.init.normal_(model.head.weight)
    with torch.no_grad():
        logits = model(x)
        graph = torch.fx.symbolic_trace(model)
        assert torch.equal(graph(x), logits)
        assert torch.equal(torch.jit.script(model)(x), logits)
        assert torch.equal(torch.jit.script(graph)(x), logits)
    graph.train()(x).mean().backward()
    assert all(p.grad is not None for p in model.parameters())
    maps = create_model(name, img_size=image_px, features_only=True, feature_cls="getter").eval()
    side = image_px // model.config.patch_px
    assert [y.shape for y in maps(x)] == [(1, channels, side, side) for channels in maps.feature_info.channels()]


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.model.channels <= 512])
@pytest.mark.usefixtures("three_blocks")
def test_timms_suite_on_three_blocks(name: str) -> None:
    suite(name, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_timms_suite(name: str) -> None:
    suite(name, VARIANTS[name].model.image_px)
