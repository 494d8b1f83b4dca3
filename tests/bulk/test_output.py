"""output.py: the folder of parts, on this machine and on an S3 over HTTP."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from gmixer.bulk.fingerprint import Facts
from gmixer.bulk.output import MANIFEST, OutputFolder, part_name
from gmixer.bulk.part import Part
from gmixer.bulk.place import LocalPlace, open_place
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import Stamp
from gmixer.errors import InputError
from gmixer.options import Storage
from made_output import stamp
from s3 import S3

STAMP = stamp(3)
Open = Callable[..., OutputFolder]
ROWS = pa.Table.from_pylist(
    [{"path": "a", "vector": [1.0]}, {"path": "b", "error_kind": "corrupt"}, {"path": "c", "error_kind": "corrupt"}],
    schema=schema_of(STAMP),
)


@pytest.fixture(params=["local", "s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same folder each time."""
    if request.param == "local":
        name, storage = str(tmp_path / "out"), Storage()
    else:
        s3: S3 = request.getfixturevalue("s3")
        name, storage = s3.url("out"), Storage(options=s3.options)

    def open_(of: Stamp = STAMP) -> OutputFolder:
        return OutputFolder.open(name, of, storage)

    return open_


def part(number: int) -> Part:
    return Part(number, [], [Facts(f"mark {number}", None, None, None)])


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_part_is_finished_once_it_is_written(opened: Open) -> None:
    output = opened()
    assert output.numbers() == [] and output.finished(2) is None
    for number in (2, 0, 1_000_000):
        output.write(part(number), ROWS)
    for again in (output, opened()):
        assert again.numbers() == [0, 2, 1_000_000]
        record = again.finished(2)
        assert record is not None and record.fingerprint == part(2).fingerprint
        assert (record.rows, record.failures) == (3, {"corrupt": 2})
        assert again.read(2).equals(ROWS) and again.read(2, ["path"]).column_names == ["path"]
        assert again.damage(2) is None and again.finished(1) is None
    assert part_name(1_000_000) == "part-1000000.parquet"


