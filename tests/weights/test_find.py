"""Where weights come from: embedded, a file, a folder as timm writes it."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf

import gmixer
from gmixer.bench.target import open_target
from gmixer.catalogue import VARIANTS
from gmixer.config import IMAGENET_MEAN
from gmixer.doctor.embedded import answer
from gmixer.errors import InputError, UnknownModelError, WeightsError
from gmixer.options import WeightsSource
from gmixer.weights import pull
from gmixer.weights.find import EMBEDDED_WEIGHTS, find_checkpoint, is_path, preferred_model
from mixers import drawn_mixer, write_timm_folder

EMBEDDED = "gmixer_8_64.distill_in1k"
RECORD = json.loads(EMBEDDED_WEIGHTS.with_suffix(".json").read_text())


def timm_folder(folder: Path, name: str = "gmixer_12_224", **arguments: Any) -> Path:
    """A folder written by timm's own save_for_hf."""
    model = timm.create_model(name, **arguments)
    save_for_hf(model, folder, model_args=arguments, safe_serialization=True)
    return folder


def edit(folder: Path, **changes: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


def test_embedded_weights_are_those_described() -> None:
    checkpoint = find_checkpoint(EMBEDDED)
    assert hashlib.sha256(checkpoint.path.read_bytes()).hexdigest() == RECORD["sha256"]
    assert checkpoint.model.parameters == RECORD["parameters"]
    assert checkpoint.data.to_timm() == {
        key: tuple(value) if isinstance(value, list) else value for key, value in RECORD["data_config"].items()
    }
    assert find_checkpoint("gmixer_8_64").name == EMBEDDED, "a bare variant takes its default tag"
    assert checkpoint.pretrained is not None
    assert checkpoint.pretrained.top1 == round(100 * RECORD["accuracy"]["top1"], 2)
    assert checkpoint.pretrained.top1_on == RECORD["accuracy"]["on"]


def test_names_without_weights_here() -> None:
    with pytest.raises(
        WeightsError, match=r"gmixer_24_224.ra3_in1k: model.safetensors is not on this machine .*gmixer pull gm"
    ):
        find_checkpoint("gmixer_24_224")
    with pytest.raises(WeightsError, match=r"gmixer_12_224 was never published with weights"):
        find_checkpoint("gmixer_12_224")
    with pytest.raises(UnknownModelError, match=r"no model 'gmixer_24_22'; the closest are gmixer_24_224"):
        find_checkpoint("gmixer_24_22")
    with pytest.raises(UnknownModelError, match=r"no weights tagged 'ra9'; there are gmixer_24_224.ra3_in1k"):
        find_checkpoint("gmixer_24_224.ra9")


def test_timm_folder_loads_as_it_is(tmp_path: Path) -> None:
    folder = timm_folder(tmp_path / "mine")
    checkpoint = find_checkpoint(folder)
    assert checkpoint.name == "mine"
    assert checkpoint.model == VARIANTS["gmixer_12_224"].model
    assert checkpoint.data == VARIANTS["gmixer_12_224"].data


def test_timm_folder_with_its_own_classes_channels_and_size(tmp_path: Path) -> None:
    names = ["n1", "n2", "n3"]
    model = timm.create_model("mixer_s32_224", num_classes=3, in_chans=1)
    save_for_hf(
        model,
        tmp_path,
        model_config={"label_names": names, "label_descriptions": {"n1": "a cat", "n3": "a dog"}},
        model_args={"in_chans": 1},
        safe_serialization=True,
    )
    checkpoint = find_checkpoint(tmp_path)
    assert checkpoint.class_names == ("a cat", "n2", "a dog")
    assert (checkpoint.model.num_classes, checkpoint.model.in_chans) == (3, 1)
    edit(tmp_path, label_names=names[:2])
    with pytest.raises(WeightsError, match=r"config.json: label_names holds 2 names for 3 classes"):
        find_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "resnet50"}, "config.json: no model 'resnet50'.*wanted timm's config.json of a Mixer"),
        (
            {"num_classes": 10, "model_args": {}},
            "model.safetensors: head.weight is 1000×384, .* wants 10×384; set num_classes to 1000|head.bias is 1000",
        ),
        ({"global_pool": "", "model_args": {}}, "global_pool is ''; gmixer pools by the mean"),
        ({"model_args": {"stem_norm": True}}, "does not know the model_args 'stem_norm'"),
        ({"architecture": "gmixer_24_224"}, "model.safetensors: lacks blocks.12.norm1.weight"),
        ({"pretrained_cfg": {"mean": [0.5]}}, "mean is .* and std is .*; wanted 3 numbers in each"),
        ({"pretrained_cfg": {"crop_pct": 2}}, "crop_fraction is 2"),
        ({"pretrained_cfg": {"crop_pct": 1e-9}}, "crop_fraction is 1e-09; wanted a number from 0.0625 to 1"),
        ({"pretrained_cfg": None}, "config.json: .*wanted timm's config.json"),
        ({"model_args": {"num_blocks": 10**9}}, "a model of 1,000,000,000 blocks .* wanted at most 1,000 blocks"),
        ({"model_args": {"img_size": 2**40}}, "wanted at most .* parameters"),
        ({"num_classes": 10**12, "model_args": {}}, "wanted at most .* parameters"),
        ({"label_names": "x" * 1000}, "label_names is of type str; wanted a list of strings"),
        ({"label_names": [0.5] * 1000}, "label_names is not a list of strings"),
    ],
)
def test_a_config_that_does_not_fit(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        find_checkpoint(edit(timm_folder(tmp_path), **changes))


def test_a_damaged_folder(tmp_path: Path) -> None:
    folder = timm_folder(tmp_path)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text[:-10])
    with pytest.raises(WeightsError, match=r"config.json: .*wanted timm's config.json"):
        find_checkpoint(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(WeightsError, match=r"config.json: .*wanted timm's config.json"):
        find_checkpoint(folder)
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(WeightsError, match=r"config.json: .*wanted timm's config.json"):
        find_checkpoint(folder)
    (folder / "config.json").write_text(text + " " * 2**24)
    with pytest.raises(WeightsError, match=r"config.json: holds [\d,]+ bytes, more than 16,777,216"):
        find_checkpoint(folder)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"holds no config.json; .*or the path of the .safetensors file"):
        find_checkpoint(folder)
    (folder / "config.json").write_text(text)
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model.safetensors: no such file"):
        find_checkpoint(folder)
    with pytest.raises(InputError, match=r"which model a bare weights file is; leave it out: .* has a config.json"):
        find_checkpoint(folder, WeightsSource(name="gmixer_12_224"))


