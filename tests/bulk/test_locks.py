"""locks.py: one process at a time makes a part, with flock and with leases on an S3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gmixer.bulk.locks import FOLDER, part_lock, remove_dead_locks, run_lock
from gmixer.bulk.place import Place, RemotePlace, open_place
from gmixer.errors import InputError
from gmixer.options import Storage
from s3 import S3

HOLDER = """
import json, sys, time
from gmixer.bulk.locks import part_lock
from gmixer.bulk.place import open_place
from gmixer.options import Storage
name, options, lease_s = sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3])
with part_lock(open_place(name, Storage(options=options)), 3, lease_s=lease_s):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "local":
        return open_place(str(tmp_path / "out"), Storage())
    s3: S3 = request.getfixturevalue("s3")
    return open_place(s3.url("out"), Storage(options=s3.options))


@pytest.fixture
def hold(request: pytest.FixtureRequest) -> Iterator[Callable[[Place, float], subprocess.Popen[str]]]:
    """Starts a process that holds part 3."""
    started: list[subprocess.Popen[str]] = []

    def start(place: Place, lease_s: float) -> subprocess.Popen[str]:
        options = request.getfixturevalue("s3").options if "://" in place.name else {}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, place.name, json.dumps(options), str(lease_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_process_is_refused_until_the_first_ends(
    place: Place, hold: Callable[[Place, float], subprocess.Popen[str]]
) -> None:
    holder = hold(place, 100.0)
    with (
        pytest.raises(InputError, match=rf"part 3 of .* is being made by process {holder.pid} on .*--part 1/2 here"),
        part_lock(place, 3),
    ):
        pass
    with part_lock(place, 2):  # another part
        pass
    holder.communicate("")
    with part_lock(place, 3):
        pass
    assert place.names(FOLDER) == []


def test_a_part_of_a_killed_process_of_this_machine_is_free_at_once(
    place: Place, hold: Callable[[Place, float], subprocess.Popen[str]]
) -> None:
    holder = hold(place, 100.0)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with part_lock(place, 3):
        assert len(place.names(FOLDER)) >= 1
    assert place.names(FOLDER) == []


def test_a_part_of_a_killed_process_of_another_machine_is_free_when_its_lease_ends(s3: S3) -> None:
    place = open_place(s3.url("out"), Storage(options=s3.options))
    lease = {"host": "other", "pid": 1, "machine": "other", "started": "1"}
    place.write(f"{FOLDER}/000003.0", json.dumps(lease | {"expires": time.time() + 50}).encode())
    with (
        pytest.raises(InputError, match=r"process 1 on other \(if .* dead, its lease ends in \d+ s\)"),
        part_lock(place, 3),
    ):
        pass
    place.write(f"{FOLDER}/000003.0", json.dumps(lease | {"expires": time.time() - 1}).encode())
    with part_lock(place, 3):
        pass
    assert s3.keys() == []


def test_of_several_only_one_takes_over_an_expired_lease(s3: S3) -> None:
    for turn in range(3):
        s3.put(f"out/{FOLDER}/000003.{turn}", b'{"host": "h", "pid": 1, "expires": 5}')
    taken, refused = [], []
    ready, tried = threading.Barrier(5), threading.Barrier(5)

    def take(number: int) -> None:
        place = open_place(s3.url("out"), Storage(options=s3.options))
        ready.wait()
        try:
            with part_lock(place, 3):
                taken.append(number)
                tried.wait(20)
        except InputError:
            refused.append(number)
            tried.wait(20)

    threads = [threading.Thread(target=take, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1 and len(refused) == 4
    assert s3.keys() == []


def test_a_holder_renews_its_lease(s3: S3) -> None:
    place = open_place(s3.url("out"), Storage(options=s3.options))
    with part_lock(place, 3, lease_s=0.8):
        time.sleep(1.2)
        with pytest.raises(InputError, match="is being made"), part_lock(place, 3):
            pass
    assert s3.keys() == []


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"expires": null}', b"[1]"])
def test_a_damaged_lease_counts_as_expired(content: bytes, s3: S3) -> None:
    s3.put(f"out/{FOLDER}/000003.0", content)
    with part_lock(open_place(s3.url("out"), Storage(options=s3.options)), 3):
        pass
    assert s3.keys() == []


def test_the_lock_ends_with_an_error_inside(place: Place) -> None:
    with pytest.raises(KeyError), part_lock(place, 3):
        raise KeyError
    with part_lock(place, 3):
        pass
    assert place.names(FOLDER) == []


def test_a_lock_in_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "_gmixer").touch()
    with pytest.raises(OSError), part_lock(open_place(str(tmp_path), Storage()), 3):
        pass


def test_many_who_wait_for_a_part_get_it_one_after_the_other(tmp_path: Path) -> None:
    """The file of the lock is deleted each time: nobody may hold a deleted one."""
    inside, most, done = 0, 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, most, done
        place = open_place(str(tmp_path), Storage())
        end = time.monotonic() + 20
        for _ in range(20):
            while time.monotonic() < end:
                try:
                    with part_lock(place, 3):
                        with counting:
                            inside += 1
                            most = max(most, inside)
                        os.sched_yield()
                        with counting:
                            inside -= 1
                            done += 1
                    break
                except InputError:
                    continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (1, 80)


def test_an_upload_whose_answer_was_lost_is_no_other_process(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library asks again, and the server says that the file is there."""
    create = RemotePlace.create
    monkeypatch.setattr(RemotePlace, "create", lambda *given: create(*given) and create(*given))
    with part_lock(open_place(s3.url("out"), Storage(options=s3.options)), 3):
        assert s3.keys() == [f"out/{FOLDER}/000003.0"]
    assert s3.keys() == []


def test_only_dead_locks_that_nobody_takes_again_are_removed(
    place: Place, hold: Callable[[Place, float], subprocess.Popen[str]]
) -> None:
    end = ".0" if "://" in place.name else ""
    for name in ("run-0a", "update", "000001", "000002"):
        place.write(f"{FOLDER}/{name}{end}", b'{"host": "h", "pid": 1, "expires": 5}')
    hold(place, 100.0)
    with run_lock(place, update=False):
        before = place.names(FOLDER)
        remove_dead_locks(place, {1, 3})
        left = place.names(FOLDER)
    assert {*before} - {*left} == {f"{name}{end}" for name in ("run-0a", "update", "000001")}
    assert [name for name in left if not name.startswith("run-")] == [f"000002{end}", f"000003{end}"]


def test_a_lock_that_is_held_for_a_moment_is_waited_for(place: Place) -> None:
    """A run that ends takes a dead lock for a moment, to remove it."""
    inside = threading.Event()

    def take() -> None:
        with part_lock(place, 3):
            inside.set()
            time.sleep(0.15)

    thread = threading.Thread(target=take)
    thread.start()
    inside.wait(20)
    with part_lock(place, 3):
        thread.join()
    assert place.names(FOLDER) == []
