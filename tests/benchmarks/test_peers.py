"""python -m benchmarks.peers: the real peers, once each, on a small model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from benchmarks.contest_plan import families, isas_from, peers_of
from benchmarks.forward_contest import packages_of
from gmixer.catalogue import VARIANTS
from gmixer.isa import available_isas
from gmixer.options import NativePrecision
from mixers import write_timm_folder

ROOT = Path(__file__).parents[2]
MODEL = "gmixer_8_64"
WIDE = os.environ | {"COLUMNS": "200"}  # typer frames its messages, and would wrap them
QUICK = ("--only", "forward", "--batch", 4, "--threads", 2, "--rounds", 1, "--seconds", 0.05, "--json")
FLOAT32 = 5  # times PyTorch's error; a network computed in bfloat16 would be off by hundreds


def run_peers(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.peers", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT, env=WIDE)


def small(folder: Path) -> Path:
    """One block of drawn weights, so that compiling and calibrating are quick."""
    write_timm_folder(folder, MODEL, replace(VARIANTS[MODEL].model, blocks=1))
    return folder


@pytest.mark.slow
def test_every_peer_is_measured_and_as_exact_as_float32(tmp_path: Path) -> None:
    plot = tmp_path / "peers.png"
    finished = run_peers("-m", small(tmp_path / "small"), *QUICK, "--plot", plot)
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr
    machine, *rows = map(json.loads, finished.stdout.splitlines())
    assert {"torch", "timm", "onnxruntime", "openvino"} <= set(machine["packages"])
    assert machine["model"] == "small" and machine["drawn_weights"] is False
    contest = {row["contestant"]: row for row in rows if row["row"] == "contest"}
    lower = [f"gmixer-{isa}" for isa in isas_from(available_isas()[0], "fp32")[1:]]
    assert list(contest) == ["gmixer", *lower, *peers_of(families("fp32"), "fp32")]
    for contestant, row in contest.items():
        assert (row["what"], row["unit"], row["rounds"]) == ("fp32, batch 4, 2 threads", "image", 1)
        assert row["ms"]["median"] > 0 and row["fraction"]["median"] > 0 and row["peak_mib"] > 30
        assert row["error_unit"] == "PyTorch's own error"
        assert 0 < row["error"] < (2 if contestant.startswith("gmixer") else FLOAT32)
    assert contest["timm-eager"]["error"] == pytest.approx(1, rel=0.01)
    assert contest["gmixer"]["times_first"]["median"] == 1
    assert [row["best_peer"] for row in contest.values()].count(True) == 1
    assert "requests of 4 images at a time" in contest["openvino-throughput"]["how"]
    with Image.open(plot) as image:
        assert image.format == "PNG" and image.height > 400


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "least", "most"), [("int8", 0.0045, 0.05), ("bf16", 0.0005, 0.0045)])
def test_every_peer_of_a_precision_computes_in_it(
    precision: NativePrecision, least: float, most: float, tmp_path: Path
) -> None:
    """least, most: of the errors. They tell the precisions apart, and a wrong network from all of them."""
    if precision == "bf16" and available_isas("bf16") == ["scalar"]:
        pytest.skip("OpenVINO computes in bf16 on CPUs that have it")
    finished = run_peers("-m", small(tmp_path / "small"), *QUICK, "--precision", precision)
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr
    machine, *rows = map(json.loads, finished.stdout.splitlines())
    assert machine["precision"] == precision
    contest = {row["contestant"]: row for row in rows if row["row"] == "contest"}
    lower = [f"gmixer-{isa}" for isa in isas_from(available_isas(precision)[0], precision)[1:]]
    peers = peers_of(families(precision), precision)
    assert list(contest) == ["gmixer", *lower, "gmixer-fp32", *peers]
    assert {row["error_unit"] for row in contest.values()} == {"the rms of the logits"}
    errors = {contestant: row["error"] for contestant, row in contest.items()}
    assert errors.pop("gmixer-fp32") < 1e-5
    assert all(least < error < most for error in errors.values()), errors


def test_the_peers_of_each_precision() -> None:
    assert families("fp32") == ["timm", "onnxruntime", "openvino"]
    assert peers_of(["onnxruntime"], "int8") == ["onnxruntime"]
    openvino = ["openvino-latency", "openvino-throughput", "openvino-throughput-split"]
    assert peers_of(families("bf16"), "bf16") == openvino
    assert peers_of(families("int8"), "int8") == ["onnxruntime", *openvino, "openvino-default"]
    assert packages_of(["openvino-latency"], "int8") == ["torch", "timm", "onnx", "openvino", "nncf"]


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    assert packages_of(["onnxruntime"], "fp32") == ["torch", "timm", "onnx", "onnxruntime"]
    program = "import importlib.util as u; find = u.find_spec\n"
    program += "u.find_spec = lambda name: None if name == 'openvino' else find(name)\n"
    program += "from benchmarks.peers import main; main()"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    wanted = "benchmarks.peers: the comparison needs openvino: pip install -r benchmarks/requirements.txt\n"
    assert finished.stderr == wanted and finished.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "forwards"], "--only 'forwards': wanted some of forward, images, photos, start"),
        (["--against", "tensorrt"], "--against 'tensorrt': wanted some of timm, onnxruntime, openvino"),
        (["--precision", "int4"], "precision is 'int4'"),
        (["--precision", "bf16", "--isa", "scalar", "--against", "timm"], "--against 'timm': wanted some of openvino"),
        (["--rounds", "0"], "Invalid value for '--rounds'"),
        (["--photos", "nowhere", "--only", "photos"], "nowhere"),
    ],
)
def test_a_wrong_option_is_refused_at_once(arguments: list[str], message: str) -> None:
    finished = run_peers("-m", MODEL, "--json", *arguments)
    assert message in finished.stderr and finished.returncode == 2


def test_the_requirements_are_those_of_the_tests() -> None:
    """A benchmark and a test then mean the same version of a peer."""
    lines = (ROOT / "benchmarks" / "requirements.txt").read_text().splitlines()
    project = (ROOT / "pyproject.toml").read_text()
    named = [line for line in lines if line and not line.startswith("#")]
    packages = {re.split(r"[=><]", line)[0] for line in named}
    for precision in get_args(NativePrecision):
        assert packages >= set(packages_of(peers_of(families(precision), precision), precision))
    assert [line for line in named if f'"{line}"' not in project] == []
