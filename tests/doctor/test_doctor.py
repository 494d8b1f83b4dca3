"""gmixer doctor: every check passes here, and a test provokes the failure that each check looks for."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch
from huggingface_hub import constants
from PIL import features
from safetensors.numpy import save_file

import gmixer
from command import run, run_in_terminal
from gmixer import _native
from gmixer.catalogue import VARIANTS
from gmixer.cli.doctor import show_checks
from gmixer.data import preprocess
from gmixer.doctor import (
    CHECKS,
    Finding,
    embedded,
    examine,
    hub_connection,
    imported_check,
    install,
    native_core,
    processors,
    reference,
)
from gmixer.doctor.child_process import ChildDied, in_child
from gmixer.doctor.finding import Outcome
from gmixer.doctor.reference import reference_stages
from gmixer.isa import available_isas
from gmixer.options import NativePrecision
from gmixer.runtimes import Engine, threads
from gmixer.weights import find
from gmixer.weights.drawn import drawn_tensors
from hub import Hub, client_environment, hub_cache, hub_server
from mixers import drawn_images, drawn_mixer, timm_stages

ISAS = available_isas()
ROOT = Path(__file__).parents[2]
PREFERRED = "gmixer_24_224.ra3_in1k"

# Python 3.12 and later warn of every fork in a process with threads. torch has started some here.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


def look(name: str) -> Finding:
    """The finding of one check."""
    (finding,) = examine({name: CHECKS[name]})
    assert finding.fact and (finding.remedy or finding.status == "ok")
    return finding


@pytest.fixture(autouse=True)
def no_user_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "GMIXER_ISA", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


# The command


def test_a_healthy_machine(tmp_path: Path) -> None:
    finished = run("doctor", HF_HUB_CACHE=str(tmp_path))
    rows = [line.split("\t") for line in finished.stdout.splitlines()]
    assert [row[0] for row in rows] == list(CHECKS) and {len(row) for row in rows} == {4}
    assert "failed" not in {row[1] for row in rows} and finished.returncode == 0, finished.stdout
    assert finished.stderr == "" and "\x1b" not in finished.stdout
    facts = {row[0]: row[2] for row in rows}
    assert facts["gmixer"].startswith(gmixer.__version__)
    assert all(isa in facts["instruction sets"] and isa in facts["same bits"] for isa in ISAS)
    assert facts["Hub"] == "not asked: HF_HUB_OFFLINE is set; models in the cache work"


def test_json_has_one_object_a_check_and_a_failed_check_gives_status_1() -> None:
    finished = run("doctor", "--json", "--debug", GMIXER_ISA="nonsense")
    found = [json.loads(line) for line in finished.stdout.splitlines()]
    assert all(list(row) == ["name", "status", "fact", "remedy"] for row in found)
    failed = {row["name"]: row for row in found if row["status"] == "failed"}
    assert set(failed) == {"native core", "golden answer"} and len(found) == len(CHECKS)
    assert "GMIXER_ISA='nonsense' is not available on this CPU" in failed["native core"]["fact"]
    assert failed["native core"]["remedy"] == f"unset GMIXER_ISA, or set it to {' or '.join(ISAS)}"
    assert finished.returncode == 1 and finished.stderr.count("Traceback") == 1, "the golden answer's"


@pytest.mark.parametrize("columns", [60, 100])
def test_a_terminal_gets_a_table_within_its_width(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GMIXER_ISA", "nonsense")
    shown, status = run_in_terminal("doctor", columns=columns)
    lines = [line.rstrip() for line in shown.splitlines() if line.strip()]
    assert max(map(len, lines)) <= min(columns, 100)
    marked = [line for line in lines if re.match(r"(✓ ok|! warning|✗ failed) ", line)]
    assert [line[10:26].strip() for line in marked] == list(CHECKS)
    assert re.search(r"✗ failed +native core +GMIXER_ISA", shown) and "→ unset GMIXER_ISA" in shown
    assert lines[-1].startswith(f"2 of {len(CHECKS)} checks failed") and status == 1


def test_a_check_that_raises_is_a_failed_check_and_stops_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    def raises() -> Outcome:
        raise ZeroDivisionError("a\nmistake")

    checks = {"one": raises, "two": imported_check("nowhere", "at_all"), "three": CHECKS["gmixer"]}
    assert [finding.status for finding in examine(checks)] == ["failed", "failed", "ok"]
    for debug, tracebacks in (False, 0), (True, 2):
        assert show_checks(checks, as_json=False, debug=debug) == 1
        shown = capsys.readouterr()
        rows = [line.split("\t") for line in shown.out.splitlines()]
        assert [row[:2] for row in rows] == [["one", "failed"], ["two", "failed"], ["three", "ok"]]
        assert rows[0][2] == "the check itself failed, with ZeroDivisionError: a mistake" and rows[0][3]
        assert "No module named 'gmixer.doctor.nowhere'" in rows[1][2] and rows[1][3]
        assert shown.err.count("Traceback") == tracebacks


def test_without_the_native_module_the_others_are_still_looked_at(tmp_path: Path) -> None:
    package = Path(gmixer.__file__).parent
    shutil.copytree(package, tmp_path / "gmixer", ignore=shutil.ignore_patterns("_native*", "__pycache__"))
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from gmixer.cli import main; main()"
    finished = subprocess.run([sys.executable, "-c", program, "doctor"], capture_output=True, text=True, timeout=60)
    statuses = dict(line.split("\t")[:2] for line in finished.stdout.splitlines())
    assert list(statuses) == list(CHECKS) and statuses["native core"] == statuses["golden answer"] == "failed"
    assert statuses["packages"] == statuses["embedded weights"] == statuses["disk"] == "ok", finished.stdout
    assert "cannot be loaded" in finished.stdout and finished.stderr == "" and finished.returncode == 1


# What is installed


def test_versions_below_the_bounds_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [
        "numpy>=99",
        "rich",
        "no-such-package>=1.5",
        "absent",
        'torch>=99; extra == "torch"',
        'x>9; extra == "test"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda name: needs)
    finding = look("packages")
    assert finding.status == "failed" and "rich" not in finding.fact
    assert f"numpy {np.__version__}" in finding.fact and "numpy >=99" in finding.fact
    assert "no-such-package is not installed" in finding.fact and "absent is not installed" in finding.fact
    assert finding.remedy == "pip install 'numpy>=99' 'no-such-package>=1.5' 'absent'"
    assert look("PyTorch").status == "warning" and "torch >=99" in look("PyTorch").fact


def test_pytorch_is_not_missed() -> None:
    real = metadata.version

    def without_torch(name: str) -> str:
        if name.startswith("torch"):
            raise metadata.PackageNotFoundError(name)
        return real(name)

    assert look("PyTorch").status == "ok" and torch.__version__.split("+")[0] in look("PyTorch").fact
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "version", without_torch)
        finding = look("PyTorch")
    assert finding.status == "ok" and "not installed" in finding.fact
    assert "pip install 'gmixer[torch]'" in finding.remedy


def test_more_formats_are_named_with_their_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    finding = look("more formats")
    assert finding.status == "ok" and not finding.remedy
    assert "HEIC (pillow-heif" in finding.fact and "JPEG XL (pillow-jxl-plugin" in finding.fact

    def without(*missing: str) -> None:
        def version(name: str) -> str:
            if name in missing:
                raise metadata.PackageNotFoundError(name)
            return real(name)

        monkeypatch.setattr(metadata, "version", version)

    without("pillow-jxl-plugin")
    finding = look("more formats")
    assert finding.status == "ok" and "JPEG XL needs pillow-jxl-plugin, which is not installed" in finding.fact
    assert finding.remedy == "to read them: pip install 'gmixer[jxl]'"
    without("pillow-jxl-plugin", "pillow-heif")
    assert look("more formats").remedy == "to read them: pip install 'gmixer[heif,jxl]'"
    without()
    monkeypatch.setattr(metadata, "requires", lambda name: ['pillow-heif>=99; extra == "heif"'])
    finding = look("more formats")
    assert finding.status == "warning" and "wanted pillow-heif >=99" in finding.fact
    assert finding.remedy == "pip install --upgrade 'gmixer[heif]'"


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        ({"Version": gmixer.__version__, "Requires-Python": ">=99.1"}, "failed", "wanted >=99.1"),
        ({"Version": "0.0.9", "Requires-Python": ">=3.11"}, "warning", "version 0.0.9 is installed"),
        (None, "warning", "it is not installed"),
    ],
)
def test_a_wrong_python_and_a_second_gmixer(
    told: dict[str, str] | None, status: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def metadata_of(name: str) -> dict[str, str]:
        if told is None:
            raise metadata.PackageNotFoundError(name)
        return told

    monkeypatch.setattr(metadata, "metadata", metadata_of)
    finding = look("gmixer")
    assert finding.status == status and words in finding.fact


@pytest.mark.parametrize(("codec", "status"), [("jpg", "failed"), ("zlib", "failed"), ("avif", "warning")])
def test_a_pillow_without_a_codec(codec: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("codecs").status == "ok"
    real = features.check
    monkeypatch.setattr(features, "check", lambda name: name != codec and real(name))
    finding = look("codecs")
    assert finding.status == status and f"cannot read {install.CODECS[codec]}" in finding.fact


# The native core


@pytest.mark.parametrize("config", native_core.MODELS, ids=lambda config: config.mlp)
def test_the_reference_is_right(config: gmixer.ModelConfig) -> None:
    """numpy's float64 against timm's, within the rounding errors of float64."""
    model, x_BCHW = drawn_mixer(config), drawn_images(config, 2)
    tensors = {name: values.numpy() for name, values in model.state_dict().items()}
    ours = reference_stages(config, tensors, x_BCHW, np.float64)
    theirs = timm_stages(model, x_BCHW, torch.float64)
    assert list(ours) == list(theirs)
    for stage, values in ours.items():
        np.testing.assert_allclose(values, theirs[stage], rtol=0, atol=1e-12, err_msg=stage)


def test_the_instruction_sets_are_the_built_ones() -> None:
    text = (ROOT / "native" / "kernels.inc").read_text()
    rows = {
        architecture: (*re.findall(r"^GMIXER_ISA\((\w+),", block, re.MULTILINE), "scalar")
        for architecture, block in re.findall(r"defined\(__(\w+)__\)\n(.*?)(?=#)", text, re.DOTALL)
    }
    assert rows == native_core.BUILT
    assert re.findall(r"^GMIXER_ISA\(.*", text, re.MULTILINE)[-1] == "GMIXER_ISA(scalar, true)"


@pytest.mark.skipif(len(ISAS) < 2, reason="needs two instruction sets")
def test_a_slower_instruction_set_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GMIXER_ISA", ISAS[-1])
    finding = look("native core")
    assert finding.status == "warning" and f"GMIXER_ISA={ISAS[-1]} disables {ISAS[0]}" in finding.fact


def one_wrong_value(stages: dict[str, np.ndarray]) -> None:
    stages["block_1"][2, 24, 79] += 2e-5  # the last channel of the last token; the error is 1/100,000


def not_a_number(stages: dict[str, np.ndarray]) -> None:
    stages["logits"][0, 0] = np.nan


def all_a_little_wrong(stages: dict[str, np.ndarray]) -> None:
    stages["features"] *= 1 + 2e-6


def dies(stages: dict[str, np.ndarray]) -> None:
    os.kill(os.getpid(), signal.SIGILL)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (one_wrong_value, "block_1; at most 2 and 4"),
        (not_a_number, "nan times"),
        (all_a_little_wrong, "(features; at most"),
        (dies, "was killed by SIGILL"),
    ],
)
def test_a_kernel_that_lies_is_found_and_worked_around(
    lie: Callable[[dict[str, np.ndarray]], None], words: str, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Engine.stages

    def stages(engine: Engine, x_BCHW: np.ndarray) -> dict[str, np.ndarray]:
        computed = honest(engine, x_BCHW)
        if engine.isa == isa:
            lie(computed)
        return computed

    monkeypatch.setattr(Engine, "stages", stages)
    finding = look("instruction sets")
    assert finding.status == "failed" and words in finding.fact and finding.fact.startswith(f"{isa} ")
    others = [other for other in ISAS if other != isa]
    assert (f"GMIXER_ISA={others[0]}" in finding.remedy) if others else ("install gmixer again" in finding.remedy)


def test_products_in_bfloat16_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some runtimes round weights to 8 bits by default. The error is hundreds of times the allowed one."""
    honest = native_core._all_stages

    def rounded(isa: str) -> list[native_core.Stages]:
        def bf16(config: gmixer.ModelConfig, seed: int) -> dict[str, np.ndarray]:
            tensors = drawn_tensors(config, seed)
            return {name: torch.tensor(v).bfloat16().float().numpy() for name, v in tensors.items()}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(native_core, "drawn_tensors", bf16)
            return honest(isa)

    monkeypatch.setattr(native_core, "_all_stages", rounded)
    finding = look("instruction sets")
    times = re.search(r"is ([\d.e+]+) times as far", finding.fact)
    assert finding.status == "failed" and times and float(times[1]) > 500, finding.fact


