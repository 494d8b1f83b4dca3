"""A run or an update that is killed between any two writes, and run again, leaves the same files as a run in one go."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmixer.bulk.locks import FOLDER, part_lock, run_lock
from gmixer.bulk.output import OutputFolder
from gmixer.bulk.place import LocalPlace, open_place
from gmixer.bulk.plan import parts_to_make
from gmixer.bulk.record import Record
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stored import open_stored
from gmixer.errors import InputError
from gmixer.options import Limits, Storage
from made_output import record, stamp
from s3 import S3

STAMP = stamp(3)


class Killed(BaseException):
    """In the place of SIGKILL: no `except Exception` sees it."""


def embed(
    out: str, listing: str, *, update: bool = False, storage: Storage | None = None, share: tuple[int, int] = (1, 1)
) -> list[str]:
    """listing: a letter is an entry, a digit behind it its version. Returns the keys that were read."""
    output = OutputFolder.open(out, STAMP, storage or Storage())
    read = []
    with output.run(update=update):
        for part in parts_to_make(entries(listing), output, update=update, share=share):
            with output.lock(part.number):
                records = list(part.records)
                read += [entry.key for entry in records]
                output.write(part, part.arranged(rows_of(records)))
    return read


def entries(listing: str) -> Iterator[Record]:
    for i, key in enumerate(listing):
        if not key.isdigit():
            version = listing[i + 1 : i + 2]
            yield record(key, int(version) if version.isdigit() else 0)


def rows_of(records: Iterable[Record]) -> pa.Table:
    rows = [
        {"path": r.key, "bytes": r.size, "version": r.version, "label": r.label, "vector": [float(r.version or 0)]}
        for r in records
    ]
    return pa.Table.from_pylist(rows, schema=schema_of(STAMP))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def vectors(out: str) -> list[tuple[str, float]]:
    table = open_stored(out).table(["path", "vector"])
    return sorted(zip(table["path"].to_pylist(), (v[0] for v in table["vector"].to_pylist()), strict=True))


@contextmanager
def killed_at(step: int) -> Iterator[list[str]]:
    """The process ends before its step-th change of the folder. Yields the changes so far."""
    steps: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("write", "create", "remove"):
            real = getattr(LocalPlace, name)

            def change(self: LocalPlace, file: str, *data: bytes, real=real) -> object:  # type: ignore[no-untyped-def]
                if len(steps) == step:
                    raise Killed
                steps.append(file)
                return real(self, file, *data)

            patch.setattr(LocalPlace, name, change)
        yield steps


SCENES = {
    "first run": ("", "abcdefgh", False),
    "second half": ("abcdefgh", "abcdefghi", True),  # part 2 stays, i is new
    "changed": ("abcdefgh", "ab1cdefgh1", True),
    "removed": ("abcdefgh", "adefh", True),
    "emptied": ("abcdefgh", "defgh", True),
    "all of it": ("abcdefghijkl", "ab1cdejklmnopqr", True),
}


@pytest.mark.parametrize(("before", "after", "update"), SCENES.values(), ids=SCENES)
def test_a_kill_before_any_write_changes_nothing_in_the_end(
    before: str, after: str, update: bool, tmp_path: Path
) -> None:
    old, whole, killed = (str(tmp_path / name) for name in ("old", "whole", "killed"))
    if before:
        embed(old, before)
    else:
        Path(old).mkdir()
    shutil.copytree(old, whole)
    with killed_at(1_000) as steps:
        read = embed(whole, after, update=update)
    assert sorted(vectors(whole)) == sorted((r.key, float(r.version or 0)) for r in entries(after))
    assert not any("locks" in name or name.rpartition("/")[2].startswith(".") for name in files(Path(whole)))
    for step in range(len(steps)):
        shutil.copytree(old, killed)
        with killed_at(step), pytest.raises(Killed):
            embed(killed, after, update=update)
        assert len(set(again := embed(killed, after, update=update))) == len(again) and {*again} <= {*read}
        assert files(Path(killed)) == files(Path(whole)), f"killed before {steps[step]}"
        shutil.rmtree(killed)


LISTING = st.dictionaries(st.sampled_from("abcdefghijkl"), st.integers(0, 1), max_size=12).map(
    lambda versions: "".join(f"{key}{version}" for key, version in versions.items())
)


@settings(max_examples=20, deadline=None)
@given(listings=st.lists(st.tuples(LISTING, st.lists(st.integers(0, 20), max_size=3)), min_size=2, max_size=4))
def test_updates_one_after_the_other(
    listings: list[tuple[str, list[int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each with its kills; the other folder has none."""
    folder = tmp_path_factory.mktemp("updates")
    whole, killed = folder / "whole", folder / "killed"
    for number, (listing, kills) in enumerate(listings):
        update = number > 0
        embed(str(whole), listing, update=update)
        for step in kills:
            with killed_at(step):
                try:
                    embed(str(killed), listing, update=update)
                except Killed:
                    continue
        embed(str(killed), listing, update=update)
        assert files(killed) == files(whole)
        if list(entries(listing)):
            assert vectors(str(whole)) == sorted((r.key, float(r.version or 0)) for r in entries(listing))
            assert embed(str(whole), listing) == []


