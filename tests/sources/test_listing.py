"""files.py: paths and folders → files, in order."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from gmixer.sources.listing import Found, find_images, is_image_file

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_named_files_come_out_as_typed_whatever_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "b.txt", ".hidden")
    paths = [f"{tmp_path}/./b.txt", tmp_path / "missing.jpg", f"{tmp_path}/.hidden", f"{tmp_path}/b.txt"]
    assert list(find_images(paths)) == [Found(os.fspath(path), named=True) for path in paths]


def test_one_path_is_not_taken_for_a_list_of_letters() -> None:
    assert [found.path for found in find_images("abc.jpg")] == ["abc.jpg"]


def test_a_folder_is_walked_in_the_order_of_sorted_paths(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a/z.jpg", "a/b/c.jpg", "a-b/1.jpg", "B.png", "b/2.jpg", "b.jpg", "é.jpg", "10", "9")
    paths = [found.path for found in find_images([tmp_path])]
    assert paths == sorted(os.fspath(path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(paths) == 10
    assert not any(found.named for found in find_images([tmp_path]))


@pytest.mark.parametrize(("typed", "start"), [("in", "in/"), ("in/", "in/"), ("./in", "./in/"), (".", "./in/")])
def test_a_path_is_the_folder_as_typed_and_the_way_down(
    typed: str, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "in/a.jpg", "in/deep/b.jpg")
    monkeypatch.chdir(tmp_path)
    assert [found.path for found in find_images([typed])] == [f"{start}a.jpg", f"{start}deep/b.jpg"]


def test_hidden_ones_are_left_out_of_folders(tmp_path: Path) -> None:
    touch(tmp_path, ".a.jpg", ".thumbs/b.jpg", "c/.d.jpg", "c/e.jpg")
    assert [found.path for found in find_images([tmp_path])] == [f"{tmp_path}/c/e.jpg"]
    assert [found.path for found in find_images([tmp_path / ".thumbs"])] == [f"{tmp_path}/.thumbs/b.jpg"]


def test_links_to_files_count_and_links_to_folders_do_not(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "in/link.jpg").symlink_to(tmp_path / "elsewhere/b.jpg")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/broken.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "in/pipe.jpg")
    assert [found.path for found in find_images([tmp_path / "in"])] == [
        f"{tmp_path}/in/a.jpg",
        f"{tmp_path}/in/link.jpg",
    ]
    assert len(list(find_images([tmp_path / "in/loop"]))) == 2  # typed, so followed


def test_an_unreadable_folder_is_reported_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.jpg", "locked/b.jpg", "z.jpg")
    scandir = os.scandir

    def refusing(path: str) -> object:  # chmod does not stop root, who runs the tests in containers
        if path.rstrip("/").endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    first, locked, last = find_images([tmp_path])
    assert (first.path, last.path) == (f"{tmp_path}/a.jpg", f"{tmp_path}/z.jpg")
    assert locked.path == f"{tmp_path}/locked"
    assert not locked.named
    assert locked.error is not None
    assert (locked.error.kind, locked.error.source) == ("unreadable", locked.path)
    assert "permission denied" in str(locked.error)

    (named,) = find_images([tmp_path / "locked"])
    assert named.named
    assert named.error is not None


@needs_permissions
def test_a_locked_folder_on_disk(tmp_path: Path) -> None:
    touch(tmp_path, "locked/b.jpg")
    (tmp_path / "locked").chmod(0)
    try:
        (found,) = find_images([tmp_path])
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert found.error is not None


def test_it_reads_as_it_goes() -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "a.jpg"

    assert next(find_images(endless())) == Found("a.jpg", named=True)


def test_folders_deeper_than_recursion_goes(tmp_path: Path) -> None:
    deep = Path(tmp_path, *["d"] * 150)
    deep.mkdir(parents=True)
    touch(deep, "a.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 80)
    try:
        found = list(find_images([tmp_path]))
    finally:
        sys.setrecursionlimit(limit)
    assert found == [Found(f"{deep}/a.jpg", named=False)]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    (found,) = find_images([os.fsencode(tmp_path).decode()])
    assert os.fsencode(found.path).endswith(b"\xff.jpg")


def test_is_image_file_goes_by_content(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "picture.txt", "PNG")
    touch(tmp_path, "text.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert is_image_file(tmp_path / "picture.txt")
    assert not is_image_file(tmp_path / "text.jpg")
    assert not is_image_file(tmp_path / "empty.jpg")
    assert is_image_file(tmp_path / "phone.heic")  # an image, though one that gets an error for an answer
    assert is_image_file(tmp_path / "gone.jpg")  # in doubt it is read, and decode says what is wrong
