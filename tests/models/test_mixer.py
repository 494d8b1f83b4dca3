"""The torch Mixer against the installed timm, on drawn weights. Everything here is compared bit for bit."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from timm.models import group_parameters
from timm.models.mlp_mixer import MlpMixer
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from gmixer.catalogue import VARIANTS
from gmixer.config import ModelConfig
from gmixer.errors import InputError
from gmixer.models.mixer import Mixer
from mixers import drawn_images, drawn_mixer, engine_of, timm_mixer, timm_stages

# Every width differs, so that a swap shows.
TINY_GMIXER = ModelConfig(
    image_px=32, patch_px=8, channels=48, blocks=3, token_hidden=20, channel_hidden=72, mlp="swiglu", num_classes=10
)
TINY_MIXER = replace(TINY_GMIXER, mlp="gelu")
TINY = pytest.mark.parametrize("config", [TINY_GMIXER, TINY_MIXER], ids=["swiglu", "gelu"])


def cases() -> Iterator[Any]:
    """Every variant with two blocks; of the wide ones (most of the time) all but the default are marked slow."""
    for (name, variant), K, chans in product(VARIANTS.items(), (1000, 42, 0), (3, 1, 4)):
        slow = variant.model.channels > 512 and (K, chans) != (1000, 3)
        config = replace(variant.model, blocks=2, num_classes=K, in_chans=chans)
        yield pytest.param(config, id=f"{name}-{K}-{chans}", marks=[pytest.mark.slow] if slow else [])


CASES = list(cases())


def pair(config: ModelConfig, **options: Any) -> tuple[Mixer, MlpMixer]:
    """Ours and timm's with the same drawn weights, in eval mode."""
    ours, theirs = Mixer(config, **options), timm_mixer(config, **options)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            scale = 0.2 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.normal_(0, scale, generator=generator).add_("norm" in name and name.endswith("weight"))
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs.eval()


@cache
def images(config: ModelConfig, batch: int = 2) -> Tensor:
    return torch.from_numpy(drawn_images(config, batch))


def forward_and_gradients(model: nn.Module, x: Tensor, *, seed: int = 0) -> dict[str, Tensor]:
    """The output, and the gradient of a drawn weighting of it, in the input and in every parameter."""
    x = x.clone().requires_grad_()
    torch.manual_seed(seed)
    out = model(x)
    model.zero_grad()
    (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(seed))).sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert x.grad is not None
    return {"output": out.detach(), "x": x.grad, **gradients}


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """The same names in the same order, shapes, dtypes and bits."""
    assert list(ours) == list(theirs)
    for name, wanted in theirs.items():
        got = ours[name]
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), name
        assert torch.equal(got, wanted), f"{name} differs by up to {(got - wanted).abs().max():.3g}"


# Construction


@pytest.mark.parametrize("config", CASES)
def test_one_seed_gives_timms_initial_tensors(config: ModelConfig) -> None:
    torch.manual_seed(3)
    theirs, their_next = timm_mixer(config), torch.rand(1)
    torch.manual_seed(3)
    ours, our_next = Mixer(config), torch.rand(1)
    assert_same(ours.state_dict(), theirs.state_dict())
    assert torch.equal(our_next, their_next)  # as many draws
    assert {name: tuple(t.shape) for name, t in ours.state_dict().items()} == config.tensor_shapes()


