"""listing.py: paths and folders → entries, in order."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from gmixer.errors import ImageError
from gmixer.sources.entry import Entry, NoFile, may_be_image, read_head
from gmixer.sources.listing import Listing, list_files
from gmixer.sources.local import LocalFile

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")


def keys(paths: object) -> list[str]:
    """Of the entries; fails for an error among them."""
    return [entry.key for entry in entries(paths)]


def entries(paths: object) -> list[Entry]:
    found = list(list_files(paths))  # type: ignore[arg-type]
    errors = [entry for entry in found if isinstance(entry, ImageError)]
    assert not errors
    return found  # type: ignore[return-value]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_named_files_come_out_as_typed_whatever_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "b.txt", ".hidden")
    paths = [f"{tmp_path}/./b.txt", tmp_path / "missing.jpg", f"{tmp_path}/.hidden", f"{tmp_path}/b.txt"]
    assert entries(paths) == [LocalFile(os.fspath(path), named=True) for path in paths]


def test_one_path_is_not_taken_for_a_list_of_letters() -> None:
    assert keys("abc.jpg") == ["abc.jpg"]


def test_a_folder_is_walked_in_the_order_of_sorted_paths(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a/z.jpg", "a/b/c.jpg", "a-b/1.jpg", "B.png", "b/2.jpg", "b.jpg", "é.jpg", "10", "9")
    paths = keys([tmp_path])
    assert paths == sorted(os.fspath(path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(paths) == 10
    assert not any(entry.named for entry in entries([tmp_path]))


@pytest.mark.parametrize(("typed", "start"), [("in", "in/"), ("in/", "in/"), ("./in", "./in/"), (".", "./in/")])
def test_a_path_is_the_folder_as_typed_and_the_way_down(
    typed: str, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "in/a.jpg", "in/deep/b.jpg")
    monkeypatch.chdir(tmp_path)
    assert keys([typed]) == [f"{start}a.jpg", f"{start}deep/b.jpg"]


def test_hidden_ones_are_left_out_of_folders(tmp_path: Path) -> None:
    touch(tmp_path, ".a.jpg", ".thumbs/b.jpg", "c/.d.jpg", "c/e.jpg")
    assert keys([tmp_path]) == [f"{tmp_path}/c/e.jpg"]
    assert keys([tmp_path / ".thumbs"]) == [f"{tmp_path}/.thumbs/b.jpg"]


def test_links_to_files_count_and_what_is_no_file_is_told_apart(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "in/link.jpg").symlink_to(tmp_path / "elsewhere/b.jpg")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/broken.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "in/pipe.jpg")
    (tmp_path / "in/broken").symlink_to(tmp_path / "nowhere")
    found = entries([tmp_path / "in"])
    assert [entry.key for entry in found] == [
        f"{tmp_path}/in/{name}" for name in ("a.jpg", "broken", "broken.jpg", "link.jpg", "loop", "pipe.jpg")
    ]
    assert [Path(entry.key).name for entry in found if isinstance(entry, NoFile)] == ["broken", "loop"]
    for name, words in (("broken.jpg", "is a link to a file that does not exist"), ("pipe.jpg", "is a pipe")):
        (entry,) = (entry for entry in found if entry.key.endswith(name))
        with pytest.raises(ImageError, match=words):
            read_head(entry)
    assert len(entries([tmp_path / "in/loop"])) == 6  # typed, so followed


def test_an_unreadable_folder_is_reported_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.jpg", "locked/b.jpg", "z.jpg")
    scandir = os.scandir

    def refusing(path: str) -> object:  # chmod does not stop root, who runs the tests in containers
        if path.rstrip("/").endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    first, locked, last = list_files([tmp_path])
    assert (first, last) == (LocalFile(f"{tmp_path}/a.jpg"), LocalFile(f"{tmp_path}/z.jpg"))
    assert isinstance(locked, ImageError)
    assert (locked.kind, locked.source) == ("unreadable", f"{tmp_path}/locked")
    assert "permission denied" in str(locked)

    (named,) = list_files([tmp_path / "locked"])
    assert isinstance(named, ImageError) and named.source == f"{tmp_path}/locked"
    listing = Listing([os.fspath(tmp_path)])
    assert listing.count() == 3
    ((path, listed),) = listing
    assert path == os.fspath(tmp_path)
    assert [entry.args if isinstance(entry, ImageError) else entry for entry in listed] == [first, locked.args, last]


@needs_permissions
def test_a_locked_folder_on_disk(tmp_path: Path) -> None:
    touch(tmp_path, "locked/b.jpg")
    (tmp_path / "locked").chmod(0)
    try:
        (found,) = list_files([tmp_path])
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert isinstance(found, ImageError)


def test_it_reads_as_it_goes() -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "a.jpg"

    assert next(list_files(endless())) == LocalFile("a.jpg", named=True)


def test_folders_deeper_than_recursion_goes(tmp_path: Path) -> None:
    deep = Path(tmp_path, *["d"] * 150)
    deep.mkdir(parents=True)
    touch(deep, "a.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 80)
    try:
        found = list(list_files([tmp_path]))
    finally:
        sys.setrecursionlimit(limit)
    assert found == [LocalFile(f"{deep}/a.jpg")]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    (found,) = entries([os.fsencode(tmp_path).decode()])
    assert os.fsencode(found.key).endswith(b"\xff.jpg")


def test_counting_first_walks_a_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, *(f"in/{i:04}/{j}.jpg" for i in range(60) for j in range(40)), "a.jpg")
    paths = [f"{tmp_path}/in", f"{tmp_path}/missing", f"{tmp_path}/a.jpg", "ftp://files.example/a.jpg"]
    wanted = list(list_files(paths))
    walked = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: walked.append(path) or scandir(path))
    listing = Listing(paths)
    assert listing.count() == len(wanted) == 60 * 40 + 3
    assert len(walked) == 61
    for _ in range(2):
        *found, refused = (entry for _, listed in listing for entry in listed)
        assert found == wanted[:-1]
        assert isinstance(refused, ImageError) and refused.kind == "refused"
    assert len(walked) == 61


def test_an_uncounted_listing_reads_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    walked = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: walked.append(path) or scandir(path))
    _, listed = next(iter(Listing([tmp_path])))
    assert next(listed) == LocalFile(f"{tmp_path}/a/1.jpg")
    assert len(walked) == 2


def test_a_local_file_knows_its_size_and_version(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (entry,) = entries(tmp_path)
    status = os.stat(tmp_path / "a.jpg")
    assert (entry.size, entry.version) == (1, status.st_mtime_ns)
    os.utime(tmp_path / "a.jpg", ns=(0, 5))
    assert entry.version == 5
    missing = LocalFile("no such file")
    assert (missing.size, missing.version) == (None, None)


def test_may_be_image_goes_by_name_or_content(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "image.txt", "PNG")
    touch(tmp_path, "text.jpg", "text.txt")
    (tmp_path / "empty.JPG").touch()
    (tmp_path / "empty").touch()
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert may_be_image(LocalFile(f"{tmp_path}/image.txt"))
    assert may_be_image(LocalFile(f"{tmp_path}/text.jpg")) and may_be_image(LocalFile(f"{tmp_path}/empty.JPG"))
    assert not may_be_image(LocalFile(f"{tmp_path}/text.txt")) and not may_be_image(LocalFile(f"{tmp_path}/empty"))
    assert not may_be_image(NoFile(f"{tmp_path}/link.jpg", "is a link to a folder"))
    assert may_be_image(LocalFile(f"{tmp_path}/phone.heic"))  # an image, though one that gets an error for an answer
    assert may_be_image(LocalFile(f"{tmp_path}/gone.jpg"))  # in doubt it is read, and decode says what is wrong
