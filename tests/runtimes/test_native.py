"""The native engine against timm, stage by stage; and against itself, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from gmixer import _native
from gmixer.catalogue import VARIANTS
from gmixer.config import ModelConfig
from gmixer.errors import EngineError, InputError, WeightsError
from gmixer.isa import available_isas, check_isa
from gmixer.runtimes import Engine
from gmixer.weights import find_checkpoint
from mixers import Stages, drawn_images, drawn_mixer, engine_of, timm_mixer, timm_stages

ISAS = available_isas()
SMALL = replace(VARIANTS["gmixer_8_64"].model, blocks=2)


def two_blocks(variant: str) -> ModelConfig:
    return replace(VARIANTS[variant].model, blocks=2)


@cache
def references(config: ModelConfig, batch: int) -> tuple[Stages, Stages]:
    """timm's stages of a drawn model in float64 and in float32."""
    model, x = drawn_mixer(config), drawn_images(config, batch)
    return timm_stages(model, x, torch.float64), timm_stages(model, x, torch.float32)


def assert_as_good_as_torch(stages: Stages, exact: Stages, torch_fp32: Stages) -> None:
    """DESIGN, section 4: per stage, the rms error against float64 is at most twice PyTorch's own; the same top-5."""
    assert list(stages) == list(exact)
    for stage in (name for name in exact if exact[name].size):
        ours, theirs = stages[stage] - exact[stage], torch_fp32[stage] - exact[stage]
        assert ours.shape == theirs.shape
        rms, torch_rms = np.sqrt(np.mean(ours**2)), np.sqrt(np.mean(theirs**2))
        assert rms <= 2 * torch_rms, f"{stage}: rms error {rms:.3g}, PyTorch's {torch_rms:.3g}"
        # The worst element is a matter of luck; a wrong one is off by thousands of times as much.
        worst, torch_worst = np.abs(ours).max(), np.abs(theirs).max()
        assert worst <= 4 * torch_worst, f"{stage}: worst error {worst:.3g}, PyTorch's {torch_worst:.3g}"
    if exact["logits"].shape[1] > 5:
        np.testing.assert_array_equal(np.argsort(-stages["logits"])[:, :5], np.argsort(-exact["logits"])[:, :5])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_stage_matches_timm(variant: str, isa: str) -> None:
    config = two_blocks(variant)
    stages = engine_of(drawn_mixer(config), config, isa=isa).stages(drawn_images(config, 2))
    assert_as_good_as_torch(stages, *references(config, 2))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    "config",
    [
        replace(SMALL, num_classes=0),
        replace(SMALL, num_classes=1),
        replace(SMALL, num_classes=42),
        replace(SMALL, num_classes=33, in_chans=1),
        replace(SMALL, in_chans=4),
        replace(SMALL, image_px=40, token_hidden=37),  # 25 patches, and a token MLP of no round width
        replace(SMALL, image_px=8, token_hidden=3),  # a single patch
        replace(SMALL, patch_px=4, image_px=20),  # patches narrower than a run of 16
        replace(SMALL, patch_px=20, image_px=100),  # and wider, no multiple of it
        replace(SMALL, channels=48, channel_hidden=40),  # half a panel left over
        replace(SMALL, channels=16, channel_hidden=21, token_hidden=5, mlp="gelu"),
        replace(SMALL, channels=80, channel_hidden=48, mlp="gelu"),
    ],
    ids=lambda c: (
        f"{c.mlp}-c{c.channels}-h{c.channel_hidden}-n{c.patches}-t{c.token_hidden}-k{c.num_classes}-i{c.in_chans}"
    ),
)
def test_any_grid_width_and_class_count(config: ModelConfig, isa: str) -> None:
    stages = engine_of(drawn_mixer(config), config, isa=isa).stages(drawn_images(config, 3))
    assert_as_good_as_torch(stages, *references(config, 3))


@pytest.mark.parametrize("isa", ISAS)
def test_embedded_weights_match_timm(isa: str) -> None:
    checkpoint = find_checkpoint("gmixer_8_64.distill_in1k")
    model = timm_mixer(checkpoint.model)
    model.load_state_dict({name: torch.tensor(values) for name, values in checkpoint.tensors()})
    x = drawn_images(checkpoint.model, 4)
    stages = Engine(checkpoint.model, checkpoint.tensors(), isa=isa).stages(x)
    assert_as_good_as_torch(stages, timm_stages(model, x, torch.float64), timm_stages(model, x, torch.float32))