def test_a_full_disk_costs_an_update_no_finished_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = str(tmp_path)
    embed(out, "abcdef")
    whole, before = LocalPlace.write, files(tmp_path)

    def full(self: LocalPlace, name: str, data: bytes) -> None:
        if name.endswith(".parquet"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(LocalPlace, "write", full)
        with pytest.raises(OSError, match="part 1 cannot be written: No space left"):
            embed(out, "abcde1f", update=True)
    now = files(tmp_path)
    assert all(now[name] == data for name, data in before.items() if name != "_gmixer/manifest.json")
    assert embed(out, "abcde1f", update=True) == ["e"]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [flip, cut, zero, Path.unlink])
@pytest.mark.parametrize("updated", [False, True], ids=["sliced", "updated"])
def test_damaged_parts_are_made_again_and_no_others(harm, updated: bool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = str(tmp_path)
    embed(out, "abcdefghi")
    listing = "acdefghijkl" if updated else "abcdefghi"
    if updated:
        embed(out, listing, update=True)
    before = files(tmp_path)
    for number in (0, 2):
        harm(tmp_path / f"part-00000{number}.parquet")
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("part-*1.parquet")}
    assert embed(out, listing) == list("acghi" if updated else "abcghi")
    assert files(tmp_path) == before
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_new_entries_beside_a_damaged_part_are_told_apart(tmp_path: Path) -> None:
    out = str(tmp_path)
    embed(out, "abcde")
    embed(out, "abcdf", update=True)
    flip(tmp_path / "part-000000.parquet")
    for listing in ("xabcdf", "axcdf"):
        with pytest.raises(InputError, match=r"part 0 of .* is damaged, and its entries cannot be told .* --update"):
            embed(out, listing)
    assert embed(out, "xabcdf", update=True) == list("xabc")
    assert vectors(out) == [(key, 0.0) for key in "abcdfx"]


def test_a_part_without_a_record_that_nobody_needs_is_removed(tmp_path: Path) -> None:
    """A run was killed after the file of its last part, and then the sources lost the images of that part."""
    out = str(tmp_path)
    embed(out, "abcdefg")
    (tmp_path / "_gmixer/parts/000002.json").unlink()
    embed(out, "abcdef")
    assert vectors(out) == [(key, 0.0) for key in "abcdef"]


def test_an_equal_part_is_not_written_again(tmp_path: Path) -> None:
    """Another process may have finished it since this one planned."""
    output = OutputFolder.open(str(tmp_path), STAMP, Storage())
    (part,) = [part.held(Limits()) for part in parts_to_make(entries("abc"), output)]
    embed(str(tmp_path), "abc")
    time = (tmp_path / "part-000000.parquet").stat().st_mtime_ns
    output.write(part, rows_of(part.records))
    assert (tmp_path / "part-000000.parquet").stat().st_mtime_ns == time


def test_facts_that_are_no_longer_stated_end_no_one_in_a_circle(tmp_path: Path) -> None:
    output = OutputFolder.open(str(tmp_path), STAMP, Storage())
    with_label = [r._replace(label="cat") for r in entries("ab")]
    for part in parts_to_make(with_label, output):
        output.write(part, rows_of(part.records))
    with pytest.raises(InputError, match="a has changed; pass --update"):
        embed(str(tmp_path), "ab")
    embed(str(tmp_path), "ab", update=True)
    assert embed(str(tmp_path), "ab") == []


