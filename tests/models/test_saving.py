"""Folders that timm loads by local-dir, and the native engine as they are."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.config import DataConfig
from gmixer.errors import InputError, WeightsError
from gmixer.models.saving import save_model
from gmixer.timm_compat.bridge import register_with_timm
from gmixer.weights import find_checkpoint
from mixers import drawn_images, drawn_mixer

CUSTOM = DataConfig(
    image_px=224, crop_fraction=0.9, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), interpolation="bilinear"
)


@pytest.mark.parametrize("variant", ["gmixer_12_224", "mixer_s32_224"])
@pytest.mark.parametrize(("num_classes", "in_chans"), [(1000, 3), (5, 3), (0, 3), (5, 1), (5, 4)])
def test_timm_loads_the_folder(variant: str, num_classes: int, in_chans: int, tmp_path: Path) -> None:
    config = replace(VARIANTS[variant].model, num_classes=num_classes, in_chans=in_chans)
    model, x = drawn_mixer(config), torch.from_numpy(drawn_images(config, 1))
    colours = {"mean": (0.5,) * in_chans, "std": (0.5,) * in_chans, "in_chans": in_chans}
    save_model(model, tmp_path, data=replace(VARIANTS[variant].data, **colours))
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert {k: torch.equal(v, model.state_dict()[k]) for k, v in loaded.state_dict().items()} == dict.fromkeys(
        model.state_dict(), True
    )
    with torch.inference_mode():
        torch.testing.assert_close(loaded(x), model(x), rtol=0, atol=0)


def test_class_names_and_data_config_travel(tmp_path: Path, photos: list[Path]) -> None:
    names = ["rose", "tulip", "daisy"]
    model = drawn_mixer(replace(VARIANTS["mixer_s32_224"].model, num_classes=3))
    assert (
        save_model(model, tmp_path / "flowers", data=CUSTOM, class_names=names, license="mit") == tmp_path / "flowers"
    )
    predictor = gmixer.load(tmp_path / "flowers")
    assert sorted(c.label for c in predictor.classify(photos[0])) == sorted(names)
    assert (predictor.data, predictor.checkpoint.license) == (CUSTOM, "mit")
    loaded = timm.create_model(f"local-dir:{tmp_path / 'flowers'}", pretrained=True)
    assert loaded.pretrained_cfg["label_names"] == names
    resolved = timm.data.resolve_model_data_config(loaded)
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in resolved.items()} == CUSTOM.to_timm()
    with torch.inference_mode():
        x_BCHW = predictor.transform(photos)
        np.testing.assert_allclose(predictor.forward(x_BCHW).logits, model(torch.from_numpy(x_BCHW)), atol=1e-4)
    assert sorted(path.name for path in (tmp_path / "flowers").iterdir()) == ["config.json", "model.safetensors"]


def test_a_model_of_timms_keeps_its_own_data_config(tmp_path: Path) -> None:
    model = timm.create_model("mixer_b16_224.miil_in21k_ft_in1k")
    save_model(model, tmp_path)
    assert gmixer.load(tmp_path).data == VARIANTS["mixer_b16_224"].pretrained["miil_in21k_ft_in1k"].data


@pytest.mark.parametrize("in_chans", [1, 4])
@pytest.mark.parametrize("create_model", [gmixer.create_model, timm.create_model])
def test_other_channels_are_saved_as_the_model_has_them(create_model: Any, in_chans: int, tmp_path: Path) -> None:
    model = create_model("mixer_s32_224", in_chans=in_chans)
    save_model(model, tmp_path)
    checkpoint = find_checkpoint(tmp_path)
    assert checkpoint.model.in_chans == checkpoint.data.in_chans == len(checkpoint.data.mean) == in_chans
    back = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert torch.equal(back.stem.proj.weight, model.stem.proj.weight)


def test_another_size_and_half_precision(tmp_path: Path) -> None:
    config = replace(VARIANTS["gmixer_8_64"].model, image_px=96)
    save_model(drawn_mixer(config).half(), tmp_path)
    checkpoint = gmixer.load(tmp_path).checkpoint
    assert (checkpoint.model, checkpoint.data.image_px, checkpoint.file.dtypes) == (config, 96, ("F16",))


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"this Linear: holds no MLP-Mixer"):
        save_model(torch.nn.Linear(2, 2), tmp_path)
    with pytest.raises(InputError, match=r"3 blocks of 256 channels are no variant, so config.json cannot name it"):
        save_model(drawn_mixer(replace(VARIANTS["gmixer_8_64"].model, blocks=3)), tmp_path)
    with pytest.raises(InputError, match=r"class_names holds 2 names for 1,000 classes"):
        save_model(drawn_mixer(VARIANTS["gmixer_8_64"].model), tmp_path, class_names=["a", "b"])
    assert list(tmp_path.iterdir()) == []


def test_timm_learns_of_the_embedded_model(tmp_path: Path, predictor: gmixer.Predictor) -> None:
    register_with_timm()
    register_with_timm()
    assert timm.list_models("gmixer_8*", pretrained=True) == ["gmixer_8_64.distill_in1k"]
    model = timm.create_model("gmixer_8_64", pretrained=True).eval()
    assert timm.data.resolve_model_data_config(model) == predictor.data.to_timm()
    x_BCHW = drawn_images(predictor.model, 2)
    with torch.inference_mode():
        np.testing.assert_allclose(predictor.forward(x_BCHW).logits, model(torch.from_numpy(x_BCHW)), atol=1e-4)
    fine_tuned = timm.create_model("gmixer_8_64.distill_in1k", pretrained=True, num_classes=7)
    save_model(fine_tuned, tmp_path, class_names=list("abcdefg"))
    back = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert torch.equal(back.head.weight, fine_tuned.head.weight)
    assert len(timm.create_model("gmixer_8_64", features_only=True)(torch.from_numpy(x_BCHW))) == 3
    assert json.loads((tmp_path / "config.json").read_text())["label_names"] == list("abcdefg")


def test_class_names_stay_with_a_model_that_brought_them(tmp_path: Path) -> None:
    names = ["rose", "tulip", "daisy"]
    save_model(drawn_mixer(replace(VARIANTS["gmixer_8_64"].model, num_classes=3)), tmp_path / "a", class_names=names)
    model = gmixer.create_model(f"local-dir:{tmp_path / 'a'}", pretrained=True)
    assert find_checkpoint(save_model(model, tmp_path / "b")).class_names == tuple(names)
    model.reset_classifier(4)  # other classes, so they are no longer theirs
    assert find_checkpoint(save_model(model, tmp_path / "c")).class_names is None


def test_the_callers_data_config_is_written_for_the_models_channels(tmp_path: Path) -> None:
    grey = drawn_mixer(replace(VARIANTS["gmixer_8_64"].model, in_chans=1))
    save_model(grey, tmp_path, data=VARIANTS["gmixer_8_64"].data)
    written = json.loads((tmp_path / "config.json").read_text())["pretrained_cfg"]
    assert written["input_size"] == [1, 64, 64] and len(written["mean"]) == len(written["std"]) == 1


def test_weights_and_config_have_the_same_permissions(tmp_path: Path) -> None:
    folder = save_model(gmixer.create_model("gmixer_8_64", num_classes=2), tmp_path)
    config, weights = ((folder / name).stat().st_mode for name in ("config.json", "model.safetensors"))
    assert config == weights


def test_a_full_disk_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = gmixer.save_model(gmixer.create_model("gmixer_8_64", num_classes=2), tmp_path / "model")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, allowed[1]))
    try:
        with pytest.raises(OSError, match=r"model\.safetensors: .*File too large"):
            gmixer.save_model(gmixer.create_model("gmixer_8_64", num_classes=3), folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
