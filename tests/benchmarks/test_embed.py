"""benchmarks.embed: gmixer embed against the model alone, from a late S3, and against a script with timm."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import embed_contest, tree_launcher
from benchmarks.contest import ContestRow, Note
from benchmarks.embed_contest import local_steps, s3_steps, timm_steps
from benchmarks.slow_s3 import cpu_s, slow_s3
from gmixer.bench.row import Step
from gmixer.bench.target import Target, open_target
from gmixer.errors import EngineError
from gmixer.options import Native

ONE = Native(threads=1)


@pytest.fixture
def target() -> Iterator[Target]:
    with open_target("gmixer_8_64.distill_in1k") as opened:
        yield opened


def rows_of(steps: Sequence[Step]) -> tuple[dict[str, ContestRow], list[str]]:
    rows = [row for step in steps for row in step.run()]
    contestants = {row.contestant: row for row in rows if isinstance(row, ContestRow)}
    return contestants, [row.text for row in rows if isinstance(row, Note)]


def test_embed_runs_beside_the_model_alone(target: Target) -> None:
    contestants, notes = rows_of(local_steps(target, target.workload(native=ONE), count=32, rounds=1))
    assert list(contestants) == ["gmixer", "model"] and "of the model's own rate" in notes[0]
    assert contestants["gmixer"].ms.median > 0 and (contestants["gmixer"].peak_mib or 0) > 50


def test_from_a_late_s3_the_share_of_the_server_is_told(target: Target) -> None:
    with slow_s3(5) as server:
        contestants, notes = rows_of(s3_steps(target, target.workload(native=ONE), 32, rounds=1, server=server))
    assert list(contestants) == ["gmixer", "model"]
    assert re.search("the server took .* of the processors meanwhile", notes[0])


def test_a_lost_image_is_no_measurement(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """One photo of the two folders is damaged."""
    steps = local_steps(target, target.workload(native=ONE), count=32, rounds=1)
    (target.scratch / "local" / "1" / "000003.jpg").write_bytes(b"no image")
    with pytest.raises(EngineError, match=r"local/1 became 15 vectors; wanted 16"):
        rows_of(steps)


def test_the_server_pauses_before_each_answer_and_ends() -> None:
    with slow_s3(30) as server:
        files = fsspec.filesystem("s3", **server.options, skip_instance_cache=True)
        files.mkdir("bucket")
        files.pipe("bucket/a", b"content")
        begin = time.perf_counter()
        assert files.cat_file("bucket/a") == b"content"
        assert time.perf_counter() - begin > 0.03 and cpu_s(server.pid) > 0
    with pytest.raises(OSError, match=str(server.pid)):
        cpu_s(server.pid)


def test_the_memory_of_children_counts() -> None:
    """The child holds 200 MB for a second; its parent holds nothing."""
    child = "import time; x = bytearray(200_000_000); time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print(7)"
    launch = [sys.executable, "-I", "-S", tree_launcher.__file__, sys.executable, "-c", parent]
    said = json.loads(subprocess.run(launch, capture_output=True, text=True, check=True).stdout)
    assert said["said"] == "7" and said["status"] == 0 and 200e6 < said["peak_bytes"] < 260e6
    assert 1 < said["seconds"] < 20


@pytest.mark.slow
def test_timms_script_writes_the_same_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_contest, "WORKERS", (0,))
    with open_target("gmixer_24_224") as target:
        contestants, notes = rows_of(timm_steps(target, target.workload(native=ONE), count=3, rounds=1))
        ours, theirs = (pq.read_table(target.scratch / f"{key}.parquet") for key in ("gmixer", "timm-0"))
    assert list(contestants) == ["gmixer", "timm-0"]
    assert [Path(path).name for path in ours["path"].to_pylist()] == [Path(p).name for p in theirs["path"].to_pylist()]
    ours_NC, theirs_NC = (np.array(table["vector"].to_pylist()) for table in (ours, theirs))
    np.testing.assert_allclose(ours_NC, theirs_NC, atol=1e-3 * np.abs(theirs_NC).max())
    assert "the best peer is timm, 0 workers" in notes[0] and "The peak memory of gmixer is" in notes[1]
