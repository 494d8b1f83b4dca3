"""inputs.py: every image of a command line gets a row, and what is left out is counted and named."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.options import Reading
from gmixer.sources.inputs import Inputs
from labelled import image, write

FILES = {
    "a.png": image(1),
    "sub/zero.JPG": b"",
    "sub/page.jpeg": b"<!doctype html>",
    "phone.heic": b"no phone made this",
    "notes.txt": b"text",
    "unnamed": image(2),
    "._a.png": b"\0\5\x16\7",
    ".DS_Store": b"x",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
}
ROWS = {"a.png": "", "sub/zero.JPG": "empty", "sub/page.jpeg": "not_image", "phone.heic": "not_image", "unnamed": ""}


def rows_of(*paths: object) -> tuple[dict[str, str], Inputs]:
    """path → kind of error, or "" for an image that can be read."""

    def stream(images: Iterator[str | bytes | ImageError]) -> Iterator[str | ImageError]:
        for data in images:
            try:
                if isinstance(data, ImageError):
                    raise data
                decode(data)
                yield ""
            except ImageError as error:
                yield error

    inputs = Inputs([os.fspath(path) for path in paths], Reading())  # type: ignore[arg-type]
    results = list(inputs.results(stream))
    rows = {path: result.kind if isinstance(result, ImageError) else result for path, result in results}
    assert len(rows) == len(results) == inputs.answered
    return rows, inputs


def packed(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def in_rows(start: str, names: dict[str, str]) -> dict[str, str]:
    return {start + name: kind for name, kind in names.items()}


def test_a_file_of_a_folder_that_is_called_like_an_image_has_a_row(tmp_path: Path) -> None:
    write(tmp_path / "in", FILES)
    rows, inputs = rows_of(tmp_path / "in")
    assert rows == in_rows(f"{tmp_path}/in/", ROWS)
    assert inputs.failed == 3 and inputs.summary() == (
        f"3 of 5 could not be read; 2 files are no image and left out ({tmp_path}/in/Thumbs.db, "
        f"{tmp_path}/in/notes.txt)"
    )


@pytest.mark.parametrize("name", ["a.tar", "a.tgz", "a.zip"])
def test_a_member_too(name: str, tmp_path: Path) -> None:
    path = packed(tmp_path / name, FILES)
    rows, inputs = rows_of(path)
    assert rows == in_rows(f"{path}::", ROWS) and inputs.failed == 3
    assert f"2 files are no image and left out ({path}::notes.txt, {path}::Thumbs.db)" in inputs.summary()


def test_counting_first_changes_nothing(tmp_path: Path) -> None:
    paths = [write(tmp_path / "in", FILES), write(tmp_path / "empty", {".hidden.jpg": image(1)}), tmp_path / "absent"]
    inputs = Inputs([str(path) for path in paths], Reading())
    assert inputs.files == 8
    kept = [(path, str(found)) for path, found in inputs.results(lambda images: images)]
    assert kept == [(p, str(found)) for p, found in Inputs(list(map(str, paths)), Reading()).results(lambda i: i)]
    assert len(kept) == 7


@pytest.mark.parametrize("name", ["", "a.tar", "a.tgz", "a.zip"], ids=["folder", "tar", "tgz", "zip"])
def test_where_no_image_is_found_there_is_one_row(name: str, tmp_path: Path) -> None:
    others = {f"{i}.txt": b"text" for i in range(5)}
    path = packed(tmp_path / name, others) if name else write(tmp_path / "in", others)
    first = image(3)
    (tmp_path / "first.png").write_bytes(first)
    rows, inputs = rows_of(tmp_path / "first.png", path)
    assert rows == {f"{tmp_path}/first.png": "", str(path): "not_image"} and inputs.failed == 1
    assert inputs.summary().startswith("1 of 2 could not be read; 5 files are no image and left out (")
    assert inputs.summary().endswith("2.txt …)")
    ((_, error),) = Inputs([str(path)], Reading()).results(lambda images: images)
    assert isinstance(error, ImageError)
    assert error.reason == f"the {'archive' if name else 'folder'} holds no image, only 0.txt, 1.txt, 2.txt …"


@pytest.mark.parametrize("files", [{}, {".a.jpg": image(1), ".git/b.png": image(2)}], ids=["no", "hidden"])
def test_an_empty_folder_is_a_row(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in", files)
    rows, inputs = rows_of(path)
    assert rows == {str(path): "empty"} and inputs.summary() == "1 of 1 could not be read"


def test_a_zip_with_nothing_in_it_is_a_row(tmp_path: Path) -> None:
    rows, _ = rows_of(packed(tmp_path / "a.zip", {}))
    assert rows == {f"{tmp_path}/a.zip": "empty"}


def test_a_tar_with_nothing_in_it_is_a_row(tmp_path: Path) -> None:
    for name, data in {"empty.tar": bytes(10240), "zeros.jpg": bytes(10240), "no.tar": bytes(10239) + b"x"}.items():
        (tmp_path / name).write_bytes(data)
        rows, _ = rows_of(tmp_path / name)
        assert rows == {f"{tmp_path}/{name}": "empty" if name == "empty.tar" else "not_image"}


def test_files_that_a_row_names_are_not_said_again(tmp_path: Path) -> None:
    path = write(tmp_path / "in", {f"{i}.txt": b"text" for i in range(3)})
    rows, inputs = rows_of(path)
    assert rows == {str(path): "not_image"} and inputs.summary() == "1 of 1 could not be read"


def test_archives_inside_are_counted_apart(tmp_path: Path) -> None:
    inner = packed(tmp_path / "in.zip", {"a.png": image(1)})
    outer = packed(
        tmp_path / "out.tar", {"in.zip": inner.read_bytes(), "a.png": image(2), "bad.png": b"", "notes.txt": b"x"}
    )
    rows, inputs = rows_of(outer)
    assert rows == {f"{outer}::a.png": "", f"{outer}::bad.png": "empty"}
    assert inputs.summary() == (
        f"1 of 2 could not be read; 1 file is no image and left out ({outer}::notes.txt); "
        f"1 archive is left out, because it was not named itself ({outer}::in.zip)"
    )


def test_links_and_pipes(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"a.png": image(1)})
    (folder / "broken.jpg").symlink_to("absent")
    (folder / "broken.txt").symlink_to("absent")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe")
    rows, inputs = rows_of(folder)
    assert rows == in_rows(f"{folder}/", {"a.png": "", "broken.jpg": "missing", "pipe.jpg": "unreadable"})
    assert inputs.summary() == (
        f"2 of 3 could not be read; 3 links or pipes are left out ({folder}/broken.txt, {folder}/linked, {folder}/pipe)"
    )


@pytest.mark.parametrize("name", ["a.tar", "a.tgz"])
def test_what_was_before_a_cut_is_answered(name: str, tmp_path: Path) -> None:
    noise = os.urandom(20_000)
    path = packed(tmp_path / name, {"a.png": image(1), "notes.txt": noise, "b.png": image(2) + noise})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    rows, _ = rows_of(path)
    assert rows[f"{path}::a.png"] == "" and list(rows.values()) == ["", "corrupt"]


def test_progress_counts_what_is_left_out(tmp_path: Path) -> None:
    inputs = Inputs([str(write(tmp_path / "in", FILES))], Reading())
    seen: list[int] = []
    inputs.on_progress = seen.append

    def stream(images: Iterable[object]) -> list[ImageError]:
        return [ImageError("corrupt", "is damaged", "x") for _ in images]

    assert len(list(inputs.results(stream))) == 5 and seen[-1] == inputs.files == 7
