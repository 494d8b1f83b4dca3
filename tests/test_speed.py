"""Speed, as ratios only: absolute times mean nothing on a shared machine."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gmixer.isa import available_isas

ROOT = Path(__file__).parents[1]
SLACK = 1.25  # for machines that do other things at the same time


@pytest.mark.slow
@pytest.mark.skipif(available_isas() == ["scalar"], reason="the scalar kernels are for reference, not for speed")
def test_forward_keeps_up_with_onnx_runtime() -> None:
    """Not slower than ONNX Runtime, with slack, at batch 1 and 16. Half of the blocks need half of the time.

    docs/performance.md has the ratios of a quiet machine.
    """
    command = [sys.executable, "-m", "benchmarks.peers", "--only", "forward", "--against", "onnxruntime"]
    quick = ["--model", "gmixer_12_224", "--rounds", "2", "--seconds", "0.5", "--json"]
    run = subprocess.run(command + quick, check=True, capture_output=True, text=True, cwd=ROOT)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    theirs = [row for row in rows if row.get("contestant") == "onnxruntime"]
    assert [row["what"].split(", ")[1] for row in theirs] == ["batch 1", "batch 16"]
    for row in theirs:
        assert row["times_first"]["median"] >= 1 / SLACK, row


@pytest.mark.slow
@pytest.mark.parametrize("first", ["", "import torch"], ids=["alone", "with torch"])
def test_eight_threads_lose_nothing_to_each_other(first: str) -> None:
    """Eight callers share one engine. They need no more time than one caller that makes all the calls, and no more
    work than one caller with one large batch. (Times are not compared with the large batch: on a busy machine small
    batches wait longer.) One good round of eight is enough, because other programs only add time.
    """
    program = f"""
        {first}
        import json, threading, time
        import numpy as np
        import gmixer
        engine = gmixer.load("gmixer_8_64").runtime
        x = np.random.default_rng(0).standard_normal((32, 3, 64, 64), np.float32)

        def seconds(callers, calls, batch):
            begin = threading.Barrier(callers + 1)
            def call():
                begin.wait()
                for _ in range(calls):
                    engine.forward(x[:batch])
            threads = [threading.Thread(target=call) for _ in range(callers)]
            for thread in threads:
                thread.start()
            begin.wait()
            start = time.perf_counter(), time.process_time()
            for thread in threads:
                thread.join()
            return np.array([time.perf_counter(), time.process_time()]) - start

        for batch in (1, 2, 4):
            time_ratio = work_ratio = np.inf
            for _ in range(8):
                eight, one, together = seconds(8, 2, batch), seconds(1, 16, batch), seconds(1, 2, 8 * batch)
                time_ratio = min(time_ratio, eight[0] / one[0])
                work_ratio = min(work_ratio, eight[1] / together[1])
                if max(time_ratio, work_ratio) <= {SLACK}:
                    break
            print(json.dumps([batch, time_ratio, work_ratio]))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert [batch for batch, _, _ in rows] == [1, 2, 4]
    for batch, time, work in rows:
        assert time <= SLACK, f"8 threads with batch {batch} take {time:.2f} times as long as one that calls as often"
        assert work <= SLACK, f"8 threads with batch {batch} work {work:.2f} times as much as one with {8 * batch}"