def test_a_bare_file_needs_no_config(tmp_path: Path) -> None:
    path = tmp_path / "trained.safetensors"
    config = replace(VARIANTS["gmixer_8_64"].model, num_classes=7)
    save_file(drawn_mixer(config).half().state_dict(), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one row of the table fits: nothing to warn of
        checkpoint = find_checkpoint(path)
    assert (checkpoint.name, checkpoint.model, checkpoint.pretrained) == ("trained", config, None)
    assert checkpoint.data == VARIANTS["gmixer_8_64"].data


def test_a_bare_file_of_an_ambiguous_shape_warns_and_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "b16.safetensors"
    shapes = VARIANTS["mixer_b16_224"].model.tensor_shapes()
    save_file({name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()}, path)
    candidates = r"goog_in21k_ft_in1k or mixer_b16_224.miil_in21k_ft_in1k.*Choose another by name="
    with pytest.warns(UserWarning, match=candidates):
        assert find_checkpoint(path).data.mean == (0.5, 0.5, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = find_checkpoint(path, WeightsSource(name="mixer_b16_224.miil_in21k_ft_in1k"))
    assert (told.name, told.data.interpolation) == ("mixer_b16_224.miil_in21k_ft_in1k", "bilinear")
    with pytest.raises(WeightsError, match=r"b16.safetensors: lacks blocks.12"):
        find_checkpoint(path, WeightsSource(name="gmixer_24_224.ra3_in1k"))


def test_a_bare_file_of_no_known_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    save_file(drawn_mixer(replace(VARIANTS["gmixer_8_64"].model, blocks=3)).state_dict(), path)
    with pytest.raises(
        WeightsError, match=r"odd.safetensors: 3 blocks of 256 channels, .* put it as model.safetensors"
    ):
        find_checkpoint(path)


def test_header_is_checked_before_anything_is_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong file is refused by its header alone: no tensor is read, no engine is made."""
    folder = edit(timm_folder(tmp_path), num_classes=10, model_args={})
    monkeypatch.setattr("gmixer.weights.tensor_file.TensorFile.tensors", lambda self: pytest.fail("read a tensor"))
    monkeypatch.setattr("gmixer.runtimes.opening.Engine", lambda *a, **k: pytest.fail("made an engine"))
    with pytest.raises(WeightsError):
        gmixer.load(folder)


def test_nan_names_the_weights_file(tmp_path: Path) -> None:
    model = drawn_mixer(VARIANTS["gmixer_8_64"].model)
    with torch.no_grad():
        model.blocks[3].mlp_tokens.fc1.bias[5] = float("nan")
    save_file(model.state_dict(), tmp_path / "diverged.safetensors")
    with pytest.raises(WeightsError, match=r"diverged.safetensors: blocks.3.mlp_tokens.fc1.bias holds NaN"):
        gmixer.load(tmp_path / "diverged.safetensors")


def test_folder_mean_is_taken_from_config(tmp_path: Path) -> None:
    folder = timm_folder(tmp_path)
    assert find_checkpoint(folder).data.mean == IMAGENET_MEAN
    config = json.loads((folder / "config.json").read_text())
    edit(folder, pretrained_cfg=config["pretrained_cfg"] | {"mean": [0.1, 0.2, 0.3], "crop_mode": "squash"})
    assert find_checkpoint(folder).data.mean == (0.1, 0.2, 0.3)
    assert find_checkpoint(folder).data.crop_mode == "squash"


def test_a_network_of_another_size_is_fed_images_of_that_size(tmp_path: Path) -> None:
    """timm writes the size it was made with to model_args, and leaves the pretrained one in pretrained_cfg."""
    model = timm.create_model("mixer_s32_224", img_size=96)
    save_for_hf(model, tmp_path, model_args={"img_size": 96}, safe_serialization=True)
    checkpoint = find_checkpoint(tmp_path)
    assert checkpoint.model.image_px == checkpoint.data.image_px == 96
    assert gmixer.load(tmp_path).classify(np.zeros((100, 100, 3), np.uint8))


@pytest.mark.parametrize(("in_chans", "means"), [(1, (sum(IMAGENET_MEAN) / 3,)), (4, (*IMAGENET_MEAN, 0.485))])
def test_a_bare_file_of_other_channels_and_size_is_fed_so(tmp_path: Path, in_chans: int, means: tuple) -> None:
    config = replace(VARIANTS["gmixer_8_64"].model, in_chans=in_chans, image_px=96)
    save_file(drawn_mixer(config).state_dict(), tmp_path / "other.safetensors")
    for name in (None, "gmixer_8_64"):
        checkpoint = find_checkpoint(tmp_path / "other.safetensors", WeightsSource(name=name))
        assert checkpoint.model == config
        assert (checkpoint.data.in_chans, checkpoint.data.image_px) == (in_chans, 96)
        assert checkpoint.data.mean == pytest.approx(means)


def test_a_folder_of_other_channels_is_fed_so(tmp_path: Path) -> None:
    """timm leaves three means in pretrained_cfg where model_args say one channel."""
    save_for_hf(
        timm.create_model("mixer_s32_224", in_chans=1), tmp_path, model_args={"in_chans": 1}, safe_serialization=True
    )
    data = find_checkpoint(tmp_path).data
    assert (data.in_chans, data.mean, data.std) == (1, (0.5,), (0.5,))


def test_a_folders_licence_is_kept(tmp_path: Path) -> None:
    folder = timm_folder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    edit(folder, pretrained_cfg=config["pretrained_cfg"] | {"license": "cc-by-nc-4.0"})
    assert find_checkpoint(folder).license == "cc-by-nc-4.0"


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_named_like_a_model_is_taken_and_said(in_folder: Path) -> None:
    write_timm_folder(in_folder / "gmixer_8_64", "gmixer_8_64", replace(VARIANTS["gmixer_8_64"].model, num_classes=3))
    with pytest.warns(UserWarning, match="gmixer_8_64 is a folder in the working directory, and was taken"):
        assert find_checkpoint("gmixer_8_64").model.num_classes == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_checkpoint(EMBEDDED).name == EMBEDDED, "the full name is no folder"
        assert find_checkpoint("./gmixer_8_64").model.num_classes == 3, "a path is clear"
    assert pull("gmixer_8_64").name == EMBEDDED, "pull takes no folder"
    with pytest.warns(UserWarning, match="was taken"), open_target("gmixer_8_64") as target:
        assert not target.drawn and target.config.num_classes == 3


def test_a_folder_of_anything_else_does_not_hide_a_model(in_folder: Path) -> None:
    (in_folder / "gmixer_8_64" / "model").mkdir(parents=True)  # a training run
    with pytest.warns(UserWarning, match=r"gmixer_8_64 is the pretrained model, and was taken; the folder .* holds no"):
        assert find_checkpoint("gmixer_8_64").name == EMBEDDED
    (in_folder / "flowers").mkdir()
    with pytest.raises(WeightsError, match=r"flowers: holds no config.json"):
        find_checkpoint("flowers")


def test_a_file_named_like_a_model_is_said(in_folder: Path) -> None:
    (in_folder / EMBEDDED).touch()
    with pytest.warns(UserWarning, match=rf"is the pretrained model, and was taken; not the file ./{EMBEDDED}"):
        assert find_checkpoint(EMBEDDED).name == EMBEDDED


def test_what_gmixer_chooses_itself_is_never_a_folder(in_folder: Path) -> None:
    """`--model auto`, `gmixer doctor` and register_with_timm."""
    write_timm_folder(in_folder / EMBEDDED, "gmixer_8_64", replace(VARIANTS["gmixer_8_64"].model, num_classes=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        name = preferred_model()
        assert name == EMBEDDED and not is_path(name)
        assert find_checkpoint(name).model.num_classes == 1000
        assert answer()[0] == "ok", "doctor's check"


@pytest.mark.parametrize("name", ["w/absent.safetensors", "w/absent.pth"])
def test_a_file_that_is_absent_is_no_repository(name: str, in_folder: Path) -> None:
    with pytest.raises(WeightsError, match=f"^{name}: no such file") as said:
        find_checkpoint(name, WeightsSource(allow_pickle=True))
    assert "hf-hub" not in str(said.value)


def test_a_name_that_is_too_long_for_a_file() -> None:
    for suffix in (".safetensors", ".pth", "/model"):
        with pytest.raises(WeightsError):
            find_checkpoint("x" * 5000 + suffix, WeightsSource(allow_pickle=True))


def test_a_name_is_for_a_bare_file() -> None:
    for source in (EMBEDDED, "gmixer_24_224"):
        with pytest.raises(InputError, match=r"says which model a bare weights file is; leave it out: .* of the table"):
            find_checkpoint(source, WeightsSource(name="gmixer_8_64"))
