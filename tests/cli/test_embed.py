"""gmixer embed into Parquet: the forms of its output, what it says, and how it stops."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import gmixer
from benchmarks.kill_embed import draw_photos, files_of
from command import GMIXER, call, run, run_in_terminal

MODEL = ("--model", "gmixer_8_64.distill_in1k")
COUNT = 40


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 JPEGs, four of them damaged."""
    folder = tmp_path_factory.mktemp("in") / "pictures"
    draw_photos(folder, COUNT)
    return folder


def test_a_folder_of_parts(pictures: Path, tmp_path: Path, predictor: gmixer.Predictor) -> None:
    out = tmp_path / "out"
    command = ("embed", pictures, "absent.jpg", "-o", out, *MODEL, "--part-size", 16, "--hash", "--classes", 2)
    finished = call(*command)
    assert finished.returncode == 1 and finished.stdout == ""
    assert finished.stderr == (
        f"{out}: 41 rows in 3 parts; 5 of 41 could not be read\n"
        f"  corrupt              4  such as {pictures}/00009.jpg\n"
        "  missing              1  such as absent.jpg\n"
        f"They are rows too: duckdb -c \"SELECT path, error_message FROM '{out}/*.parquet' "
        'WHERE error_kind IS NOT NULL"\n'
    )
    table = gmixer.bulk.open_stored(str(out)).table()
    assert len(table) == 41 and table["sha256"].null_count == 1
    assert len(table["predictions"][0]) == 2
    before = files_of(out)
    again = call(*command)
    first, *others = again.stderr.splitlines()
    assert first == f"{out}: nothing to do, 41 rows were there; 5 of 41 could not be read"
    assert [line.split() for line in others[:2]] == [["corrupt", "4"], ["missing", "1"]] and again.returncode == 1
    assert files_of(out) == before


def test_the_hint_runs(pictures: Path, tmp_path: Path) -> None:
    import duckdb

    said = call("embed", pictures, "-o", f"{tmp_path}/out/", *MODEL).stderr
    (query,) = [line.split('"')[1] for line in said.splitlines() if "duckdb" in line]
    assert len(duckdb.execute(query).fetchall()) == 4


