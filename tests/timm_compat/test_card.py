"""The model card of gmixer_24_224.ra3_in1k, run as it is written: only timm is another, and torch is imported.

Source of the snippets and figures: the card of timm/gmixer_24_224.ra3_in1k on the Hugging Face Hub. Its weights are
served by a folder laid out as the Hub's cache, with drawn values; `urlopen` opens a photograph of ours.
"""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

import gmixer
from gmixer.catalogue import VARIANTS
from hub import hub_cache
from mixers import drawn_mixer

pytestmark = pytest.mark.slow  # the real size

CLASSIFY = """
from urllib.request import urlopen
from PIL import Image
import timm

img = Image.open(urlopen(
    'https://huggingface.co/datasets/huggingface/documentation-images/resolve/main/beignets-task-guide.png'
))

model = timm.create_model('gmixer_24_224.ra3_in1k', pretrained=True)
model = model.eval()

# get model specific transforms (normalization, resize)
data_config = timm.data.resolve_model_data_config(model)
transforms = timm.data.create_transform(**data_config, is_training=False)

output = model(transforms(img).unsqueeze(0))  # unsqueeze single image into batch of 1

top5_probabilities, top5_class_indices = torch.topk(output.softmax(dim=1) * 100, k=5)
"""

EMBED = """
from urllib.request import urlopen
from PIL import Image
import timm

img = Image.open(urlopen(
    'https://huggingface.co/datasets/huggingface/documentation-images/resolve/main/beignets-task-guide.png'
))

model = timm.create_model(
    'gmixer_24_224.ra3_in1k',
    pretrained=True,
    num_classes=0,  # remove classifier nn.Linear
)
model = model.eval()

# get model specific transforms (normalization, resize)
data_config = timm.data.resolve_model_data_config(model)
transforms = timm.data.create_transform(**data_config, is_training=False)

output = model(transforms(img).unsqueeze(0))  # output is (batch_size, num_features) shaped tensor
pooled = output

# or equivalently (without needing to set num_classes=0)

output = model.forward_features(transforms(img).unsqueeze(0))
# output is unpooled, a (1, 196, 384) shaped tensor
unpooled = output

output = model.forward_head(output, pre_logits=True)
# output is a (1, num_features) shaped tensor
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn, and small enough that the softmax is not all on one class."""
    model = drawn_mixer(VARIANTS["gmixer_24_224"].model)
    model.head.weight.data.mul_(0.05)
    file = tmp_path_factory.mktemp("card") / "model.safetensors"
    save_file(model.state_dict(), file)
    return file


def run(snippet: str, package: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec("import torch\n" + snippet.replace("import timm", f"import {package} as timm"), names)
    return names


@pytest.fixture
def hub(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: list[Path]) -> None:
    cache = hub_cache(tmp_path, "timm/gmixer_24_224.ra3_in1k", weights)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(urllib.request, "urlopen", lambda url: photos[0].open("rb"))


@pytest.fixture
def timms_weights(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm's own run of the same text: it reads the file instead of its cache."""
    create = timm.create_model
    overlay = {"file": str(weights)}
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: create(*a, **k, pretrained_cfg_overlay=overlay))


@pytest.mark.usefixtures("hub", "timms_weights")
def test_image_classification() -> None:
    ours, theirs = run(CLASSIFY, "gmixer"), run(CLASSIFY, "timm")
    assert isinstance(ours["model"], gmixer.models.mixer.Mixer)  # type: ignore[attr-defined]
    assert torch.equal(ours["output"], theirs["output"]) and ours["output"].shape == (1, 1000)
    assert torch.equal(ours["top5_class_indices"], theirs["top5_class_indices"])
    assert torch.equal(ours["top5_probabilities"], theirs["top5_probabilities"])
    assert ours["data_config"] == theirs["data_config"]


@pytest.mark.usefixtures("hub", "timms_weights")
def test_image_embeddings() -> None:
    ours, theirs = run(EMBED, "gmixer"), run(EMBED, "timm")
    assert (ours["pooled"].shape, ours["unpooled"].shape, ours["output"].shape) == ((1, 384), (1, 196, 384), (1, 384))
    for name in ("pooled", "unpooled", "output"):
        assert torch.equal(ours[name], theirs[name]), name


def test_figures() -> None:
    """Params 24.7 M, 5.3 GMACs, 14.5 M activations, image size 224 x 224."""
    model = gmixer.create_model("gmixer_24_224.ra3_in1k").eval()
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == 24.7
    activations = 0

    def count(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal activations
        activations += output.numel()

    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            module.register_forward_hook(count)
    with FlopCounterMode(display=False) as flops, torch.inference_mode():
        model(torch.zeros(1, 3, 224, 224))
    macs = flops.get_total_flops() / 2
    config = VARIANTS["gmixer_24_224"].model
    assert (macs, activations) == (config.macs, config.activations)
    assert round(macs / 1e9, 1) == 5.3 and round(activations / 1e6, 1) == 14.5
    assert round(config.macs_with_norms / 1e9, 2) == 5.28
