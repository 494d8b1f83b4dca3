"""The torch runtime against timm and against the native one, and what it promises beyond the numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gmixer.catalogue import VARIANTS
from gmixer.config import ModelConfig
from gmixer.errors import EngineError, InputError, WeightsError
from gmixer.options import Precision, Torch
from gmixer.runtimes import Engine, Output
from gmixer.runtimes import torch as torch_engine
from gmixer.runtimes.torch import Stages, TorchEngine, usable_device
from gmixer.weights import find_checkpoint
from mixers import drawn_images, drawn_mixer, engine_of, timm_stages

SMALL = replace(VARIANTS["gmixer_8_64"].model, blocks=2)
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def drawn_tensors(config: ModelConfig) -> dict[str, NDArray[np.float32]]:
    return {name: tensor.numpy() for name, tensor in drawn_mixer(config).state_dict().items()}


def torch_engine_of(config: ModelConfig, precision: Precision = "fp32") -> TorchEngine:
    return TorchEngine(config, drawn_tensors(config).items(), Torch(precision=precision))


@cache
def embedded(precision: Precision = "fp32", device: str = "cpu") -> TorchEngine:
    checkpoint = find_checkpoint("gmixer_8_64")
    return TorchEngine(checkpoint.model, checkpoint.tensors(), Torch(precision=precision, device=device))


def relative(got: NDArray[np.float32] | None, wanted: NDArray[np.float32] | None) -> float:
    """The rms of the difference over the rms of what was wanted."""
    assert got is not None and wanted is not None and got.shape == wanted.shape
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


def assert_same_bits(got: Output, wanted: Output) -> None:
    for stage in ("features", "logits", "tokens"):
        np.testing.assert_array_equal(getattr(got, stage), getattr(wanted, stage))


def flags() -> dict[str, str]:
    """What torch permits float32 products to lose, by each of its records; two that contradict each other are kept."""
    backends = torch.backends
    readers = {
        "all": lambda: backends.fp32_precision,
        "cuda matmul": lambda: backends.cuda.matmul.fp32_precision,
        "cudnn": lambda: backends.cudnn.fp32_precision,
        "cudnn conv": lambda: backends.cudnn.conv.fp32_precision,
        "cudnn rnn": lambda: backends.cudnn.rnn.fp32_precision,
        "mkldnn": lambda: backends.mkldnn.fp32_precision,
        "mkldnn matmul": lambda: backends.mkldnn.matmul.fp32_precision,
        "mkldnn conv": lambda: backends.mkldnn.conv.fp32_precision,
        "older matmul": torch.get_float32_matmul_precision,
        "older cuda": lambda: backends.cuda.matmul.allow_tf32,
        "older cudnn": lambda: backends.cudnn.allow_tf32,
    }
    read = {}
    for name, reader in readers.items():
        try:
            read[name] = str(reader())
        except RuntimeError:
            read[name] = "contradictory"
    return read


@pytest.fixture
def torchs_flags() -> Iterator[None]:
    """Puts torch's own defaults back."""
    before = flags()
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.fp32_precision = "none"
    torch.backends.cuda.matmul.fp32_precision = "none"
    torch.backends.cudnn.fp32_precision = "none"
    torch.backends.cudnn.conv.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = "tf32"
    torch.backends.mkldnn.fp32_precision = "none"
    torch.backends.mkldnn.matmul.fp32_precision = torch.backends.mkldnn.conv.fp32_precision = "none"
    assert flags() == before


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, num_classes=0),
        replace(SMALL, num_classes=33, in_chans=1),
        replace(SMALL, channels=40, token_hidden=37, mlp="gelu"),  # no multiple of 16: not for the native core
    ],
    ids=["plain", "no classes", "one channel", "gelu of 40"],
)
def test_it_is_timms_network(config: ModelConfig) -> None:
    """float32 rounds to 6e-8; two blocks of drawn weights amplify that to about 1e-6."""
    x = drawn_images(config, 3)
    output = torch_engine_of(config).forward(x, tokens=True)
    wanted = timm_stages(drawn_mixer(config), x, torch.float64)
    for stage in ("tokens", "features", "logits"):
        got = getattr(output, stage)
        assert got.dtype == np.float32
        if wanted[stage].size:
            assert relative(got, wanted[stage]) < 1e-5
        else:
            assert got.shape == (3, 0)
    assert torch_engine_of(config).forward(x).tokens is None


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_the_same_as_the_native_engine(batch: int) -> None:
    x = drawn_images(SMALL, batch)
    ours, natives = (
        torch_engine_of(SMALL).forward(x, tokens=True),
        engine_of(drawn_mixer(SMALL), SMALL).forward(x, tokens=True),
    )
    for stage in ("features", "logits", "tokens"):
        got, wanted = getattr(ours, stage), getattr(natives, stage)
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_wrong_arrays_are_refused_in_the_same_words() -> None:
    ours, native = torch_engine_of(SMALL), engine_of(drawn_mixer(SMALL), SMALL)
    for wrong in (
        np.zeros((1, 3, 64, 63), np.float32),
        np.zeros((3, 64, 64), np.float32),
        np.zeros((1, 3, 64, 64), np.float64),
        torch.zeros(1, 3, 64, 64),
    ):
        with pytest.raises(InputError, match=r"wanted a float32 array \(images, 3, 64, 64\)") as by_torch:
            ours.forward(wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError) as by_native:
            native.forward(wrong)  # type: ignore[arg-type]
        assert str(by_torch.value) == str(by_native.value)


