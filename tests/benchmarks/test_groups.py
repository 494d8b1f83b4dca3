"""The groups of contests besides the forward pass: images, photos, start."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import gmixer
from benchmarks import folder_contest, image_contest, launch_contest
from benchmarks.contest import ContestRow, Note
from benchmarks.folder_contest import folder_steps
from benchmarks.launch_contest import launch_steps
from gmixer.bench.jpegs import drawn_jpeg
from gmixer.bench.row import Step
from gmixer.bench.target import Target, open_target
from gmixer.errors import EngineError, InputError
from gmixer.options import Native

MODEL = "gmixer_8_64.distill_in1k"
INT8 = Native(threads=1, precision="int8")


@pytest.fixture
def target() -> Iterator[Target]:
    with open_target(MODEL) as opened:
        yield opened


def labels_of(steps: Sequence[Step]) -> list[str]:
    return [step.what for step in steps]


def test_a_start_is_timed_from_outside(target: Target, prepared: Path) -> None:
    """Each process runs once to fill the disk cache, and once to count. timm does not run, as it has no gmixer_8_64."""
    exported = replace(target, scratch=prepared)
    rows = [row for step in launch_steps(exported, exported.workload(), rounds=1) for row in step.run()]
    contestants = [(row.contestant, row.peak_mib) for row in rows if isinstance(row, ContestRow)]
    assert [contestant for contestant, _ in contestants] == ["gmixer", "onnxruntime", "gmixer", "import", "python"]
    peaks_mib = dict(contestants)
    assert peaks_mib["python"] < 30 < peaks_mib["gmixer"] < 150, "not the peak of the process that launches them"
    notes = [row.text for row in rows if isinstance(row, Note)]
    # One round on a busy machine: bare Python may be the slower one.
    assert re.fullmatch(r"import gmixer takes -?[\d.]+ ms beyond bare Python \(.*, n = 1\)", notes[-1])


def test_a_converted_folder_starts_against_its_original(target: Target) -> None:
    """The embedded model counts once, although it is the target too."""
    rows = [row for step in launch_steps(target, target.workload(native=INT8), rounds=1) for row in step.run()]
    contestants = {row.contestant: row for row in rows if isinstance(row, ContestRow)}
    assert list(contestants) == ["gmixer", "gmixer-fp32"] and len(rows) == 2
    assert contestants["gmixer"].contest.what == f"gmixer classify, {MODEL}, int8"
    stored = gmixer.load(target.scratch / "converted-0")
    assert stored.runtime.precision == "int8"


def test_a_command_that_fails_has_no_time() -> None:
    with pytest.raises(EngineError, match="a mistake"):
        launch_contest._launch([sys.executable, "-c", "raise ZeroDivisionError('a mistake')"])


def test_timm_runs_if_it_knows_the_model() -> None:
    with open_target("gmixer_12_224") as target:
        assert any("timm script" in what for what in labels_of(launch_steps(target, target.workload(), rounds=1)))


def test_photos_go_to_timm_with_each_number_of_workers(target: Target) -> None:
    workload = target.workload()
    steps = folder_steps(target, workload, folder=None, count=20, rounds=1)
    contestants = [what.partition(": ")[2] for what in labels_of(steps)]
    timm = ["timm, 0 workers", "timm, 1 worker", "timm, 2 workers"]
    assert contestants == ["gmixer, gmixer, model alone", *timm, "summing up"]
    assert len(list((target.scratch / "photos" / "all").iterdir())) == 20
    seconds = folder_contest.measure_timm(asdict(workload), str(target.scratch / "photos"), workers=0)
    assert set(seconds) == {"timm-0-workers"} and 0 < seconds["timm-0-workers"] < 100
    assert folder_contest._rate_remark({"gmixer": [10, 20], "gmixer-model": [9, 19]}).endswith(
        "reaches 92 % (90 % … 95 %, n = 2) of the model's own rate"
    )


def test_photos_in_int8_are_gmixers_alone(target: Target) -> None:
    steps = folder_steps(target, target.workload(native=INT8), folder=None, count=16, rounds=1)
    assert labels_of(steps) == [
        "16 JPEGs, int8, round 1 of 1: gmixer, gmixer, model alone",
        "16 JPEGs, int8: summing up",
    ]


def test_a_tensor_with_other_bits_than_timms_has_no_time(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.jpg").write_bytes(drawn_jpeg(100, 80, 0))
    arguments = (asdict(target.workload(seconds=0.01)), str(tmp_path / "one.jpg"))
    assert set(image_contest.measure(*arguments)) == {"gmixer", "pil"}
    monkeypatch.setattr("gmixer.data.Preprocess.__call__", lambda *_: np.zeros((3, 64, 64), np.float32))
    with pytest.raises(EngineError, match="not bit for bit"):
        image_contest.measure(*arguments)


def test_the_users_own_photos(tmp_path: Path) -> None:
    (tmp_path / "own" / "deep").mkdir(parents=True)
    (tmp_path / "own" / "deep" / "a.JPG").write_bytes(drawn_jpeg(60, 50, 1))
    (tmp_path / "own" / "notes.txt").write_text("no image")
    (tmp_path / "linked").mkdir()
    assert folder_contest._link(tmp_path / "own", tmp_path / "linked", 10) == 1
    assert [path.name for path in (tmp_path / "linked").iterdir()] == ["000000.jpg"]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="holds no"):
        folder_contest._link(tmp_path / "none", tmp_path / "linked", 10)


def test_every_photo_counts_and_a_bad_photo_ends_the_contest(tmp_path: Path, target: Target) -> None:
    for number in range(18):
        (tmp_path / f"{number:02}.jpg").write_bytes(drawn_jpeg(60, 50, number % 3))
    paths = sorted(map(str, tmp_path.iterdir()))
    arguments = (asdict(target.workload()), paths)
    seconds = folder_contest.measure_ours(*arguments)
    assert set(seconds) == {"gmixer", "gmixer-model"} and min(seconds.values()) > 0
    assert list(folder_contest._batches(18)) == [16, 2]
    Path(paths[-1]).write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match=r"17\.jpg.*leave it out"):
        folder_contest.measure_ours(*arguments)