@pytest.mark.slow
@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"mixer_l32_224"}))  # mixer_l16_224 but for the patch
def test_real_sizes_match_timm(variant: str) -> None:
    """Deep in a drawn network the error hangs on a few directions, where either side may be lucky by a factor of three:
    the ratio is the geometric mean over three draws."""
    config = VARIANTS[variant].model
    ratios: dict[str, list[float]] = {}
    for seed in (1, 2, 3):
        model, x = drawn_mixer(config, seed), drawn_images(config, 1, seed)
        stages = engine_of(model, config).stages(x)
        exact, torch_fp32 = timm_stages(model, x, torch.float64), timm_stages(model, x, torch.float32)
        np.testing.assert_array_equal(np.argsort(-stages["logits"])[:, :5], np.argsort(-exact["logits"])[:, :5])
        for stage in exact:
            ours, theirs = stages[stage] - exact[stage], torch_fp32[stage] - exact[stage]
            ratios.setdefault(stage, []).append(float(np.linalg.norm(ours) / np.linalg.norm(theirs)))
    for stage, of_draws in ratios.items():
        assert np.exp(np.mean(np.log(of_draws))) <= 2, f"{stage}: {of_draws} times PyTorch's own error"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    "config",
    [replace(SMALL, channels=96, channel_hidden=200), replace(SMALL, channels=80, token_hidden=37, mlp="gelu")],
    ids=["swiglu", "gelu"],
)
def test_bits_do_not_depend_on_batch_order_or_threads(config: ModelConfig, isa: str) -> None:
    model, x = drawn_mixer(config), drawn_images(config, 64)
    one_thread = engine_of(model, config, threads=1, isa=isa)
    alone = [one_thread.forward(x[i : i + 1], tokens=True) for i in range(64)]
    order = np.random.default_rng(2).permutation(64)
    for threads in (1, 2, 4):
        engine = engine_of(model, config, threads=threads, isa=isa)
        for batch in (1, 2, 7, 64):
            for chosen in (np.arange(batch), order[:batch]):
                output = engine.forward(x[chosen], tokens=True)
                assert output.tokens is not None
                for row, image in enumerate(chosen):
                    np.testing.assert_array_equal(output.logits[row], alone[image].logits[0])
                    np.testing.assert_array_equal(output.features[row], alone[image].features[0])
                    np.testing.assert_array_equal(output.tokens[row], alone[image].tokens[0])  # type: ignore[index]


def test_a_batch_larger_than_one_pass_is_cut_without_a_trace() -> None:
    """gmixer_24_224 keeps 13 images in one pass; 30 take three."""
    config = replace(VARIANTS["gmixer_24_224"].model, blocks=1)
    engine, x = engine_of(drawn_mixer(config), config), drawn_images(config, 30)
    together = engine.stages(x)
    for i in (0, 9, 10, 29):
        for name, alone in engine.stages(x[i : i + 1]).items():
            np.testing.assert_array_equal(together[name][i], alone[0], err_msg=f"image {i}, {name}")


def test_many_python_threads_may_call_one_engine() -> None:
    engine, x = engine_of(drawn_mixer(SMALL), SMALL), drawn_images(SMALL, 24)
    expected = engine.forward(x).logits
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: engine.forward(x[i % 24 : i % 24 + 1]).logits[0], range(240)))
    for i, logits in enumerate(answers):
        np.testing.assert_array_equal(logits, expected[i % 24])


def test_forward_lets_other_python_threads_run() -> None:
    """The GIL is released: a thread that only counts makes progress while another computes."""
    config = two_blocks("mixer_b16_224")
    engine, x = engine_of(drawn_mixer(config), config, threads=1), drawn_images(config, 8)
    done = []
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(engine.forward, x)
        while not call.done():
            done.append(1)
    assert len(done) > 1000  # with the GIL held: none or a few, before it starts and after it ends


