"""python -m benchmarks.peers: the real peers, once each, on a small model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.contest_plan import isas_from
from benchmarks.forward_contest import PEERS, packages_of
from gmixer.catalogue import VARIANTS
from gmixer.isa import available_isas
from mixers import write_timm_folder

ROOT = Path(__file__).parents[2]
MODEL = "gmixer_8_64"
WIDE = os.environ | {"COLUMNS": "200"}  # typer frames its messages, and would wrap them
FLOAT32 = 5  # times PyTorch's error; a network computed in bfloat16 would be off by hundreds


def run_peers(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.peers", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT, env=WIDE)


@pytest.mark.slow
def test_every_peer_is_measured_and_as_exact_as_float32(tmp_path: Path) -> None:
    """One block of drawn weights, so that torch.compile is quick."""
    folder, plot = tmp_path / "small", tmp_path / "peers.png"
    write_timm_folder(folder, MODEL, replace(VARIANTS[MODEL].model, blocks=1))
    quick = ("--batch", 4, "--threads", 2, "--rounds", 1, "--seconds", 0.05)
    finished = run_peers("--only", "forward", "-m", folder, *quick, "--json", "--plot", plot)
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr
    machine, *rows = map(json.loads, finished.stdout.splitlines())
    assert {"torch", "timm", "onnxruntime", "openvino"} <= set(machine["packages"])
    assert machine["model"] == "small" and machine["drawn_weights"] is False
    contest = {row["contestant"]: row for row in rows if row["row"] == "contest"}
    lower = [f"gmixer-{isa}" for isa in isas_from(available_isas()[0])[1:]]
    assert list(contest) == ["gmixer", *lower, *PEERS]
    for contestant, row in contest.items():
        assert (row["what"], row["unit"], row["rounds"]) == ("batch 4, 2 threads", "image", 1)
        assert row["ms"]["median"] > 0 and row["fraction"]["median"] > 0 and row["peak_mib"] > 30
        assert 0 < row["error_in_pytorchs"] < (2 if contestant.startswith("gmixer") else FLOAT32)
    assert contest["timm-eager"]["error_in_pytorchs"] == pytest.approx(1, rel=0.01)
    assert contest["gmixer"]["times_first"]["median"] == 1
    assert [row["best_peer"] for row in contest.values()].count(True) == 1
    assert "requests of 4 images at a time" in contest["openvino-throughput"]["how"]
    with Image.open(plot) as image:
        assert image.format == "PNG" and image.height > 400


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    assert packages_of(["onnxruntime"]) == ["torch", "timm", "onnx", "onnxruntime"]
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
    assert {re.split(r"[=><]", line)[0] for line in named} >= {"torch", "timm", "onnx", "onnxruntime", "openvino"}
    assert [line for line in named if f'"{line}"' not in project] == []