@pytest.fixture(params=["local", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Storage]:
    if request.param == "local":
        return str(tmp_path), Storage()
    s3: S3 = request.getfixturevalue("s3")
    return s3.url("out"), Storage(options=s3.options)


def test_an_update_stands_alone(where: tuple[str, Storage]) -> None:
    out, storage = where
    embed(out, "abcd", storage=storage)
    place = open_place(out, storage)
    with run_lock(place, update=False), run_lock(place, update=False):
        with pytest.raises(InputError, match=rf"process {os.getpid()} on .* an update must be alone: wait"):
            embed(out, "abcde", update=True, storage=storage)
        assert embed(out, "abcd", storage=storage) == []
    with run_lock(place, update=True):
        with pytest.raises(InputError, match=rf"process {os.getpid()} on .* updates .*; wait for its end"):
            embed(out, "abcd", storage=storage)
        with pytest.raises(InputError, match=rf"process {os.getpid()} on .* wait"):
            embed(out, "abcde", update=True, storage=storage)
    assert embed(out, "abcde", update=True, storage=storage) == ["e"]
    assert place.names(FOLDER) == []


def test_locks_of_dead_runs_are_removed(where: tuple[str, Storage]) -> None:
    out, storage = where
    place = open_place(out, storage)
    place.write(f"{FOLDER}/run-0a{'.0' if '://' in out else ''}", b'{"host": "h", "pid": 1, "expires": 5}')
    embed(out, "abcd", storage=storage)
    assert place.names(FOLDER) == []


def test_a_lease_of_a_dead_process_of_this_machine_is_free_at_once(s3: S3) -> None:
    place = open_place(s3.url("out"), Storage(options=s3.options))
    program = (
        "import sys; from gmixer.bulk.locks import _me; sys.stdout.buffer.write(_me(100.0)); sys.stdout.flush(); "
        "sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lease = os.read(process.stdout.fileno(), 1_000)
        place.write(f"{FOLDER}/000003.0", lease)
        with pytest.raises(InputError, match=r"if that process is dead, its lease ends in \d+ s"), part_lock(place, 3):
            pass
        process.kill()
    with part_lock(place, 3):
        pass
    assert place.names(FOLDER) == []
    elsewhere = json.loads(lease) | {"machine": "another"}
    place.write(f"{FOLDER}/000003.0", json.dumps(elsewhere).encode())
    with pytest.raises(InputError, match="is being made"), part_lock(place, 3):
        pass


def test_processes_that_share_an_output_make_what_one_makes(tmp_path: Path) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    listing = "abcdefghijklmnopqrstuvw"
    embed(str(one), listing)
    read = [key for turn in (2, 3, 1) for key in embed(str(three), listing, share=(turn, 3))]
    assert sorted(read) == list(listing)
    assert files(one) == files(three)


KILLED = """
import os, signal, sys
from gmixer.bulk.output import OutputFolder
from gmixer.bulk.plan import parts_to_make
from test_interrupted import STAMP, Storage, entries, rows_of
out, update = OutputFolder.open(sys.argv[1], STAMP, Storage()), sys.argv[2] == "True"
with out.run(update=update):
    for part in parts_to_make(entries(sys.argv[3]), out, update=update):
        with out.lock(part.number):
            out.write(part, part.arranged(rows_of(part.records)))
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("update", [False, True])
def test_no_lock_of_a_process_stays_that_was_killed_after_the_record(update: bool, tmp_path: Path) -> None:
    """The part is finished, so that no run takes its lock again."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for out in (whole, killed) if update else ():
        embed(str(out), "abcd")
    embed(str(whole), "abcdefgh", update=update)
    tests = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": tests}
    child = subprocess.run([sys.executable, "-c", KILLED, killed, str(update), "abcdefgh"], env=environment)
    assert child.returncode == -signal.SIGKILL
    assert len([name for name in files(killed) if "locks" in name]) == 2
    embed(str(killed), "abcdefgh", update=update)
    assert files(killed) == files(whole)


def test_a_file_that_the_system_refuses_to_grow_costs_the_part(tmp_path: Path) -> None:
    """A real refusal in the middle of a write: a limit on the size of files, as a quota is."""
    out = str(tmp_path)
    embed(out, "abc")
    before, limits = files(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"part 1 cannot be written: File too large"):
            embed(out, "abcdef")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    now = {name: data for name, data in files(tmp_path).items() if "locks" not in name}
    assert now == before
    assert embed(out, "abcdef") == list("def")
