"""The torch Mixer through torch.jit.script, torch.jit.trace, torch.fx and both ONNX exporters, compared with eager.

torch.export and torch.compile are in test_mixer.py. timm's own test suite asks for script, fx, and fx with script.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from timm.models import FeatureGraphNet
from torch import Tensor, nn

from gmixer.config import ModelConfig
from gmixer.models.mixer import Mixer
from mixers import drawn_images, drawn_mixer

# torch calls script, trace and the tracing exporter deprecated. torch.fx makes a class that torch.jit.script warns of.
pytestmark = pytest.mark.filterwarnings("ignore::Warning")

GMIXER = ModelConfig(
    image_px=32, patch_px=8, channels=48, blocks=3, token_hidden=20, channel_hidden=72, mlp="swiglu", num_classes=10
)
MIXER = replace(GMIXER, mlp="gelu")
X = torch.from_numpy(drawn_images(GMIXER, 3))
EVERY_DROP = {"drop_rate": 0.3, "proj_drop_rate": 0.2, "drop_path_rate": 0.4}


def drawn(config: ModelConfig = GMIXER, **options: Any) -> Mixer:
    """In eval mode, with weights that are no initial ones."""
    model = Mixer(config, **options).eval()
    model.load_state_dict(drawn_mixer(config).state_dict(), strict=False)
    return model


def scripted(model: nn.Module) -> nn.Module:
    return torch.jit.script(model)


def traced(model: nn.Module) -> nn.Module:
    return torch.jit.trace(model, X, check_trace=False)


def fx(model: nn.Module) -> nn.Module:
    return torch.fx.symbolic_trace(model)


def fx_scripted(model: nn.Module) -> nn.Module:
    return torch.jit.script(torch.fx.symbolic_trace(model))


COMPILERS = pytest.mark.parametrize("compiled", [scripted, traced, fx, fx_scripted])


@COMPILERS
@pytest.mark.parametrize(
    ("config", "options"),
    [
        (GMIXER, EVERY_DROP),
        (replace(MIXER, num_classes=0), {"global_pool": "", "stem_norm": True}),
    ],
    ids=["classes", "tokens"],
)
def test_the_bits_of_eager(compiled: Callable[[nn.Module], nn.Module], config: ModelConfig, options: Any) -> None:
    model = drawn(config, **options)
    other = compiled(model)
    for batch in (X, X[:1]):
        assert torch.equal(other(batch), model(batch))


@pytest.mark.parametrize("compiled", [scripted, fx_scripted])
def test_training_draws_and_gradients_of_eager(compiled: Callable[[nn.Module], nn.Module]) -> None:
    model = drawn(**EVERY_DROP).train()
    model.set_grad_checkpointing()  # which torch.jit.script ignores
    other = compiled(drawn(**EVERY_DROP).train())
    results = []
    for network in (model, other):
        torch.manual_seed(4)
        logits = network(X)
        logits.square().sum().backward()
        results.append([logits, *(p.grad for p in network.parameters())])
    for wanted, got in zip(*results, strict=True):
        assert wanted is not None and got is not None
        torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)


def test_a_scripted_model_keeps_timms_methods_and_what_it_is() -> None:
    model = drawn()
    model.pretrained_cfg = model.default_cfg = {"mean": (0.5, 0.5, 0.5)}
    other = torch.jit.script(model)
    assert torch.equal(other.forward_features(X), model.forward_features(X))
    for pre_logits in (False, True):
        got = other.forward_head(model.forward_features(X), pre_logits=pre_logits)
        assert torch.equal(got, model.forward_head(model.forward_features(X), pre_logits))
    assert other.group_matcher() == model.group_matcher()
    assert other.get_classifier().weight is model.head.weight
    for name in ("config", "feature_info", "pretrained_cfg", "default_cfg", "num_classes", "global_pool"):
        assert getattr(other, name) == getattr(model, name), name


def test_a_scripted_model_is_saved_frozen_and_keeps_its_dtype() -> None:
    model = drawn()
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(model), file)
    file.seek(0)
    assert torch.equal(torch.jit.load(file)(X), model(X))
    torch.testing.assert_close(torch.jit.freeze(torch.jit.script(model))(X), model(X))
    model.bfloat16()
    assert torch.equal(torch.jit.script(model)(X.bfloat16()), model(X.bfloat16()))


def test_script_follows_a_new_head_and_pruning() -> None:
    model = drawn()
    for change in (
        lambda: model.reset_classifier(4),
        lambda: model.reset_classifier(0, ""),
        lambda: model.prune_intermediate_layers([1], prune_norm=True),
    ):
        change()
        assert torch.equal(torch.jit.script(model)(X), model(X))


class Neck(nn.Module):
    """A network of the user's, around a Mixer. torch.jit.script compiles forward_intermediates for it."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor, indices: list[int]) -> Tensor:
        maps = self.backbone.forward_intermediates(x, indices=indices, norm=True, stop_early=True, output_fmt="NLC")
        assert isinstance(maps, tuple)
        return maps[0] + maps[1][0]


