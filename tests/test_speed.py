"""Speed, as ratios only: absolute times mean nothing on a shared machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gmixer.engine import available_isas

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "forward.py"
SLACK = 1.25  # for machines that do other things at the same time


@pytest.mark.slow
@pytest.mark.skipif(available_isas() == ["scalar"], reason="the scalar kernels are for reference, not for speed")
def test_forward_keeps_up_with_onnx_runtime() -> None:
    """At most 1.3 times ONNX Runtime's time, with slack, at batch 1 and 16. (It takes less: README.)"""
    command = [sys.executable, BENCHMARK, "--json", "--rounds", "3", "--batch", "1", "16", "--against", "onnxruntime"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for row in (row for row in rows if row["contestant"] == "onnxruntime"):
        assert 1 / row["times_gmixer"] <= 1.3 * SLACK, row