def test_strided_and_read_only_images_are_read_right() -> None:
    engine, x = torch_engine_of(SMALL), drawn_images(SMALL, 2)
    expected = engine.forward(x, tokens=True)
    nhwc = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    assert_same_bits(engine.forward(nhwc.transpose(0, 3, 1, 2), tokens=True), expected)
    x.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_bits(engine.forward(x, tokens=True), expected)


def test_the_results_are_the_callers_own() -> None:
    engine, x = torch_engine_of(SMALL), drawn_images(SMALL, 2)
    first = engine.forward(x, tokens=True)
    kept = first.features.copy()
    first.logits[:] = 0  # writable, and shared with nothing
    engine.forward(drawn_images(SMALL, 2, seed=9))
    np.testing.assert_array_equal(first.features, kept)


@pytest.mark.parametrize("wrong", ["misshapen", "unknown", "missing", "nan", "inf"])
def test_wrong_weights_are_refused_in_the_same_words(wrong: str) -> None:
    tensors = {name: values.copy() for name, values in drawn_tensors(SMALL).items()}
    match wrong:
        case "misshapen":
            tensors["head.bias"] = np.zeros(999, np.float32)
        case "unknown":
            tensors["unheard"] = np.zeros(1, np.float32)
        case "missing":
            del tensors["norm.weight"]
        case _:
            tensors["blocks.1.mlp_tokens.fc2.weight"].flat[-1] = float(wrong)
    with pytest.raises(WeightsError, match=r"^some\.safetensors: ") as by_torch:
        TorchEngine(SMALL, tensors.items(), source="some.safetensors")
    with pytest.raises(WeightsError) as by_native:
        Engine(SMALL, tensors.items(), source="some.safetensors")
    assert str(by_torch.value) == str(by_native.value)


def test_weights_are_copied_and_nothing_is_drawn() -> None:
    """Each array is valid until the next is asked for: here it is overwritten then."""
    tensors, x = drawn_tensors(SMALL), drawn_images(SMALL, 2)

    def reused_buffer() -> Iterator[tuple[str, NDArray[np.float32]]]:
        buffer = np.empty(max(values.size for values in tensors.values()), np.float32)
        for name, values in tensors.items():
            view = buffer[: values.size].reshape(values.shape)
            view[:] = values
            yield name, view
            buffer[:] = np.nan

    random_state = torch.get_rng_state()
    engine = TorchEngine(SMALL, reused_buffer())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert_same_bits(engine.forward(x, tokens=True), torch_engine_of(SMALL).forward(x, tokens=True))


