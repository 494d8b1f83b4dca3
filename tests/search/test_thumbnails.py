"""The image of a stored row: upright, small, from a file or an archive; a word where there is none."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gmixer.errors import ImageError
from gmixer.options import Limits, Reading, Storage
from gmixer.search.thumbnails import CHANGED, GONE, REMOTE, Picture, Thumbnail, thumbnails
from s3 import S3


def one(picture: Picture, px: int = 40, reading: Reading | None = None) -> Thumbnail:
    (made,) = thumbnails([picture], px=px, **({"reading": reading} if reading else {}))
    return made


def pixels(made: Thumbnail) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(made.jpeg))).astype(int)


def test_an_image_of_each_kind_in_order(photos: list[Path], tmp_path: Path) -> None:
    packed = tmp_path / "photos.tar"
    with tarfile.open(packed, "w") as tar:
        for path in photos:
            tar.add(path, path.name)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zipped:
        zipped.write(photos[0], "a/b.jpg")
    paths = [f"{packed}::{photos[3].name}", *map(str, photos), f"{packed}::{photos[0].name}"]
    paths += [f"{tmp_path}/photos.zip::a/b.jpg", f"{packed}::{photos[3].name}", f"{packed}::absent.jpg"]
    made = thumbnails([Picture(path) for path in paths], px=64)
    assert [thumbnail.missing for thumbnail in made] == [""] * (len(paths) - 1) + [GONE]
    assert all(max(thumbnail.width, thumbnail.height) == 64 for thumbnail in made[:-1])
    assert made[0].jpeg == made[4].jpeg == made[-2].jpeg and made[1].jpeg == made[-4].jpeg == made[-3].jpeg
    for thumbnail, path in zip(made[1:7], photos, strict=True):
        expected = Image.open(path).convert("RGB").resize((thumbnail.width, thumbnail.height))
        assert np.abs(pixels(thumbnail) - np.asarray(expected)).mean() < 12, path
    assert made[0].uri.startswith("data:image/jpeg;base64,/9j/") and made[-1].uri == ""


def test_it_is_turned_as_its_exif_data_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 20)).save(tmp_path / "a.jpg", exif=exif)
    made = one(Picture(str(tmp_path / "a.jpg")))
    assert (made.width, made.height) == (10, 40)


def test_a_small_image_stays_small_and_a_hair_keeps_a_pixel(tmp_path: Path) -> None:
    for name, size, expected in (("small", (7, 5), (7, 5)), ("hair", (1, 9_000), (1, 40))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
        made = one(Picture(str(tmp_path / f"{name}.png")))
        assert (made.width, made.height) == expected


@pytest.mark.parametrize("as_member", [False, True], ids=["file", "member"])
def test_a_changed_file_has_none(as_member: bool, jpeg: Path, tmp_path: Path) -> None:
    data, path = jpeg.read_bytes(), str(jpeg)
    if as_member:
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            tar.add(jpeg, "a.jpg")
        path = f"{tmp_path}/a.tar::a.jpg"
    digest = hashlib.sha256(data).hexdigest()
    assert not one(Picture(path, len(data), digest)).missing
    assert one(Picture(path, len(data) + 1)).missing == CHANGED
    assert one(Picture(path, len(data), digest[:-1] + "x")).missing == CHANGED


def test_what_cannot_be_shown_has_a_word(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "cut.tar").write_bytes(b"")
    Image.new("RGB", (50, 50)).save(tmp_path / "large.png")
    reading = Reading(limits=Limits(max_pixels=100))
    expected = {
        "absent.jpg": GONE,
        "text.jpg": "cannot be read: not_image",
        "large.png": "cannot be read: too_large",
        "cut.tar::a.jpg": GONE,
        ".": "cannot be read: unreadable",
        "zero\0.jpg": "cannot be read: unreadable",
    }
    made = thumbnails([Picture(f"{tmp_path}/{name}") for name in expected], px=40, reading=reading)
    assert [thumbnail.missing for thumbnail in made] == list(expected.values())
    far = ["http://127.0.0.1:9/a.jpg", "https://example.org/a.jpg", "ftp://bucket/a.jpg", "-"]
    assert [thumbnail.missing for thumbnail in thumbnails([*map(Picture, far)], px=40)] == [REMOTE] * 4


def test_no_pictures() -> None:
    assert thumbnails([], px=40) == []


def test_rows_of_a_parquet_file(photos: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "p.parquet"
    rows = [{"image": {"bytes": path.read_bytes(), "path": None}} for path in photos] + [{"image": None}]
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=2)
    wanted = [3, 0, len(photos), 99, 3]
    made = thumbnails([Picture(f"{file}[{row}]") for row in wanted], px=40)
    assert [thumbnail.missing for thumbnail in made] == ["", "", "cannot be read: empty", GONE, ""]
    assert made[0].jpeg == made[4].jpeg == one(Picture(str(photos[3]))).jpeg
    assert one(Picture(f"{file}[1]", 5)).missing == CHANGED
    pq.write_table(pa.table({"a": [1]}), file)
    assert one(Picture(f"{file}[0]")).missing == GONE


def test_objects_are_read_from_object_storage(s3: S3, jpeg: Path) -> None:
    url = s3.put("a.jpg", jpeg.read_bytes())
    pictures = [Picture(path) for path in (s3.url("absent.jpg"), url, s3.url("a.tar::a.jpg"), s3.url("a.parquet[1]"))]
    made = thumbnails(pictures, px=40, storage=Storage(options=s3.options))
    assert [thumbnail.missing for thumbnail in made] == [GONE, "", REMOTE, REMOTE]
    assert made[1].jpeg == one(Picture(str(jpeg))).jpeg


def test_object_storage_that_cannot_be_reached_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(url: str, storage: Storage) -> None:
        asked.append(url)
        raise ImageError("timeout", "takes too long", url)

    monkeypatch.setattr("gmixer.search.thumbnails.file_at", refuse)
    made = thumbnails([Picture(f"s3://bucket/{i}.jpg") for i in range(9)], px=40)
    assert [thumbnail.missing for thumbnail in made] == [REMOTE] * 9 and asked == ["s3://bucket/0.jpg"]