def test_one_file(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    finished = call("embed", pictures / "00000.jpg", "-o", out, *MODEL, "--dtype", "float16", "--normalize")
    assert (finished.returncode, finished.stderr) == (0, f"{out}: 1 row\n")
    (row,) = pq.read_table(out).to_pylist()
    assert abs(sum(float(x) ** 2 for x in row["vector"]) - 1) < 1e-2


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("x.npz", ["--hash"], "--hash is given, and the output is one .npz file; wanted NAME.parquet or a folder"),
        ("x.npz", ["--dtype", "float16"], "--dtype is given"),
        ("x.npz", ["--classes", "3"], "--classes is given"),
        ("x.npz", ["--normalize"], "--normalize is given"),
        ("x.npz", ["--update"], "--update is given, and the output is one .npz file; wanted a folder"),
        ("x.parquet", ["--part", "1/2"], "--part is given, and the output is one .parquet file; wanted a folder"),
        ("x.parquet", ["--part-size", "7"], "--part-size is given"),
        ("x/", ["--part", "3/2"], "--part is '3/2'; wanted I/N with I from 1 to N, such as 1/8"),
        ("x/", ["--part", "1"], "--part is '1'; wanted I/N"),
        ("x/", ["--part-size", "0"], "--part-size"),
        ("x/", ["--dtype", "float64"], "--dtype"),
        ("x.csv", [], "x.csv ends in .csv; wanted .npz, .parquet, or a folder, which may have any name with / at its"),
        ("s3://bucket/x.parquet", [], "is one file on object storage; wanted a folder of parts there"),
        ("s3://bucket/x.npz", [], "is one file on object storage"),
        ("no/x.parquet", [], "cannot be written"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(
    out: str, options: list[str], message: str, jpeg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = call("embed", jpeg, "-o", out, *MODEL, *options)
    assert finished.returncode == 2 and message in finished.stderr
    assert os.listdir(tmp_path) == [jpeg.name]


def test_without_images_it_says_what_it_takes(tmp_path: Path) -> None:
    finished = call("embed", "-o", tmp_path / "out", *MODEL)
    assert finished.returncode == 2 and "no images are given; wanted files, folders" in finished.stderr


SLOW = """
import sys, time
from gmixer.cli import main
from gmixer.predictor import Predictor
outputs_of = Predictor.outputs_of
def slow(self, batch):
    time.sleep(0.15)
    return outputs_of(self, batch)
Predictor.outputs_of = slow
main()
"""


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_drops_the_part_in_flight_and_says_how_to_go_on(
    sent: signal.Signals, status: int, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["embed", str(pictures), "-o", str(out), *MODEL, "--part-size", "4"]
    process = subprocess.Popen([GMIXER[0], "-c", SLOW, *words], stderr=subprocess.PIPE, text=True)
    while not list(out.glob("part-*.parquet")):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(sent)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == status
    finished = len(list(out.glob("part-*.parquet")))
    assert 1 <= finished < 10
    wanted = rf"{out}: this run has finished (\d+) parts?\. The same command goes on from there\.\n"
    told = re.fullmatch(wanted, said)
    assert told and finished - 1 <= int(told[1]) <= finished, "the signal may come between a file and its record"
    names = [path.name for path in out.rglob("*") if path.is_file() and "locks" not in path.parts]
    assert not [name for name in names if "unfinished" in name]
    assert call(*words).returncode == 1
    call("embed", pictures, "-o", tmp_path / "whole", *MODEL, "--part-size", 4)
    assert files_of(out) == files_of(tmp_path / "whole")


def test_an_interrupted_file_is_not_written(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    words = ["embed", str(pictures), "-o", str(out), *MODEL]
    process = subprocess.Popen([GMIXER[0], "-c", SLOW, *words], stderr=subprocess.PIPE, text=True)
    while not os.listdir(tmp_path):
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130 and f"{out} is not written. A folder of parts keeps" in said
    assert os.listdir(tmp_path) == []


def test_a_full_disk_costs_the_part_in_flight_and_is_said(pictures: Path, tmp_path: Path) -> None:
    """A limit of the size of a file stands in for the disk: the second part is larger than the first."""
    many = tmp_path / "in"
    many.mkdir()
    for i in range(60):
        name = "00009.jpg" if i < 16 else "00000.jpg"  # the first part has no vectors
        (many / f"{i:02}.jpg").write_bytes((pictures / name).read_bytes())
    out = tmp_path / "out"
    words = ["embed", str(many), "-o", str(out), *MODEL, "--part-size", "16"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))

    finished = subprocess.run([*GMIXER, *words], capture_output=True, text=True, preexec_fn=limit, timeout=60)
    assert finished.returncode == 2, finished.stderr
    first, last = finished.stderr.splitlines()
    assert first == f"{out}: this run has finished 1 part. The same command goes on from there."
    assert last.startswith("gmixer: ") and last.endswith("part 1 cannot be written: File too large")
    assert sorted(path.name for path in out.glob("*") if path.is_file()) == ["part-000000.parquet"]
    assert run(*words).returncode == 1
    assert len(gmixer.bulk.open_stored(str(out)).table()) == 60


def test_a_terminal_shows_the_progress(pictures: Path, tmp_path: Path) -> None:
    shown, status = run_in_terminal("embed", pictures, "-o", tmp_path / "out", *MODEL, "--part-size", 16, columns=140)
    assert status == 1
    assert "40/40 images, " in shown and " a second, 4 failed, 2 parts made" in shown
    assert "40 rows in 3 parts; 4 of 40 could not be read" in shown