@pytest.mark.parametrize(("precision", "unit"), [("bf16", 2.0**-8), ("fp16", 2.0**-11)])
def test_reduced_precision_is_near_and_is_reduced(precision: Precision, unit: float) -> None:
    """Each product's operands round to half a unit in the last place; a residual stream in float32 lets the errors of
    8 blocks add up as noise, √(4·8) roundings: at most 6 units. No less than a tenth of one, or nothing was reduced."""
    engine, x = embedded(precision), drawn_images(SMALL, 8)
    got, wanted = engine.forward(x, tokens=True), embedded().forward(x, tokens=True)
    for stage in ("features", "logits", "tokens"):
        assert getattr(got, stage).dtype == np.float32
        assert 0.1 * unit < relative(getattr(got, stage), getattr(wanted, stage)) < 6 * unit
    # The stream, the mean and the head stay float32: values that bf16 could not hold, and logits that are no coarser.
    for values in (got.tokens, got.features, got.logits):
        rounded = torch.from_numpy(values).to(torch.bfloat16 if precision == "bf16" else torch.float16).float().numpy()
        assert (rounded != values).mean() > 0.9
    mixer = engine._mixer
    assert isinstance(mixer.head, torch.nn.Linear)
    head = torch.nn.functional.linear(torch.from_numpy(got.features), mixer.head.weight, mixer.head.bias)
    assert relative(got.logits, head.numpy()) < 1e-6


def test_the_residual_stream_stays_float32() -> None:
    """With branches that give nothing, the stream is the stem's output: it must come through every block unrounded."""
    engine = torch_engine_of(replace(SMALL, mlp="gelu"), precision="bf16")
    seen: list[torch.dtype] = []
    for block in engine._mixer.blocks:
        block.register_forward_hook(lambda _module, inputs, output: seen.extend([inputs[0].dtype, output.dtype]))
    engine.forward(drawn_images(SMALL, 1))
    assert seen == [torch.float32] * 4


def test_the_callers_autocast_and_defaults_change_nothing() -> None:
    engine, x = embedded(), drawn_images(SMALL, 2)
    expected = engine.forward(x, tokens=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert_same_bits(engine.forward(x, tokens=True), expected)
    reduced = embedded("bf16").forward(x, tokens=True)
    with torch.autocast("cpu", torch.float16):
        assert_same_bits(embedded("bf16").forward(x, tokens=True), reduced)
    torch.set_default_dtype(torch.float64)
    try:
        assert_same_bits(torch_engine_of(SMALL).forward(x), torch_engine_of(SMALL).forward(x))
        assert torch_engine_of(SMALL).forward(x).logits.dtype == np.float32
    finally:
        torch.set_default_dtype(torch.float32)


CALLERS_FLAGS = {
    "torch's defaults": lambda: None,
    "older: high": lambda: torch.set_float32_matmul_precision("high"),
    "older: medium": lambda: torch.set_float32_matmul_precision("medium"),
    "older: allow_tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
    "older: no tf32": lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
    "newer: all": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "newer: matmul": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "newer: mkldnn": lambda: setattr(torch.backends.mkldnn, "fp32_precision", "bf16"),
}


@pytest.mark.parametrize("callers", CALLERS_FLAGS)
@pytest.mark.usefixtures("torchs_flags")
def test_fp32_is_exact_whatever_the_caller_set_and_the_callers_flags_stay(callers: str) -> None:
    engine, x = embedded(), drawn_images(SMALL, 2)
    expected = engine.forward(x, tokens=True)
    CALLERS_FLAGS[callers]()
    before, inside = flags(), {}
    engine._stages = lambda x: inside.update(flags()) or engine._last_stages(x)  # type: ignore[func-returns-value]
    try:
        assert_same_bits(engine.forward(x, tokens=True), expected)
    finally:
        engine._stages = engine._last_stages
    assert flags() == before
    for name in ("cuda matmul", "cudnn conv", "mkldnn matmul", "mkldnn conv"):
        assert inside[name] in ("ieee", "none"), f"{name} may lose bits: {inside[name]}"
    # The older records too, which torch.compile reads; where the caller made them contradictory, they may stay.
    for name, exact in (("older matmul", "highest"), ("older cuda", "False"), ("older cudnn", "False")):
        assert inside[name] == exact or before[name] == inside[name] == "contradictory", name


@pytest.mark.usefixtures("torchs_flags")
def test_the_flags_come_back_after_an_error_and_after_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, x = torch_engine_of(SMALL), drawn_images(SMALL, 1)
    before = flags()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: engine.forward(x), range(80)))
    assert flags() == before

    def fails(_: torch.Tensor) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(engine, "_stages", fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.forward(x)
    assert flags() == before
    monkeypatch.undo()
    engine.forward(x)  # and the turn was given back


def test_many_python_threads_may_call_one_engine() -> None:
    config = replace(SMALL, image_px=32, channels=32, channel_hidden=64)
    engine, x = torch_engine_of(config), drawn_images(config, 24)
    expected = [engine.forward(x[i : i + 1], tokens=True) for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: engine.forward(x[i % 24 : i % 24 + 1], tokens=True), range(240)))
    for i, output in enumerate(answers):
        assert relative(output.logits, expected[i % 24].logits) < 1e-5


