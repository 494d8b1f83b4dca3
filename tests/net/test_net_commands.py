"""JSON, CSV, npz and validate's outputs of a fixed folder are as recorded, and so are the exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from net_probes import COMMANDS, differences, exp_probe, make_folders, of_command
from record import recorded

RECORD = recorded("commands")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("commands")
    make_folders(root)
    return root


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_writes_what_was_recorded(name: str, root: Path) -> None:
    exact = exp_probe() == RECORD["exp"]  # else this processor's exp gives probabilities other last bits
    changed = differences(RECORD["commands"][name], of_command(name, root), exact=exact)
    assert not changed, "\n".join(changed)


def test_every_recorded_command_is_run() -> None:
    assert set(RECORD["commands"]) == set(COMMANDS)