def test_intermediates_inside_a_scripted_network() -> None:
    neck = Neck(drawn())
    compiled = torch.jit.script(neck)
    for indices in ([0, 1], [-1], [2, 0]):
        assert torch.equal(compiled(X, indices), neck(X, indices))
    with pytest.raises(torch.jit.Error, match="out of range"):
        compiled(X, [7])


@pytest.mark.parametrize("compiled", [scripted, fx])
def test_a_wrong_size_is_an_error(compiled: Callable[[nn.Module], nn.Module]) -> None:
    """Not in a trace: it records no assertion, as for timm's models."""
    with pytest.raises((AssertionError, torch.jit.Error), match=r"doesn't match model|AssertionError"):
        compiled(drawn())(torch.zeros(1, 3, 40, 32))


def test_fx_finds_timms_layers_by_name() -> None:
    from timm.models import create_feature_extractor

    nodes = ["stem", "blocks.0.mlp_tokens", "blocks.1.norm2", "blocks.2", "norm", "head_drop", "head"]
    ours = create_feature_extractor(drawn(), nodes)(X)
    theirs = create_feature_extractor(drawn_mixer(GMIXER), nodes)(X)
    assert all(torch.equal(ours[node], theirs[node]) for node in nodes)
    graph = FeatureGraphNet(drawn(), out_indices=(0, 2))
    wanted = FeatureGraphNet(drawn_mixer(GMIXER), out_indices=(0, 2))(X)
    assert all(map(torch.equal, graph(X), wanted))
    assert all(map(torch.equal, torch.jit.script(graph)(X), wanted))


def test_fx_sees_a_checkpointed_training_step() -> None:
    model = drawn().train()
    model.set_grad_checkpointing()
    torch.fx.symbolic_trace(model)(X).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def onnx_outputs(file: Path, x: Tensor) -> list[Any]:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: x.numpy()}))


@pytest.mark.parametrize(("config", "script"), [(GMIXER, False), (GMIXER, True), (MIXER, False)])
def test_the_tracing_onnx_exporter(config: ModelConfig, script: bool, tmp_path: Path) -> None:
    model = drawn(config)
    file = tmp_path / "model.onnx"
    exported = torch.jit.script(model) if script else model
    torch.onnx.export(exported, (X,), file, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    for batch in (X, X[:1]):
        np.testing.assert_allclose(onnx_outputs(file, batch)[0], model(batch).detach(), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_onnx_exporter_of_torch_export(tmp_path: Path, need: Callable[..., None]) -> None:
    need(find_spec("onnxscript"), "onnxscript", debian="python3-pip; pip install onnxscript")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    model = drawn()
    file = tmp_path / "model.onnx"
    batch = torch.export.Dim("batch")
    torch.onnx.export(model, (X,), file, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    for x in (X, X[:1]):
        np.testing.assert_allclose(onnx_outputs(file, x)[0], model(x).detach(), rtol=0, atol=1e-5)
