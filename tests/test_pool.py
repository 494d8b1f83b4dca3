"""The thread pool of the core, on its own: built and run as a small C++ program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NATIVE = HERE.parent / "native"


@pytest.fixture(scope="module")
def stress(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("pool") / "stress"
    sources = [HERE / "native" / "pool_stress.cpp", NATIVE / "threads" / "pool.cpp"]
    compiler = os.environ.get("CXX", "c++")
    subprocess.run([compiler, "-std=c++20", "-O2", "-pthread", f"-I{NATIVE}", *sources, "-o", program], check=True)
    return program


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_item_runs_exactly_once(threads: int, stress: Path) -> None:
    """More threads than processors, so that workers wake up late: what used to let them take the next job's items."""
    run = subprocess.run([stress, str(threads), "4000"], capture_output=True, text=True, check=True, timeout=60)
    jobs, wrong = map(int, run.stdout.split())
    assert jobs > 1000
    assert wrong == 0
