"""gmixer bench: the command in a pipe, in a terminal and with --json."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import gmixer
from command import GMIXER, run, run_in_terminal
from gmixer.catalogue import VARIANTS
from gmixer.isa import available_isas
from gmixer.runtimes import default_threads

QUICK = ("bench", "--model", "gmixer_8_64", "--batch", "1,3", "--threads", "1-2", "--seconds", "0.05")
STAGES = ["decode", "resize", "stem", "token MLP", "channel MLP", "head"]
SPREAD = ["median", "p10", "p90", "least", "greatest", "n"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:  # type: ignore[type-arg]
    """The rows of one run with --json and --plot. The last row is the path of the plot."""
    plot = tmp_path_factory.mktemp("plot") / "forward.png"
    finished = run(*QUICK, "--json", "--plot", plot)
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr
    return [*map(json.loads, finished.stdout.splitlines()), {"row": "plot", "path": plot}]


def of_kind(rows: list[dict], kind: str) -> list[dict]:  # type: ignore[type-arg]
    return [row for row in rows if row["row"] == kind]


def test_json_begins_with_the_machine(rows: list[dict]) -> None:  # type: ignore[type-arg]
    machine = rows[0]
    assert machine["row"] == "machine" and machine["cpu"] and machine["processors"] == default_threads()
    assert machine["isas"] == available_isas() and machine["gmixer"] == gmixer.__version__
    assert set(machine["packages"]) == {"numpy", "pillow"} and machine["load"] >= 0
    assert re.match(r"\d{4}-\d\d-\d\dT", machine["date"])
    assert machine["model"] == "gmixer_8_64" and machine["drawn_weights"] is True
    assert machine["gmacs"] == VARIANTS["gmixer_8_64"].model.macs / 1e9


def test_a_ceiling_for_each_instruction_set_and_number_of_threads(rows: list[dict]) -> None:  # type: ignore[type-arg]
    ceilings = of_kind(rows, "ceiling")
    assert [(row["isa"], row["threads"]) for row in ceilings] == [(isa, n) for isa in available_isas() for n in (1, 2)]
    assert all(list(row["gflops"]) == SPREAD and row["gflops"]["least"] > 0 for row in ceilings)


def test_a_row_for_each_batch_and_number_of_threads(rows: list[dict]) -> None:  # type: ignore[type-arg]
    forward = of_kind(rows, "forward")
    assert [(row["threads"], row["batch"]) for row in forward] == [(1, 1), (1, 3), (2, 1), (2, 3)]
    for row in forward:
        assert row["model"] == "gmixer_8_64" and row["isa"] == available_isas()[0]
        assert list(row["ms_per_image"]) == list(row["fraction"]) == list(row["ceiling_gflops"]) == SPREAD
        assert row["ms_per_image"]["n"] >= 3 and row["fraction"]["median"] > 0
        assert row["images_per_second"] == pytest.approx(1e3 / row["ms_per_image"]["median"])
        macs = VARIANTS["gmixer_8_64"].model.macs
        assert row["gflops"] == pytest.approx(2e-9 * macs * row["images_per_second"])
        assert 30 < row["peak_mib"] < 150


def test_stages_add_up(rows: list[dict]) -> None:  # type: ignore[type-arg]
    stages = of_kind(rows, "stage")
    assert [row["stage"] for row in stages] == STAGES
    assert {(row["batch"], row["threads"]) for row in stages} == {(3, 2)}, "nearest to 16, on all threads asked for"
    assert sum(row["share"] for row in stages) == pytest.approx(1)
    assert [row["fraction"] is None for row in stages] == [True] * 2 + [False] * 4
    network_ms = sum(row["ms_per_image"]["least"] for row in stages[2:])
    whole_ms = of_kind(rows, "forward")[-1]["ms_per_image"]
    assert whole_ms["least"] / 2.5 < network_ms < 2.5 * whole_ms["greatest"], "loosely: the machine is shared"


def test_int8_has_its_own_ceiling_and_float32_that_of_stem_and_head(
    rows: list[dict],  # type: ignore[type-arg]
) -> None:
    arguments = ("--model", "gmixer_8_64", "--batch", "4", "--threads", "1", "--seconds", "0.2", "--json")
    finished = run("bench", *arguments, "--precision", "int8")
    assert finished.returncode == 0, finished.stderr
    in_int8 = [*map(json.loads, finished.stdout.splitlines())]
    assert {row["precision"] for row in in_int8} == {"int8"} and {row["precision"] for row in rows[:-1]} == {"fp32"}
    assert [row["isa"] for row in of_kind(in_int8, "ceiling")] == available_isas("int8")
    (forward,) = of_kind(in_int8, "forward")
    assert (forward["isa"], forward["precision"]) == (available_isas("int8")[0], "int8")
    fractions = {row["stage"]: row["fraction"] for row in of_kind(in_int8, "stage")}
    assert [stage for stage, fraction in fractions.items() if fraction] == STAGES[2:]
    assert all(fraction["median"] > 0 for fraction in fractions.values() if fraction)


def test_the_plot_is_an_image(rows: list[dict]) -> None:  # type: ignore[type-arg]
    with Image.open(rows[-1]["path"]) as image:
        assert image.format == "PNG" and image.width > 1000
        assert len(image.convert("L").getcolors() or []) > 10, "something is drawn"


def test_a_pipe_gets_tab_separated_tables() -> None:
    finished = run("bench", "--model", "gmixer_8_64.distill_in1k", "--batch", 2, "--threads", 1, "--seconds", 0.01)
    head, ceiling, forward, stages = (block.splitlines() for block in finished.stdout.split("\n\n"))
    assert head[0] == "gmixer_8_64.distill_in1k" and "its own weights" in head[1]
    assert len(ceiling) == 2 + len(available_isas())
    assert forward[1].split("\t")[:5] == ["batch", "threads", "img/s", "ms/image", "p10 … p90"]
    assert forward[2].split("\t")[:2] == ["2", "1"] and len(forward) == 3
    assert [line.split("\t")[0] for line in stages[2:]] == STAGES
    assert finished.stderr == "" and "\x1b" not in finished.stdout


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_gets_tables_within_its_width(columns: int) -> None:
    arguments = ("bench", "-m", "gmixer_8_64", "--batch", 2, "--threads", 1, "--seconds", 0.01)
    shown, status = run_in_terminal(*arguments, columns=columns)
    lines = [line.rstrip() for line in shown.splitlines() if line.strip()]
    assert status == 0 and max(map(len, lines)) <= columns
    (heading,) = (line for line in lines if line.startswith("batch  threads"))
    assert heading.endswith("ceiling    MiB"), "every column fits into 80"
    assert all(any(line.startswith(stage) for line in lines) for stage in STAGES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "0"], "--batch '0': wanted whole numbers from 1 to 4096, such as 1,4 or 1-4"),
        (["--batch", "1,,2"], "--batch ''"),
        (["--batch", "99999"], "--batch '99999'"),
        (["--threads", "2-1"], "--threads '2-1'"),
        (["--threads", "two"], "--threads 'two'"),
        (["--isa", "mmx"], "isa='mmx' is not available on this CPU; it supports"),
        (["--precision", "fp16"], "precision is 'fp16'; the native runtime computes in fp32, bf16, int8"),
        (["--model", "gmixer_9_64"], "no model 'gmixer_9_64'; the closest are gmixer_8_64"),
        (["--model", "nowhere/x.safetensors"], "nowhere/x.safetensors: no such file"),
        (["--model", "gmixer_24_224.ra3_in1k"], "is not on this machine"),
        (["--plot", "nowhere/plot.png"], "nowhere/plot.png: No such file or directory"),
        (["--plot", "plot.txt"], "--plot plot.txt: wanted a name that ends with .png, .svg, .pdf"),
    ],
)
def test_a_wrong_option_is_refused_at_once(arguments: list[str], message: str) -> None:
    finished = run("bench", *arguments)
    assert message in finished.stderr and finished.stdout == "" and finished.returncode == 2


def test_a_plot_without_matplotlib_names_the_extra(tmp_path: Path) -> None:
    """find_spec finds no package, as if matplotlib were not installed."""
    program = "import importlib.util as u; u.find_spec = lambda name: None\nfrom gmixer.cli import main; main()"
    command = [sys.executable, "-c", program, "bench", "--plot", str(tmp_path / "plot.png")]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.stderr == "gmixer: --plot needs matplotlib: pip install 'gmixer[bench]'\n"
    assert finished.returncode == 2 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once_and_leaves_nothing(sent: signal.Signals, status: int, tmp_path: Path) -> None:
    one_ceiling = ("--threads", "1", "--isa", available_isas()[0])
    command = [*GMIXER, *QUICK, *one_ceiling, "--seconds", "60", "--json", "--plot", str(tmp_path / "plot.png")]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None and process.stderr is not None
        while b'"ceiling"' not in process.stdout.readline():
            pass
        time.sleep(0.5)  # the process of the next row has started
        process.send_signal(sent)
        assert process.wait(timeout=10) == status
        assert process.stderr.read() == b""
    assert not list(tmp_path.iterdir())