def test_a_wrong_compiler_is_found_at_the_first_batch() -> None:
    """Stands in for torch 2.14 on an Intel CPU with AVX-512 and without AVX512_BF16, which compiles NaN."""
    x = drawn_images(SMALL, 3)
    for wrong in (float("nan"), float("inf"), 0.0, 1.5):
        engine = torch_engine_of(SMALL, precision="bf16")
        engine.compiled = True
        engine._stages = lambda x, wrong=wrong, engine=engine: Stages(*(wrong * s for s in engine._last_stages(x)))
        for _ in range(2):  # a second call is no way round
            with pytest.raises(EngineError, match="compiles this network wrongly for cpu in bf16: its tokens"):
                engine.forward(x)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_each_compiled_graph_is_compared_once(precision: Precision) -> None:
    engine, eager_calls = torch_engine_of(SMALL, precision=precision), []
    last_stages = engine._last_stages
    engine.compiled, engine._stages = True, lambda x: last_stages(x)
    engine._last_stages = lambda x, **how: eager_calls.append(len(x)) or last_stages(x, **how)  # type: ignore
    for batch in (0, 5, 3, 1, 16, 1):
        engine.forward(drawn_images(SMALL, batch))
    assert eager_calls == ([5, 1] if precision == "fp32" else [5, 5, 1, 1])


def test_nan_among_the_images_is_not_blamed_on_the_compiler() -> None:
    engine, x = torch_engine_of(SMALL, precision="bf16"), drawn_images(SMALL, 3)
    engine.compiled = True
    x[1] = np.nan
    with pytest.raises(InputError, match="image 1 of 3"):
        engine.forward(x)


@pytest.mark.slow
def test_compiled_it_gives_the_same_numbers() -> None:
    """Inductor fuses and reorders sums; in bf16 it also keeps float32 where eager rounds between two operations. (fp32:
    test_mixer.py.) On a CPU for which torch compiles wrong numbers, the runtime must say so instead.
    """
    from torch._dynamo.utils import counters

    checkpoint = find_checkpoint("gmixer_8_64")
    model = replace(checkpoint.model, blocks=2)  # eight take a minute to compile
    tensors = [(name, values.copy()) for name, values in checkpoint.tensors() if name in model.tensor_shapes()]
    eager = TorchEngine(model, tensors, Torch(precision="bf16"))
    compiled = TorchEngine(model, tensors, Torch(precision="bf16", compile=True))
    assert repr(compiled) == "<TorchEngine: torch on cpu, bf16, compiled>"
    bound = 2.0**-8 * 6
    torch.compiler.reset()
    counters.clear()
    graphs = []
    for batch in (5, 3, 16, 1, 7, 1):
        x = drawn_images(SMALL, batch)
        wanted = eager.forward(x, tokens=True)
        try:
            output = compiled.forward(x, tokens=batch % 2 == 1)
        except EngineError as error:
            assert "compiles this network wrongly" in str(error)
            by_compiler = compiled._stages(torch.from_numpy(x)).logits.numpy()
            assert not relative(by_compiler, wanted.logits) < bound, "the runtime refuses right numbers"
            return
        assert relative(output.logits, wanted.logits) < bound
        assert relative(output.features, wanted.features) < bound
        if batch % 2:
            assert relative(output.tokens, wanted.tokens) < bound
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs == [1, 1, 1, 2, 2, 2], "one for any batch, one for a single image"
    assert not counters["graph_break"]


