"""files.py: a file has the old content or the new content, never a part."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gmixer.files import atomic_write


@pytest.mark.parametrize("shared", [False, True])
def test_what_was_there_stays_until_the_new_one_is_whole(shared: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), atomic_write(path, shared=shared) as unfinished:
        unfinished.write_text("ne")
        assert path.read_text() == "old" and unfinished.parent == tmp_path
        raise OSError("the disk is full")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with atomic_write(path, shared=shared) as unfinished:
        unfinished.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_of_two_at_the_same_time_both_are_whole_and_the_last_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_write(path, shared=True) as first:
        first.write_text("first, long")
        with atomic_write(path, shared=True) as second:
            second.write_text("second")
            assert first != second and first.read_text() == "first, long"
        assert path.read_text() == "second"
    assert path.read_text() == "first, long" and list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "file"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_file_has_the_permissions_that_the_umask_gives(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "file") as unfinished:
            unfinished.touch(mode=0o600)  # as safetensors does
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    finally:
        os.umask(before)


def test_a_folder_that_does_not_exist_is_an_error_before_the_block(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "absent" / "file"):
        pytest.fail("the block ran")


def test_a_folder_that_takes_no_file_is_told_by_the_name_asked_for() -> None:
    path = Path("/proc/out.npz")  # root may write everywhere else
    with pytest.raises(OSError) as refused, atomic_write(path):
        pytest.fail("the block must not run")
    assert refused.value.filename == "/proc/out.npz"