def test_a_part_on_object_storage_is_not_read_to_be_compared(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(options=s3.options)
    for number in (0, 1):
        OutputFolder.open(s3.url("out"), STAMP, storage).write(part(number), ROWS)
    whole = s3.get(f"out/{part_name(1)}")
    s3.put(f"out/{part_name(1)}", bytes([whole[0] ^ 1]) + whole[1:])  # as long as before
    output = OutputFolder.open(s3.url("out"), STAMP, storage)
    read: list[str] = []
    place = output._place
    reads = place.read
    monkeypatch.setattr(place, "read", lambda name: (read.append(name), reads(name))[1])
    assert output.damage(0) is None
    assert output.damage(1) == "its file has other bytes than were written"
    assert [name for name in read if name.endswith(".parquet")] == [part_name(1)]


def test_the_same_parts_have_the_same_bytes(tmp_path: Path) -> None:
    for name, numbers in (("a", (0, 1)), ("b", (1, 0, 1))):
        output = OutputFolder.open(str(tmp_path / name), STAMP, Storage())
        for number in numbers:
            output.write(part(number), ROWS)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    for name in files(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_stamp_is_refused_with_both(opened: Open) -> None:
    opened()
    with pytest.raises(InputError, match="precision fp32, not int8"):
        opened(replace(STAMP, precision="int8"))
    with pytest.raises(InputError, match=r"part_size 3, not 4.*wanted the same model and options, or another output"):
        opened(stamp(4))
    with pytest.raises(InputError, match=r"rows\.normalize False, not True"):
        opened(replace(STAMP, rows={**STAMP.rows, "normalize": True}))


def test_other_files_are_left_alone(opened: Open) -> None:
    output = opened()
    place = output._place
    place.remove(MANIFEST)
    place.write("thesis.doc", b"years of work")
    with pytest.raises(InputError, match=r"holds thesis\.doc and no embeddings of gmixer; wanted an empty"):
        opened()
    assert place.read(MANIFEST) is None and place.read("thesis.doc") == b"years of work"
    place.remove("thesis.doc")
    place.write(".DS_Store", b"x")
    opened()


@pytest.mark.parametrize("data", [b"", b"{", b'{"stamp": 7}'])
def test_a_damaged_manifest_is_refused(data: bytes, opened: Open) -> None:
    opened()._place.write(MANIFEST, data)
    with pytest.raises(InputError, match=r"out/_gmixer/manifest\.json .*wanted"):
        opened()


def test_of_two_creators_with_two_stamps_one_is_refused(opened: Open) -> None:
    made, refused = [], []
    ready = threading.Barrier(4)

    def create(size: int) -> None:
        ready.wait()
        try:
            made.append(opened(stamp(size)).stamp.part_size)
        except InputError:
            refused.append(size)

    threads = [threading.Thread(target=create, args=(size,)) for size in (3, 4, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made in ([3, 3], [4, 4]) and len(refused) == 2


def test_damage_is_found(opened: Open) -> None:
    output = opened()
    for number in range(5):
        output.write(part(number), ROWS)
    place = output._place
    data = place.read(part_name(0))
    assert data is not None
    place.write(part_name(0), data[:-1])
    place.write(part_name(1), data[:200] + bytes([data[200] ^ 1]) + data[201:])
    place.remove(part_name(2))
    place.write("_gmixer/parts/000003.json", b"{")
    found = [opened().damage(number) for number in range(5)]
    assert found == [
        f"its file holds {len(data) - 1:,} bytes, not {len(data):,}",
        "its file has other bytes than were written",
        "its file is missing",
        "its record is damaged",
        None,
    ]
    assert opened().finished(3) is None
    for number in range(4):
        output.write(part(number), ROWS)
    assert [opened().damage(number) for number in range(5)] == [None] * 5


def test_slicing_stops_for_good(opened: Open) -> None:
    output = opened()
    assert output.is_sliced
    output.stop_slicing()
    output.stop_slicing()
    assert not output.is_sliced and not opened().is_sliced


def test_a_full_disk_costs_the_part_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = OutputFolder.open(str(tmp_path), STAMP, Storage())
    output.write(part(0), ROWS)
    before = files(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="part 1 cannot be written: No space left on device") as caught:
            output.write(part(1), ROWS)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path)
    assert files(tmp_path) == before and output.numbers() == [0]
    output.write(part(1), ROWS)
    assert output.damage(1) is None


def test_a_disk_that_fills_up_between_a_part_and_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new run makes the part again: without its record it is not finished."""
    output = OutputFolder.open(str(tmp_path), STAMP, Storage())
    whole = LocalPlace.write

    def write(self: LocalPlace, name: str, data: bytes) -> None:
        if name.endswith(".json"):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        whole(self, name, data)

    monkeypatch.setattr(LocalPlace, "write", write)
    with pytest.raises(OSError, match="part 1 cannot be written"):
        output.write(part(1), ROWS)
    assert OutputFolder.open(str(tmp_path), STAMP, Storage()).finished(1) is None


def test_a_refused_upload_costs_the_part_and_says_so(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    output = OutputFolder.open(s3.url("out"), STAMP, Storage(options=s3.options))
    filesystem = open_place(s3.url("out"), Storage(options=s3.options))._filesystem  # type: ignore[attr-defined]

    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Access Denied")

    monkeypatch.setattr(filesystem, "pipe_file", refuse)
    with pytest.raises(OSError, match="part 0 cannot be written: Access Denied") as caught:
        output.write(part(0), ROWS)
    assert caught.value.filename == s3.url("out")
    assert s3.keys() == [f"out/{MANIFEST}"]


def test_nothing_of_a_killed_process_stays(tmp_path: Path) -> None:
    output = OutputFolder.open(str(tmp_path), STAMP, Storage())
    left = [
        "_gmixer/parts/..000001.json.next.0a.unfinished",
        ".part-000001.parquet.0a.unfinished",
        "_gmixer/.manifest.json.0a.unfinished",
    ]
    others = [".part-000002.parquet.0a.unfinished", "_gmixer/parts/.000002.json.0a.unfinished"]
    for name in (*left, *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with output.lock(2), output.run(update=False):
        output.write(part(1), ROWS)
    assert set(files(tmp_path)) & {*left, *others} == set(others)  # a process writes part 2
    with output.run(update=False):
        pass
    assert not set(files(tmp_path)) & {*left, *others}


def test_no_key_is_in_any_file(s3: S3) -> None:
    output = OutputFolder.open(s3.url("out"), STAMP, Storage(options=s3.options))
    output.write(part(0), ROWS)
    with output.lock(1):
        keys = s3.keys()
        assert len(keys) == 4 and not any(b"s3cret" in s3.get(key) for key in keys)
    assert "s3cret" not in repr(vars(output))


def test_files_of_the_user_stay(tmp_path: Path) -> None:
    """Whatever they are called: only names that a run gives are its own."""
    output = OutputFolder.open(str(tmp_path), STAMP, Storage())
    names = ["20261130.csv", ".20261130.csv", "123456.jpg", "part-123456.jpg", "part-000009.parquet.bak", "1234567.d/a"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with output.run(update=False):
        output.write(part(1), ROWS)
    assert set(names) <= set(files(tmp_path))