@pytest.mark.parametrize(
    "device", ["nonsense", "", "meta", "cuda:77", "cuda" if not torch.cuda.is_available() else "mps"]
)
def test_a_device_that_cannot_be_used_is_an_error(device: str) -> None:
    message = rf"device='{device}' cannot be used \(.+\); this torch .* has cpu.* here: pass one of these, or install"
    with pytest.raises(EngineError, match=message):
        TorchEngine(SMALL, [], Torch(device=device))
    with pytest.raises(EngineError, match="device=None cannot be used"):
        usable_device(None)  # type: ignore[arg-type]


def test_an_unknown_precision_is_an_error() -> None:
    for wrong in ("fp8", "float32", False, ["fp32"]):
        with pytest.raises(InputError, match=r"precision is .*; the torch runtime computes in fp32, bf16, fp16"):
            TorchEngine(SMALL, [], Torch(precision=wrong))  # type: ignore[arg-type]


def test_it_says_where_it_runs() -> None:
    engine = torch_engine_of(SMALL, precision="bf16")
    assert (engine.config, engine.device, engine.precision) == (SMALL, torch.device("cpu"), "bf16")
    assert repr(engine) == "<TorchEngine: torch on cpu, bf16>"


@on_cuda
def test_on_cuda_it_gives_the_cpus_numbers() -> None:
    """TF32 in the stem alone would show as 2e-4 of its size."""
    engine, x = embedded(device="cuda"), drawn_images(SMALL, 8)
    assert repr(engine) == "<TorchEngine: torch on cuda:0, fp32>"
    got, wanted = engine.forward(x, tokens=True), embedded().forward(x, tokens=True)
    for stage in ("features", "logits", "tokens"):
        assert relative(getattr(got, stage), getattr(wanted, stage)) < 1e-5
    for precision, unit in (("bf16", 2.0**-8), ("fp16", 2.0**-11)):
        reduced = embedded(precision, "cuda").forward(x)
        assert 0.1 * unit < relative(reduced.logits, wanted.logits) < 6 * unit


@on_cuda
def test_on_cuda_no_buffer_is_used_again_before_it_is_copied() -> None:
    """Many threads keep the copies queued behind each other's work; an early reuse would swap images."""
    engine, x = embedded(device="cuda"), drawn_images(SMALL, 64)
    expected = embedded().forward(x).logits
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda i: engine.forward(np.repeat(x[i % 64][None], 64, axis=0)).logits[63], range(640))
        )
    for i, logits in enumerate(answers):
        assert relative(logits, expected[i % 64]) < 1e-4


def test_images_go_to_a_gpu_through_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as a machine without one can tell: each call pins a buffer of its own, and asks not to be kept waiting."""
    calls: list[str] = []
    pin = lambda tensor: calls.append("pinned") or tensor  # type: ignore[func-returns-value]  # noqa: E731
    to = torch.Tensor.to

    def counted_to(tensor: torch.Tensor, *where: Any, **how: Any) -> torch.Tensor:
        if how.get("non_blocking"):
            calls.append("sent")
        return to(tensor, torch.device("cpu"))

    engine, x = torch_engine_of(SMALL), drawn_images(SMALL, 1)
    expected = engine.forward(x)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", counted_to)
    monkeypatch.setattr(engine, "device", torch.device("cuda"))
    monkeypatch.setattr(torch_engine.torch, "autocast", lambda *_, enabled: torch.inference_mode())
    np.testing.assert_array_equal(engine.forward(x).logits, expected.logits)
    assert calls == ["pinned", "sent"]
