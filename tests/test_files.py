"""writing.py: a file is whole, or not there."""

from __future__ import annotations

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


def test_what_nobody_wrote_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "file"):
        pass
    assert not list(tmp_path.iterdir())