@pytest.mark.skipif(sys.platform != "linux", reason="counts through LD_PRELOAD")
def test_forward_allocates_nothing_after_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "count.c").write_text(
        textwrap.dedent("""
        #include <stddef.h>
        long large_allocations = 0;
        #define COUNT(size) if ((size) >= 1024) __atomic_add_fetch(&large_allocations, 1, __ATOMIC_RELAXED)
        void* __libc_malloc(size_t);
        void* __libc_calloc(size_t, size_t);
        void* malloc(size_t size) { COUNT(size); return __libc_malloc(size); }
        void* calloc(size_t count, size_t size) { COUNT(count * size); return __libc_calloc(count, size); }
        """)
    )
    library = tmp_path / "count.so"
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "count.c", "-o", library], check=True)
    program = """
        import ctypes, numpy as np
        from gmixer.runtimes import Engine
        from gmixer.weights import find_checkpoint
        checkpoint = find_checkpoint("gmixer_8_64.distill_in1k")
        native = Engine(checkpoint.model, checkpoint.tensors(), threads=2)._model
        count = ctypes.c_long.in_dll(ctypes.CDLL(None), "large_allocations")
        x = np.zeros((64, 3, 64, 64), np.float32)
        features, logits = np.empty((64, 256), np.float32), np.empty((64, 1000), np.float32)
        before_first = count.value
        native.forward(x, features, logits, None, None)
        after_first = count.value
        for batch in (64, 1, 7, 64):
            native.forward(x[:batch], features[:batch], logits[:batch], None, None)
        print(after_first - before_first, count.value - after_first)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, later = map(int, run.stdout.split())
    assert first >= 1, "the counter does not see the core's own buffers"
    assert later == 0


def test_the_time_of_each_stage_is_known_and_costs_no_bits() -> None:
    """Of several passes: two images fill one."""
    config = replace(SMALL, image_px=224, blocks=1, channels=512, token_hidden=16, channel_hidden=16)
    engine, x_BCHW = engine_of(drawn_mixer(config), config), drawn_images(config, 8)
    before = engine.forward(x_BCHW).logits
    begin = time.perf_counter()
    seconds = engine.stage_seconds(x_BCHW)
    whole = time.perf_counter() - begin
    assert list(seconds) == list(config.stage_macs) == ["stem", "token MLP", "channel MLP", "head"]
    assert min(seconds.values()) > 0 and whole / 2 < sum(seconds.values()) <= whole
    assert engine.forward(x_BCHW).logits.tobytes() == before.tobytes()


def test_isa_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    model = drawn_mixer(SMALL)
    for isa in ISAS:
        monkeypatch.setenv("GMIXER_ISA", isa)
        assert engine_of(model, SMALL).isa == isa
    monkeypatch.setenv("GMIXER_ISA", "scalar")
    assert engine_of(model, SMALL, isa=ISAS[0]).isa == ISAS[0], "isa= goes before the environment"
    monkeypatch.setenv("GMIXER_ISA", "")
    assert check_isa() == ISAS[0], "an empty variable is none"


@pytest.mark.parametrize("absent", ["avx1024", "neon" if "avx2" in ISAS else "avx2"])
def test_an_unknown_or_absent_isa_names_those_present(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GMIXER_ISA", absent)
    message = f"GMIXER_ISA='{absent}' is not available on this CPU; it supports {', '.join(ISAS)}"
    with pytest.raises(EngineError, match=message):
        engine_of(drawn_mixer(SMALL), SMALL)


def test_a_precision_without_kernels_is_refused() -> None:
    with pytest.raises(ValueError, match="precision='int4' is not available on this CPU; it supports fp32"):
        _native.available_isas("int4")
    for precision in ("int4", "fp16"):
        assert available_isas(precision) == []
        message = f"precision is '{precision}'; the native runtime computes in fp32, bf16, int8: leave it out"
        with pytest.raises(InputError, match=message):
            Engine(SMALL, [], precision=precision)
    assert engine_of(drawn_mixer(SMALL), SMALL).precision == "fp32"


def test_wrong_arrays_are_refused() -> None:
    engine = engine_of(drawn_mixer(SMALL), SMALL)
    for wrong in (
        np.zeros((1, 3, 64, 63), np.float32),
        np.zeros((3, 64, 64), np.float32),
        np.zeros((1, 64, 64, 3), np.float32),
        np.zeros((1, 3, 64, 64), np.float64),
        [[1.0]],
    ):
        with pytest.raises(InputError, match=r"wanted a float32 array \(images, 3, 64, 64\)"):
            engine.forward(wrong)  # type: ignore[arg-type]
    assert engine.forward(np.zeros((0, 3, 64, 64), np.float32)).logits.shape == (0, 1000)


def test_strided_images_are_read_right() -> None:
    engine, x = engine_of(drawn_mixer(SMALL), SMALL), drawn_images(SMALL, 2)
    nhwc = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(engine.forward(nhwc.transpose(0, 3, 1, 2)).logits, engine.forward(x).logits)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["blocks.1.mlp_tokens.fc2.weight", "norm.bias", "head.bias"])
def test_nan_and_infinity_are_refused(name: str, poison: float) -> None:
    tensors = {key: tensor.numpy() for key, tensor in drawn_mixer(SMALL).state_dict().items()}
    tensors[name].flat[-1] = poison
    with pytest.raises(WeightsError, match=rf"poisoned.safetensors: {name} holds NaN or infinity"):
        Engine(SMALL, tensors.items(), source="poisoned.safetensors")


def test_a_missing_or_misshapen_tensor_is_refused() -> None:
    tensors = {key: tensor.numpy() for key, tensor in drawn_mixer(SMALL).state_dict().items()}
    with pytest.raises(WeightsError, match=r"head.bias is \(999,\); wanted \(1000,\)"):
        Engine(SMALL, (tensors | {"head.bias": np.zeros(999, np.float32)}).items())
    with pytest.raises(WeightsError, match=r"unheard is .* wanted no such tensor"):
        Engine(SMALL, (tensors | {"unheard": np.zeros(1, np.float32)}).items())
    del tensors["norm.weight"]
    with pytest.raises(WeightsError, match=r"lacks norm.weight"):
        Engine(SMALL, tensors.items())


def test_from_torch_takes_timms_model_as_it_stands() -> None:
    config = replace(SMALL, num_classes=42)
    model, x = drawn_mixer(config), drawn_images(config, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    engine = Engine.from_torch(model)
    assert engine.config == config
    assert_as_good_as_torch(engine.stages(x), *references(config, 3))
    assert model.training, "the model is left as it was"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        model.head.bias.add_(1)
    np.testing.assert_array_equal(
        engine.stages(x)["logits"], engine_of(drawn_mixer(config), config).stages(x)["logits"]
    )


def test_from_torch_takes_wrapped_half_and_pruned_models() -> None:
    model, x = drawn_mixer(SMALL), drawn_images(SMALL, 2)
    logits = Engine.from_torch(model).forward(x).logits
    np.testing.assert_array_equal(Engine.from_torch(torch.compile(model)).forward(x).logits, logits)
    half = Engine.from_torch(drawn_mixer(SMALL).bfloat16())
    assert 0 < np.linalg.norm(half.forward(x).logits - logits) / np.linalg.norm(logits) < 0.1
    model.prune_intermediate_layers([0])
    pruned = Engine.from_torch(model)
    assert (pruned.config.blocks, pruned.config.num_classes) == (1, 0)
    with torch.inference_mode():
        tokens = model(torch.from_numpy(x)).numpy()  # without pooling its output is the tokens
    np.testing.assert_allclose(pruned.forward(x, tokens=True).tokens, tokens, atol=1e-4)


def test_from_torch_takes_a_head_that_has_learnt_nothing() -> None:
    """As the initial weights have it: all logits are zero, and so is their size."""
    model, x = drawn_mixer(SMALL), drawn_images(SMALL, 2)
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    assert not Engine.from_torch(model).forward(x).logits.any()


def test_from_torch_refuses_what_it_cannot_run() -> None:
    gelu_gate = drawn_mixer(SMALL)
    for block in gelu_gate.blocks:
        block.mlp_channels.act = torch.nn.GELU()
    with pytest.raises(
        EngineError, match=r"this MlpMixer and the native engine disagree: tokens differ by .*check=False"
    ):
        Engine.from_torch(gelu_gate)
    assert Engine.from_torch(gelu_gate, check=False).config == SMALL
    no_norm = drawn_mixer(SMALL)
    no_norm.norm = torch.nn.Identity()
    with pytest.raises(WeightsError, match=r"this MlpMixer: lacks norm.bias, norm.weight"):
        Engine.from_torch(no_norm)
    with pytest.raises(WeightsError, match=r"this Linear: holds no MLP-Mixer"):
        Engine.from_torch(torch.nn.Linear(2, 2))


def test_channels_must_suit_the_core() -> None:
    config = replace(SMALL, channels=40)
    with pytest.raises(EngineError, match=r"multiples of 16; this model has 40"):
        Engine(config, [])


def test_threads_that_cannot_be_started_are_an_error() -> None:
    program = """
import resource
from gmixer.runtimes import Engine
from gmixer.errors import EngineError
from gmixer.weights import find_checkpoint
checkpoint = find_checkpoint("gmixer_8_64")
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))  # 8 MiB of address space go to each thread's stack
try:
    Engine(checkpoint.model, checkpoint.tensors(), threads=1000)
except EngineError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "1000 threads cannot be started" in run.stdout and "ask for fewer" in run.stdout
