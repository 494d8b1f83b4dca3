"""run_lock.py: one run at a time in a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gmixer.errors import InputError
from gmixer.train.run_lock import alone_in

HOLDER = """
import os, sys, time
from pathlib import Path
from gmixer.train.run_lock import alone_in
with alone_in(Path(sys.argv[1])):
    if os.fork() == 0:  # a worker that outlives its run
        print("held", flush=True)  # by the worker: it has now let go of the lock
    time.sleep(30)
"""


def test_a_second_run_is_refused_and_the_next_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    with alone_in(folder):
        with (
            pytest.raises(InputError, match=r"runs/a is the folder of a run that has not ended; .*\(-o\)"),
            alone_in(folder),
        ):
            pytest.fail("the block ran")
        with alone_in(tmp_path / "runs" / "b"):
            pass
    with alone_in(folder):
        assert list(folder.iterdir()) == [], "the lock is no file"


def test_a_file_is_no_folder_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(InputError, match=r"is a file, .*; wanted a folder for the run \(-o\)"), alone_in(folder):
            pytest.fail("the block ran")


def test_an_error_of_the_run_ends_the_lock(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), alone_in(tmp_path):
        raise BlockingIOError
    with alone_in(tmp_path):
        pass


def test_a_killed_run_leaves_no_lock_although_its_worker_lives(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, start_new_session=True
    ) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
            with pytest.raises(InputError), alone_in(tmp_path):
                pytest.fail("the block ran")
            holder.kill()
            os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
            with alone_in(tmp_path):
                pass
        finally:
            os.killpg(holder.pid, signal.SIGKILL)


def test_a_file_system_without_locks_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with alone_in(tmp_path), alone_in(tmp_path):
        pass
