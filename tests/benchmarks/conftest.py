"""A model exported once, for the tests that compare networks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import networks
from gmixer.bench.workload import Workload
from gmixer.isa import available_isas
from gmixer.options import Native


@pytest.fixture(scope="session")
def workload() -> Workload:
    """The embedded model. The batch is odd, so it cannot be split evenly."""
    native = Native(threads=1, isa=available_isas()[0])
    return Workload("gmixer_8_64.distill_in1k", None, batch=3, native=native, seconds=0.05)


@pytest.fixture(scope="session")
def prepared(workload: Workload, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of networks.prepare."""
    folder = tmp_path_factory.mktemp("prepared")
    networks.prepare(asdict(workload), str(folder))
    return folder
