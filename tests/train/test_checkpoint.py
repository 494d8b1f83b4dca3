"""checkpoint.py: the state on disk survives a kill and a full disk."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from gmixer.errors import InputError
from gmixer.train import checkpoint
from gmixer.train.checkpoint import load_checkpoint, save_checkpoint

OLD = {"step": 1, "weights": torch.arange(1000.0)}
NEW = {"step": 2, "weights": torch.arange(100_000.0)}


@contextmanager
def no_file_above(n_bytes: int) -> Iterator[None]:
    """As on a disk that is full: writing fails. Python ignores the signal that comes with it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "made" / "last.pt"
    assert load_checkpoint(path) is None
    save_checkpoint(path, OLD)
    save_checkpoint(path, NEW)
    state = load_checkpoint(path)
    assert state is not None and state["step"] == 2 and torch.equal(state["weights"], NEW["weights"])
    assert os.listdir(path.parent) == ["last.pt"]


@pytest.mark.parametrize("before", ["fsync", "replace"])
def test_a_kill_before_the_new_one_is_whole_leaves_the_old_one(
    before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, OLD)
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(checkpoint.os, before, lambda *args: os.kill(os.getpid(), signal.SIGKILL))
        save_checkpoint(path, NEW)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert sorted(os.listdir(tmp_path)) == [".last.pt.unfinished", "last.pt"]
    state = load_checkpoint(path)
    assert state is not None and state["step"] == 1
    save_checkpoint(path, NEW)  # over what the kill left
    state = load_checkpoint(path)
    assert state is not None and state["step"] == 2 and os.listdir(tmp_path) == ["last.pt"]


@pytest.mark.parametrize("n_bytes", [0, 100, 50_000, 399_000])
def test_a_full_disk_is_an_oserror_and_leaves_the_old_one(n_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, OLD)
    with no_file_above(n_bytes), pytest.raises(OSError):
        save_checkpoint(path, NEW)
    assert os.listdir(tmp_path) == ["last.pt"]
    state = load_checkpoint(path)
    assert state is not None and state["step"] == 1


@pytest.mark.parametrize("damage", ["empty", "half", "text", "other"])
def test_a_file_that_is_no_checkpoint_is_named(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, NEW)
    data = path.read_bytes()
    if damage == "other":
        torch.save({"state_dict": {}}, path)
    else:
        path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "text": b"hello"}[damage])
    with pytest.raises(InputError) as error:
        load_checkpoint(path)
    assert f"{path} is no checkpoint of a run" in str(error.value) and "move it away" in str(error.value)