@TINY
@pytest.mark.parametrize("options", [{"nlhb": True}, {"stem_norm": True}, {"dtype": torch.bfloat16}])
def test_initial_tensors_with_options(config: ModelConfig, options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    theirs = timm_mixer(config, **options)
    torch.manual_seed(3)
    assert_same(Mixer(config, **options).state_dict(), theirs.state_dict())


def test_negative_log_head_bias_without_a_head() -> None:
    """timm fails here, with the logarithm of 0."""
    assert isinstance(Mixer(replace(TINY_MIXER, num_classes=0), nlhb=True).head, nn.Identity)


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_of_the_real_size(name: str) -> None:
    model = Mixer(VARIANTS[name].model, device="meta")
    assert sum(p.numel() for p in model.parameters()) == VARIANTS[name].model.parameters
    if name == "gmixer_24_224":
        assert VARIANTS[name].model.parameters == 24_721_096  # the model card's 24.7 M


@TINY
def test_attributes_are_timms(config: ModelConfig) -> None:
    ours, theirs = pair(config)
    for name in (
        "num_classes",
        "in_chans",
        "global_pool",
        "num_features",
        "head_hidden_size",
        "embed_dim",
        "grad_checkpointing",
        "feature_info",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.config == config


def test_group_matcher_is_timms() -> None:
    ours, theirs = pair(TINY_GMIXER)
    assert ours.group_matcher() == theirs.group_matcher() and ours.group_matcher(coarse=True) == ours.group_matcher()
    assert group_parameters(ours, ours.group_matcher()) == group_parameters(theirs, theirs.group_matcher())


def test_wrong_options_say_what_was_wanted() -> None:
    with pytest.raises(InputError, match="global_pool is 'max'; wanted 'avg'"):
        Mixer(TINY_MIXER, global_pool="max")
    with pytest.raises(InputError, match=r"drop_path_rate is 1\.5"):
        Mixer(TINY_MIXER, drop_path_rate=1.5)


def test_importing_gmixer_loads_no_torch() -> None:
    code = "import gmixer, sys; assert 'torch' not in sys.modules and 'gmixer.models' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_model_needs_no_timm() -> None:
    code = "import sys; sys.modules['timm'] = None; import gmixer.models.mixer"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_copies_and_pickles() -> None:
    ours, _ = pair(TINY_GMIXER)
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert twin.config == ours.config and torch.equal(twin(images(TINY_GMIXER)), ours(images(TINY_GMIXER)))


# Forward and backward


@pytest.mark.parametrize("config", CASES)
def test_outputs_and_gradients_are_timms(config: ModelConfig) -> None:
    theirs = drawn_mixer(config)
    ours = Mixer(config).eval()
    ours.load_state_dict(theirs.state_dict())
    x = images(config, 1)
    assert_same(forward_and_gradients(ours, x), forward_and_gradients(theirs, x))


@TINY
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stem_norm": True},
        {"global_pool": ""},
        {"drop_rate": 0.3},
        {"proj_drop_rate": 0.2},
        {"drop_path_rate": 0.4},
        {"drop_path_rate": 1.0},
        {"drop_rate": 0.3, "proj_drop_rate": 0.2, "drop_path_rate": 0.4, "stem_norm": True},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_under_one_seed_is_timms(config: ModelConfig, options: dict[str, Any], checkpointing: bool) -> None:
    ours, theirs = pair(config, **options)
    x = images(config, 8)
    for model in (ours, theirs):
        model.train()
        model.set_grad_checkpointing(checkpointing)
    assert_same(forward_and_gradients(ours, x, seed=5), forward_and_gradients(theirs, x, seed=5))
    assert_same(forward_and_gradients(ours.eval(), x), forward_and_gradients(theirs.eval(), x))


def test_checkpointing_recomputes_the_blocks() -> None:
    ours, _ = pair(TINY_GMIXER)
    calls: list[nn.Module] = []
    ours.blocks[0].norm1.register_forward_hook(lambda module, *_: calls.append(module))
    for enable, runs in ((False, 1), (True, 2)):
        ours.set_grad_checkpointing(enable)
        calls.clear()
        ours(images(TINY_GMIXER)).sum().backward()
        assert len(calls) == runs


@TINY
def test_one_optimiser_step_is_timms(config: ModelConfig) -> None:
    ours, theirs = pair(config, drop_path_rate=0.1)
    for model in (ours, theirs):
        optimiser = torch.optim.AdamW(model.train().parameters(), lr=1e-2)
        forward_and_gradients(model, images(config, 4))
        optimiser.step()
    assert_same(ours.state_dict(), theirs.state_dict())


@TINY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes(config: ModelConfig, dtype: torch.dtype) -> None:
    ours, theirs = (model.to(dtype) for model in pair(config))
    assert_same(
        forward_and_gradients(ours, images(config).to(dtype)), forward_and_gradients(theirs, images(config).to(dtype))
    )


@TINY
def test_head_and_features_are_timms(config: ModelConfig) -> None:
    for pool in ("avg", ""):
        ours, theirs = pair(config, global_pool=pool)
        tokens = ours.forward_features(images(config))
        assert tokens.shape == (2, config.patches, config.channels)
        assert torch.equal(tokens, theirs.forward_features(images(config)))
        for pre_logits in (False, True):
            assert torch.equal(
                ours.forward_head(tokens, pre_logits), theirs.forward_head(tokens, pre_logits=pre_logits)
            )


@pytest.mark.parametrize("num_classes", [10, 0])
@TINY
def test_stages_are_timms_and_the_engines(config: ModelConfig, num_classes: int) -> None:
    config = replace(config, num_classes=num_classes)
    theirs, x = drawn_mixer(config), drawn_images(config, 2)
    ours = Mixer(config).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.inference_mode():
        stages = ours.stages(torch.from_numpy(x))
    assert_same(stages, {name: torch.from_numpy(s) for name, s in timm_stages(theirs, x, torch.float32).items()})
    native = engine_of(theirs, config, threads=1).stages(x)
    assert list(native) == list(stages)
    for name, stage in native.items():
        np.testing.assert_allclose(stage, stages[name].numpy(), rtol=0, atol=1e-4, err_msg=name)


def test_wrong_size_says_what_came_and_what_was_wanted() -> None:
    model = Mixer(TINY_MIXER)
    with pytest.raises(AssertionError, match=r"Input height \(40\) doesn't match model \(32\)\."):
        model(torch.zeros(1, 3, 40, 32))
    with pytest.raises(AssertionError, match=r"Input width \(24\) doesn't match model \(32\)\."):
        model(torch.zeros(1, 3, 32, 24))


# Intermediates, pruning, a new head


@TINY
@pytest.mark.parametrize("indices", [None, 1, 2, 3, [0], [2, 0], [-1], (-3, 1), [1, 1]])
def test_intermediates_in_all_options_are_timms(config: ModelConfig, indices: Any) -> None:
    ours, theirs = pair(config)
    for norm, stop_early, fmt, only, checkpointing in product(
        (False, True), (False, True), ("NCHW", "NLC"), (False, True), (False, True)
    ):
        results = []
        for model in (ours, theirs):
            model.set_grad_checkpointing(checkpointing)
            result = model.forward_intermediates(
                images(config),
                indices=indices,
                norm=norm,
                stop_early=stop_early,
                output_fmt=fmt,
                intermediates_only=only,
            )
            tokens, intermediates = (None, result) if only else result
            results.append({f"{i}": y for i, y in enumerate(intermediates)} | ({} if only else {"tokens": tokens}))
        assert_same(*results)
        assert [y.stride() for y in results[0].values()] == [y.stride() for y in results[1].values()]


def test_intermediates_out_of_range() -> None:
    model = Mixer(TINY_MIXER)
    for indices in (0, 4, -1, [3], [-4], []):
        with pytest.raises(InputError, match="out of range"):
            model.forward_intermediates(images(TINY_MIXER), indices)
        with pytest.raises(InputError, match="out of range"):
            model.prune_intermediate_layers(indices)
    with pytest.raises(InputError, match="wanted 'NCHW' or 'NLC'"):
        model.forward_intermediates(images(TINY_MIXER), output_fmt="NHWC")  # type: ignore[arg-type]


@TINY
@pytest.mark.parametrize("indices", [1, 2, [0], [1, 0], [-2], (0, 1)])
def test_pruning_is_timms(config: ModelConfig, indices: Any) -> None:
    for prune_norm, prune_head in product((False, True), repeat=2):
        ours, theirs = pair(config)
        kept = ours.prune_intermediate_layers(indices, prune_norm, prune_head)
        assert kept == theirs.prune_intermediate_layers(indices, prune_norm, prune_head)
        assert_same(ours.state_dict(), theirs.state_dict())
        assert_same(forward_and_gradients(ours, images(config)), forward_and_gradients(theirs, images(config)))
        assert (ours.num_classes, ours.global_pool) == (theirs.num_classes, theirs.global_pool)
        assert ours.config == replace(config, blocks=max(kept) + 1, num_classes=0 if prune_head else 10)
        if not prune_norm:
            assert {name: tuple(t.shape) for name, t in ours.state_dict().items()} == ours.config.tensor_shapes()


def test_pruning_by_default_keeps_up_to_the_last_block() -> None:
    model = Mixer(TINY_MIXER)
    assert model.prune_intermediate_layers() == [2] and isinstance(model.head, nn.Identity)


def test_reset_classifier_repeatedly_is_timms() -> None:
    ours, theirs = pair(TINY_GMIXER)
    for step, (K, pool) in enumerate([(7, None), (0, None), (5, None), (0, ""), (0, None), (3, "avg"), (3, None)]):
        for model in (ours, theirs):
            torch.manual_seed(step)
            model.reset_classifier(K, pool)
        assert ours.get_classifier() is ours.head and type(ours.head) is type(theirs.head)
        assert_same(ours.state_dict(), theirs.state_dict())
        assert torch.equal(ours(images(TINY_GMIXER)), theirs(images(TINY_GMIXER)))
        assert (ours.num_classes, ours.global_pool) == (theirs.num_classes, theirs.global_pool)
        assert ours.config == replace(TINY_GMIXER, num_classes=K)
        assert not ours.head.training


def test_a_new_head_keeps_device_and_dtype() -> None:
    model = Mixer(TINY_MIXER, device="meta", dtype=torch.bfloat16)
    for K in (0, 4):
        model.reset_classifier(K)
    head = model.get_classifier()
    assert isinstance(head, nn.Linear) and head.weight.is_meta and head.weight.dtype == torch.bfloat16
    assert head.training and head.weight.requires_grad


def test_a_refused_new_head_changes_nothing() -> None:
    model = Mixer(TINY_MIXER)
    for K, pool in ((-1, None), (4, "max")):
        with pytest.raises(InputError):
            model.reset_classifier(K, pool)
        assert (model.config, model.num_classes, model.global_pool) == (TINY_MIXER, 10, "avg")
        assert model(images(TINY_MIXER)).shape == (2, 10)


# Export and compilation


@TINY
def test_exports_with_a_dynamic_batch(config: ModelConfig) -> None:
    ours, _ = pair(config)
    program = torch.export.export(ours, (images(config, 2),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    module = program.module()
    for batch in (1, 2, 7):
        x = images(config, batch)
        torch.testing.assert_close(module(x), ours(x), rtol=1e-6, atol=1e-6)


@TINY
@pytest.mark.parametrize("training", [False, True])
def test_compiles_once_without_graph_breaks(config: ModelConfig, training: bool) -> None:
    torch.compiler.reset()
    ours, _ = pair(config, drop_rate=0.1, proj_drop_rate=0.1, drop_path_rate=0.1)
    ours.train(training)
    counter = CompileCounter()
    compiled = torch.compile(ours, backend=counter, fullgraph=True, dynamic=True)
    for batch in (2, 3, 8, 5):
        x = images(config, batch)
        torch.manual_seed(1)
        got = compiled(x)
        torch.manual_seed(1)
        assert torch.equal(got, ours(x))
    assert counter.frame_count == 1
    explanation = torch._dynamo.explain(ours)(images(config))
    assert (explanation.graph_count, explanation.graph_break_count) == (1, 0)


@TINY
def test_the_other_methods_compile_without_graph_breaks(config: ModelConfig) -> None:
    torch.compiler.reset()
    ours, _ = pair(config)
    x = images(config)
    calls = [
        ours.stages,
        partial(ours.forward_intermediates, indices=2, norm=True, stop_early=True, intermediates_only=True),
    ]
    for call in calls:
        compiled = torch.compile(lambda x, call=call: call(x), backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), call(x), rtol=0, atol=0)


@pytest.mark.slow
def test_inductor_gives_the_same_numbers() -> None:
    config = TINY_GMIXER  # inductor compiles for half a minute, and a GELU is a simpler thing than a gate
    torch.compiler.reset()
    ours, _ = pair(config)
    compiled = torch.compile(ours, fullgraph=True, dynamic=True)
    with torch.inference_mode():
        for batch in (2, 5):
            torch.testing.assert_close(compiled(images(config, batch)), ours(images(config, batch)))
