"""create_model beside timm's own: same keywords, same weights, same numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

import gmixer
from gmixer.config import VARIANTS
from gmixer.errors import InputError, UnknownModelError, WeightsError
from gmixer.models.factory import create_model
from gmixer.models.saving import save_model
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


@pytest.mark.parametrize("options", [{}, {"num_classes": 42, "in_chans": 4}, {"num_classes": 0, "in_chans": 1}])
@pytest.mark.parametrize("name", ["gmixer_12_224", "mixer_s16_224"])
def test_the_same_seed_gives_timms_model(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    ours = create_model(name, **options)
    torch.manual_seed(3)
    same_tensors(ours, timm.create_model(name, **options))


@pytest.mark.parametrize("name", PAIRS)
def test_pretrained_cfg_says_what_timms_says(name: str) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(name).pretrained_cfg
        ours = create_model(name, device="meta").pretrained_cfg
    for key in ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode", "num_classes", "architecture"):
        assert ours[key] == theirs[key], key
    assert ours["license"] == theirs["license"] and ours["first_conv"] == theirs["first_conv"]


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


def test_there_and_back_through_timm(tmp_path: Path) -> None:
    first = create_model("gmixer_12_224", num_classes=5)
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


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"num_clases": 3}, TypeError, "no keyword 'num_clases'; did you mean 'num_classes'"),
        ({"block_layer": None}, TypeError, "block_layer is not offered"),
        ({"embed_dim": 512}, TypeError, "embed_dim belongs to the variant"),
        ({"model_name": "resnet50"}, UnknownModelError, "no model 'resnet50'"),
        ({"model_name": "gmixer_24_224.ra2"}, UnknownModelError, "there are gmixer_24_224.ra3_in1k"),
        ({"model_name": "gmixer_24_224", "pretrained": True}, WeightsError, "are not in this package"),
        ({"model_name": "mixer_s32_224", "pretrained": True}, WeightsError, "never published with weights"),
        ({"model_name": "hf-hub:timm/gmixer_24_224.ra3_in1k"}, WeightsError, "local-dir:FOLDER"),
        ({"model_name": "local-dir:nowhere"}, WeightsError, "nowhere"),
        ({"global_pool": "max"}, InputError, "global_pool is 'max'"),
        ({"model_name": "gmixer_8_64", "pretrained": True, "img_size": 96}, InputError, "img_size is 96"),
        ({"model_name": "gmixer_8_64", "pretrained": True, "stem_norm": True}, WeightsError, "lacks stem.norm.weight"),
    ],
)
def test_what_cannot_be_made(call: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        create_model(**{"model_name": SMALL} | call)
