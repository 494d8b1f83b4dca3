"""Damaged tables, archives and Parquet files: each is one error in words, or costs its own images alone."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gmixer.datasets import open_images
from gmixer.errors import GmixerError
from labelled import image
from pythons_words import assert_plain


def tar_of_samples() -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for n in range(3):
            for name, data in ((f"{n}.png", image(n)), (f"{n}.cls", b"%d" % n), (f"{n}.json", b'{"label": 1}')):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, BytesIO(data))
    return out.getvalue()


def zip_of_folders() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(4):
            archive.writestr(f"{'cat' if n % 2 else 'dog'}/{n}.png", image(n))
    return out.getvalue()


def parquet(column: dict[str, object]) -> bytes:
    out = BytesIO()
    pq.write_table(pa.table(column | {"label": ["cat", "dog"]}), out)
    return out.getvalue()


FILES = {
    "table.csv": b"path,label,split\n0.png,cat,train\n1.png,dog,val\n",
    "samples.tar": tar_of_samples(),
    "samples.tar.gz": gzip.compress(tar_of_samples()),
    "folders.zip": zip_of_folders(),
    "bytes.parquet": parquet({"image": [{"bytes": image(n), "path": f"{n}.png"} for n in range(2)]}),
    "paths.parquet": parquet({"path": ["0.png", "1.png"]}),
}


def look(path: Path) -> None:
    """Any error but gmixer's fails the test."""
    try:
        images = open_images(path)
        count = len(images)
    except GmixerError as error:
        assert_plain(str(error))
        return
    for i in range(min(count, 4)):
        try:
            images.read(i)
        except GmixerError as error:
            assert_plain(str(error))


@pytest.mark.parametrize("name", FILES)
def test_damage_anywhere(name: str, tmp_path: Path) -> None:
    rng, path = np.random.default_rng(5), tmp_path / name
    for n in range(2):
        (tmp_path / f"{n}.png").write_bytes(image(n))
    for _ in range(60):
        data = bytearray(FILES[name])
        for at in rng.integers(0, len(data), rng.integers(1, 5)):
            data[at] = rng.choice([0, 10, 34, 44, 91, 127, 195, 255])
        if rng.random() < 0.3:
            del data[rng.integers(0, len(data)) :]
        path.write_bytes(data)
        look(path)