@pytest.mark.parametrize(("of", "words"), [("threads", "threads give other bits than 1"), ("batch", "an image alone")])
def test_bits_that_depend_on_threads_or_the_batch_are_found(
    of: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Engine.forward

    def forward(engine: Engine, x_BCHW: np.ndarray) -> gmixer.Output:
        output = honest(engine, x_BCHW)
        if engine.isa == "scalar" and (engine.threads > 1 if of == "threads" else len(x_BCHW) == 1):
            output.logits[:] = np.nextafter(output.logits, np.float32(np.inf))  # the last bit
        return output

    assert look("same bits").status == "ok"
    monkeypatch.setattr(Engine, "forward", forward)
    finding = look("same bits")
    assert finding.status == "failed" and finding.fact.startswith("scalar: ") and words in finding.fact


def by_tensor(x: np.ndarray) -> np.ndarray:
    scale = np.abs(x).max() / 127
    return np.rint(x / scale) * scale


def by_truncation(x: np.ndarray) -> np.ndarray:
    return (x.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32).astype(x.dtype)


@pytest.mark.parametrize(("precision", "wrong"), [("int8", by_tensor), ("bf16", by_truncation)])
def test_another_rounding_than_the_precisions_is_found(
    precision: NativePrecision, wrong: Callable[[np.ndarray], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scale for each tensor, and cutting in place of rounding: mistakes that a bound of twice the error lets pass."""
    sound = look("bf16 and int8")
    assert sound.status == "ok" and f"{precision} on {available_isas(precision)[0]}" in sound.fact
    honest = native_core._all_stages

    def stages(isa: str, of: NativePrecision = "fp32") -> list[native_core.Stages]:
        if of != precision:
            return honest(isa, of)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(reference.ROUNDINGS, precision, wrong)
            x_BCHW = native_core._images
            tensors = native_core.drawn_tensors
            return [
                reference_stages(m, tensors(m, native_core.SEED), x_BCHW(m), np.float32, precision)
                for m in native_core.MODELS
            ]

    monkeypatch.setattr(native_core, "_all_stages", stages)
    finding = look("bf16 and int8")
    times = re.search(rf"{precision} on \w+ differs from plain {precision} arithmetic by ([\d.]+) times", finding.fact)
    assert finding.status == "failed" and times and float(times[1]) > 1.3, finding.fact
    assert finding.remedy.startswith(f"do not use {precision}: leave out --precision")


def test_a_low_precision_that_dies_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Engine.stages

    def stages(engine: Engine, x_BCHW: np.ndarray) -> dict[str, np.ndarray]:
        if engine.precision == "int8":
            os.kill(os.getpid(), signal.SIGILL)
        return honest(engine, x_BCHW)

    monkeypatch.setattr(Engine, "stages", stages)
    finding = look("bf16 and int8")
    assert finding.status == "failed" and "was killed by SIGILL" in finding.fact
    assert finding.remedy.startswith("do not use int8: ") and "bf16 on" not in finding.fact


def test_the_reference_rounds_as_the_precisions_do() -> None:
    """numpy's roundings against torch's bfloat16, and against the quantisation of the core's weights."""
    x = np.random.default_rng(0).standard_normal((64, 80)).astype(np.float32) * 10.0 ** np.arange(-40, 24)[:, None]
    x = x.astype(np.float32)
    np.testing.assert_array_equal(reference.ROUNDINGS["bf16"](x), torch.from_numpy(x).bfloat16().float().numpy())
    values, scales = np.empty(x.shape, np.int8), np.empty(len(x), np.float32)
    _native.quantize(x, values, scales)
    np.testing.assert_allclose(reference.ROUNDINGS["int8"](x), values * scales[:, None], rtol=1e-6, atol=0)
    assert (scales[:8] == 0).all() and not values[:8].any(), "rows below 1e-30"


def test_a_child_returns_its_result_or_raises() -> None:
    assert np.array_equal(in_child(lambda: np.arange(200_000)), np.arange(200_000)), "more than a pipe holds"
    with pytest.raises(gmixer.InputError, match="as it was"):
        in_child(lambda: (_ for _ in ()).throw(gmixer.InputError("as it was")))
    with pytest.raises(ChildDied, match="ended with status 3"):
        in_child(lambda: os._exit(3))
    started = time.monotonic()
    with pytest.raises(ChildDied, match="had not ended after 1 seconds"):
        in_child(lambda: time.sleep(60), limit_s=1)
    assert time.monotonic() - started < 10


# The embedded model


def test_the_golden_answer_is_what_its_recipe_gives(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "tools" / "make_golden.py"), run_name="__main__")
    made, stored = json.loads(capsys.readouterr().out), embedded.golden()
    assert made["tensor"] == stored["tensor"] and [i for i, _ in made["top5"]] == [i for i, _ in stored["top5"]]
    np.testing.assert_allclose(made["features"], stored["features"], rtol=0, atol=2e-9)
    np.testing.assert_allclose(made["top5"], stored["top5"], rtol=0, atol=2e-9)
    assert list(made["errors"]) == list(stored["errors"]) == ["fp32", "bf16", "int8"]
    for precision, errors in stored["errors"].items():  # of that machine's PyTorch
        for now, then in zip(made["errors"][precision], errors, strict=True):
            assert then / 10 < now < then * 10


def flip(path: Path, offset: int, bits: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= bits
    path.write_bytes(content)


def last_byte_of_a_stem_weight(path: Path) -> int:
    """Sign and exponent of a float16."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return 8 + length + json.loads(content[8 : 8 + length])["stem.proj.weight"]["data_offsets"][0] + 1


@pytest.fixture
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the embedded weights. gmixer uses it instead of them."""
    for path in (find.EMBEDDED_WEIGHTS, find.EMBEDDED_WEIGHTS.with_suffix(".json")):
        shutil.copy(path, tmp_path)
    weights = tmp_path / find.EMBEDDED_WEIGHTS.name
    monkeypatch.setattr(find, "EMBEDDED_WEIGHTS", weights)
    return weights


def test_a_flipped_bit_in_the_weights_is_found(own_weights: Path) -> None:
    assert look("embedded weights").status == look("golden answer").status == "ok"
    flip(own_weights, own_weights.stat().st_size - 2, 1)  # the last bit of a weight: no answer changes
    finding = look("embedded weights")
    assert (
        finding.status == "failed"
        and "the file is damaged" in finding.fact
        and "install gmixer again" in finding.remedy
    )


def test_a_wrong_weight_is_found_by_the_answer_alone(own_weights: Path) -> None:
    flip(own_weights, last_byte_of_a_stem_weight(own_weights), 0x40)
    finding = look("golden answer")
    assert "in int8 on" in finding.fact and "in fp32 on" in finding.fact
    assert finding.status == "failed" and "errors of PyTorch's float32, bf16 and int8 (at most 4" in finding.fact


def test_missing_weights_are_found(own_weights: Path) -> None:
    own_weights.unlink()
    finding = look("embedded weights")
    assert finding.status == "failed" and "No such file" in finding.fact and str(own_weights) in finding.fact
    assert look("golden answer").status == "failed"


def bilinear(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = preprocess.resize_window
    monkeypatch.setattr(preprocess, "resize_window", lambda *args: honest(*args[:-2], "bilinear", args[-1]))


def a_pixel_further(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = preprocess._centre
    monkeypatch.setattr(preprocess, "_centre", lambda *args: slice(honest(*args).start + 1, honest(*args).stop + 1))


def bgr(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = preprocess.Preprocess.crop
    monkeypatch.setattr(preprocess.Preprocess, "crop", lambda *args, **named: honest(*args, **named)[:, :, ::-1])


@pytest.mark.parametrize("fault", [bilinear, a_pixel_further, bgr])
def test_a_wrong_transform_is_found(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look("transform").status == "ok"
    fault(monkeypatch)
    finding = look("transform")
    assert finding.status == "failed" and PIL.__version__ in finding.fact and "pillow==" in finding.remedy
    assert look("golden answer").status == "failed"


def test_a_core_that_is_wrong_on_its_default_path_is_found_by_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Engine.forward

    def forward(engine: Engine, x_BCHW: np.ndarray, *, tokens: bool = False) -> gmixer.Output:
        output = honest(engine, x_BCHW, tokens=tokens)
        return replace(output, features=output.features + np.float32(1e-5))

    monkeypatch.setattr(Engine, "forward", forward)
    assert look("golden answer").status == "failed"


# Threads


@pytest.mark.parametrize(
    ("machine_has", "allowed", "quota", "omp", "status", "words"),
    [
        (2, 2, None, None, "ok", "2 on 2 processors"),
        (1, 1, None, None, "ok", "1 on 1 processor"),
        (64, 64, 2.0, None, "ok", "2 on 64 processors: the control group allows 2 processors' time"),
        (64, 64, 2.5, "3", "ok", "3 on 64 processors: the control group allows 2.5"),
        (64, 4, None, None, "ok", "4 on 64 processors: this process's affinity allows 4"),
        (64, 64, 0.25, None, "warning", "every answer takes 4.0 times as long"),
        (8, 8, None, "1", "warning", "OMP_NUM_THREADS=1 has no effect"),
        (64, 64, 2.0, "64", "warning", "OMP_NUM_THREADS=64 makes numpy and PyTorch start more than can run"),
        (8, 8, None, "many", "ok", "8 on 8 processors"),
    ],
)
def test_threads_say_why_so_many(
    machine_has: int,
    allowed: int,
    quota: float | None,
    omp: str | None,
    status: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processors.os, "cpu_count", lambda: machine_has)
    monkeypatch.setattr(threads, "allowed_processors", lambda: allowed)
    monkeypatch.setattr(threads, "cgroup_quota", lambda: quota)
    if omp:
        monkeypatch.setenv("OMP_NUM_THREADS", omp)
    finding = look("threads")
    assert (finding.status, finding.fact[: len(words)] if status == "ok" else words) == (status, words)
    assert words in finding.fact


# The cache


@pytest.fixture
def use_cache(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    return lambda folder: monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))


def test_a_cache_that_is_not_there_yet_and_one_that_is(tmp_path: Path, use_cache: Callable[[Path], None]) -> None:
    use_cache(tmp_path / "not" / "yet")
    assert look("cache").status == "ok" and "the first download makes it" in look("cache").fact
    assert not (tmp_path / "not").exists(), "a check makes no folder"
    use_cache(tmp_path)
    assert look("cache").status == "ok" and "readable and writable" in look("cache").fact
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_used(tmp_path: Path, use_cache: Callable[[Path], None]) -> None:
    (tmp_path / "file").write_text("")
    use_cache(tmp_path / "file")
    assert look("cache").status == "failed" and "cannot be read: Not a directory" in look("cache").fact
    use_cache(tmp_path / "file" / "below")
    assert look("cache").status == "warning" and "does not exist and cannot be made" in look("cache").fact
    assert "HF_HUB_CACHE" in look("cache").remedy


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder that not even root can write to")
def test_a_cache_that_cannot_be_written_to(use_cache: Callable[[Path], None]) -> None:
    use_cache(Path("/sys/kernel"))
    finding = look("cache")
    assert finding.status == "warning" and "/sys/kernel cannot be written to" in finding.fact


def test_cached_models_are_named_and_damaged_ones_found(tmp_path: Path, use_cache: Callable[[Path], None]) -> None:
    use_cache(tmp_path / "cache")
    nothing = look("cached models")
    assert nothing.status == "ok" and nothing.fact.startswith("none; --model auto takes gmixer_8_64.distill_in1k")
    assert f"gmixer pull {PREFERRED}" in nothing.remedy
    weights = tmp_path / "model.safetensors"
    shapes = VARIANTS["gmixer_24_224"].model.tensor_shapes()
    save_file({name: np.zeros(shape, np.float16) for name, shape in shapes.items()}, weights)
    hub_cache(tmp_path / "cache", f"timm/{PREFERRED}", weights)
    there = look("cached models")
    size_mib = weights.stat().st_size / 2**20
    assert there.status == "ok" and there.remedy == ""
    assert there.fact == f"{PREFERRED} ({size_mib:.1f} MiB); --model auto takes {PREFERRED}"
    os.truncate(weights, weights.stat().st_size - 1)
    cut = look("cached models")
    assert cut.status == "failed" and PREFERRED in cut.fact and cut.remedy == f"fetch it again: gmixer pull {PREFERRED}"


def test_the_remedy_for_unfinished_downloads_removes_them(tmp_path: Path, use_cache: Callable[[Path], None]) -> None:
    folder = tmp_path / "a cache"
    use_cache(folder)
    assert look("downloads").status == "ok"
    for repo in ("models--timm--one", "models--timm--two"):
        (folder / repo / "blobs").mkdir(parents=True)
        (folder / repo / "blobs" / "abc.12345678.incomplete").write_bytes(bytes(2**20))
        (folder / repo / "blobs" / "abc").write_bytes(b"whole")
    finding = look("downloads")
    assert finding.status == "warning" and finding.fact == "2 unfinished files, 2.0 MiB, of timm/one, timm/two"
    subprocess.run(finding.remedy.partition(": ")[2], shell=True, check=True)
    assert look("downloads").status == "ok" and len(list(folder.glob("*/blobs/abc"))) == 2


def test_a_full_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 4 * replace(VARIANTS["mixer_l16_224"].model, num_classes=21843).parameters
    for free, status in (largest, "ok"), (largest - 1, "warning"), (0, "warning"):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(2**40, 0, free))
        finding = look("disk")
        assert finding.status == status and "mixer_l16_224.goog_in21k, the largest model, takes 0.9" in finding.fact
    assert finding.fact.startswith("0.0 GiB free") and f"{PREFERRED} 0.1" in finding.fact


# The Hub


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub on loopback that has the preferred model. The library in this process uses it."""
    with hub_server() as server:
        server.files[f"timm/{PREFERRED}"] = {"model.safetensors": bytes(2**20)}
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        talk_to(server.endpoint, monkeypatch)
        yield server


def talk_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the effect of HF_ENDPOINT, which the library reads when it is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


def asked(server: Hub) -> list[tuple[str, str]]:
    """The requests, without the one that the library makes for itself once a day."""
    return [(method, path) for method, path in server.requests if not path.startswith("/api/agent")]


def test_a_hub_that_answers(online: Hub) -> None:
    finding = look("Hub")
    assert finding.status == "ok" and f"has {PREFERRED} (1.0 MiB)" in finding.fact and online.endpoint in finding.fact
    assert asked(online) == [("HEAD", f"/timm/{PREFERRED}/resolve/main/model.safetensors")]


def test_the_command_asks_the_hub_that_the_environment_names(online: Hub, tmp_path: Path) -> None:
    finished = run("doctor", **client_environment(online, tmp_path))
    assert re.search(rf"^Hub\tok\t{online.endpoint} answers", finished.stdout, re.MULTILINE) and len(asked(online)) == 1


def test_only_one_check_uses_the_network(online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: check for name, check in CHECKS.items() if name != "Hub"}
    assert len(list(examine(others))) == len(CHECKS) - 1 and online.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert look("Hub").status == "ok" and "HF_HUB_OFFLINE" in look("Hub").fact and online.requests == []


def test_a_refused_token_is_told_from_a_model_that_is_not_there(online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    online.refuse = lambda method, path: (401, "")
    without = look("Hub")
    assert without.status == "warning" and "401 Unauthorized when asked for" in without.fact
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    refused = look("Hub")
    assert "Bearer hf_secret" in online.tokens
    assert refused.status == "warning" and "it refuses your token" in refused.fact and "HF_TOKEN" in refused.remedy
    assert "hf_secret" not in refused.fact + refused.remedy
    online.refuse = lambda method, path: (404, "RepoNotFound")
    assert "404 Not Found when asked for" in look("Hub").fact and "HF_ENDPOINT" in look("Hub").remedy


@pytest.mark.parametrize(("answer", "words"), [(500, "500 Internal Server Error"), (200, "does not answer as a Hub")])
def test_a_hub_with_an_error_and_a_server_that_is_no_hub(answer: int, words: str, online: Hub) -> None:
    online.refuse = lambda method, path: (answer, "")
    finding = look("Hub")
    assert finding.status == "warning" and words in finding.fact and len(asked(online)) == 1, "asked once"


def test_a_hub_that_refuses_or_hangs(online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_connection, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts the connection, and sends nothing
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        talk_to(endpoint, monkeypatch)
        started = time.monotonic()
        hanging = look("Hub")
        assert time.monotonic() - started < 5
    refusing = look("Hub")  # the server has stopped
    for finding in (hanging, refusing):
        assert finding.status == "warning" and finding.fact.startswith(f"{endpoint} cannot be reached: ")
        assert "models on this machine work" in finding.remedy
    assert "no answer in time" in hanging.fact and "the connection is refused" in refusing.fact


def test_a_dns_look_up_that_hangs_is_ended(online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_connection, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **named: time.sleep(60))
    started = time.monotonic()
    finding = look("Hub")
    assert finding.status == "warning" and "no answer in time" in finding.fact
    assert time.monotonic() - started < 5
