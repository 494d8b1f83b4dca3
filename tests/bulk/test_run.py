"""run.py: sources → stored embeddings, whole, in parts, and again."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gmixer
from benchmarks.kill_embed import draw_photos, files_of
from gmixer.bulk import PartOptions, RowOptions, Tally, reader
from gmixer.errors import InputError
from s3 import S3

SMALL = "gmixer_8_64.distill_in1k"
COUNT = 50


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 JPEGs, five of them damaged."""
    folder = tmp_path_factory.mktemp("in") / "pictures"
    draw_photos(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def whole(pictures: Path, predictor: gmixer.Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run: parts of 12, 12, 12, 12 and 2."""
    out = tmp_path_factory.mktemp("whole") / "out"
    gmixer.bulk.embed(pictures, out, model=predictor, parts=PartOptions(part_size=12))
    return out


def stops_after(rows: int) -> Callable[[Tally], None]:
    def stop(tally: Tally) -> None:
        if tally.rows >= rows:
            raise KeyboardInterrupt

    return stop


def test_every_form_has_the_same_rows(pictures: Path, whole: Path, predictor: gmixer.Predictor, tmp_path: Path) -> None:
    table = gmixer.bulk.embed(pictures, model=predictor)
    stored = gmixer.bulk.open_stored(str(whole))
    in_file = gmixer.bulk.embed(pictures, tmp_path / "out.parquet", model=predictor)
    assert [p.name for p in sorted(whole.glob("*.parquet"))] == [f"part-{i:06}.parquet" for i in range(5)]
    assert stored.table().equals(in_file.table()) and in_file.table().equals(table)
    assert pq.read_schema(whole / "part-000004.parquet").metadata == stored.dataset.schema.metadata
    assert stored.stamp.part_size == 12 and in_file.stamp.part_size is None
    names = sorted(str(path) for path in pictures.iterdir())
    assert table["path"].to_pylist() == names
    good = [name for i, name in enumerate(names) if i % 10 != 9]
    assert stored.vectors().tobytes() == np.asarray(predictor.embed(good).vectors).tobytes()
    assert table["error_kind"].to_pylist().count("corrupt") == 5


def test_a_second_run_touches_nothing(pictures: Path, whole: Path, predictor: gmixer.Predictor) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if "locks" not in path.parts}
    gmixer.bulk.embed(pictures, whole, model=predictor, parts=PartOptions(part_size=12), on_progress=stops_after(0))
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*") if "locks" not in path.parts} == before


@pytest.mark.parametrize("rows", [1, 13, 40])
def test_an_interrupted_run_is_finished_to_the_same_bytes(
    rows: int, pictures: Path, whole: Path, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        gmixer.bulk.embed(
            pictures, out, model=predictor, parts=PartOptions(part_size=12), on_progress=stops_after(rows)
        )
    finished = len(list(out.glob("*.parquet")))
    assert finished == rows // 12
    tallies: list[tuple[int, int]] = []
    gmixer.bulk.embed(
        pictures, out, model=predictor, parts=PartOptions(part_size=12),
        on_progress=lambda tally: tallies.append((tally.kept, tally.rows)),
    )  # fmt: skip
    assert files_of(out) == files_of(whole)
    assert tallies[-1] == (finished * 12, COUNT - finished * 12)


def test_what_killed_processes_leave_is_removed(
    pictures: Path, whole: Path, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    left = [
        "_gmixer/.manifest.json.0a.unfinished",
        "_gmixer/parts/.000001.json.0a.trial",
        ".part-000002.parquet.0a.trial",
    ]
    for name in left:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("{")
    gmixer.bulk.embed(pictures, out, model=predictor, parts=PartOptions(part_size=12))
    assert files_of(out) == files_of(whole)


def test_shares_make_the_same_folder(pictures: Path, whole: Path, predictor: gmixer.Predictor, tmp_path: Path) -> None:
    for i in (2, 1, 3):
        parts = PartOptions(part_size=12, share=(i, 3))
        gmixer.bulk.embed(pictures, tmp_path / "out", model=predictor, parts=parts)
    assert files_of(tmp_path / "out") == files_of(whole)


def test_an_archive_gives_the_same_vectors(
    pictures: Path, whole: Path, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
        tar.add(pictures, "pictures")
    stored = gmixer.bulk.embed(
        tmp_path / "pictures.tar", tmp_path / "out", model=predictor, parts=PartOptions(part_size=12)
    )
    assert stored.vectors().tobytes() == gmixer.bulk.open_stored(str(whole)).vectors().tobytes()
    assert stored.table()["path"][0].as_py() == f"{tmp_path}/pictures.tar::pictures/00000.jpg"


def test_another_model_or_form_is_refused_and_touches_nothing(pictures: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    before = files_of(out)
    for rows, size in ((RowOptions(normalize=True), 12), (RowOptions(), 13)):
        with pytest.raises(InputError):
            gmixer.bulk.embed(pictures, out, model=SMALL, rows=rows, parts=PartOptions(part_size=size))
    assert files_of(out) == before


def test_nothing_at_all_is_refused(predictor: gmixer.Predictor, tmp_path: Path) -> None:
    for out in (None, tmp_path / "out", tmp_path / "out.parquet"):
        with pytest.raises(InputError, match="no image"):
            gmixer.bulk.embed([], out, model=predictor)
    assert not (tmp_path / "out.parquet").exists()


def test_an_empty_folder_one_image_and_none_that_is_good(
    pictures: Path, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for sources, kinds in (
        (tmp_path / "empty", ["empty"]),
        (pictures / "00000.jpg", [None]),
        ([pictures / "00009.jpg", "absent.jpg"], ["corrupt", "missing"]),
    ):
        for out in (None, tmp_path / f"{kinds[-1]}.parquet", tmp_path / f"out of {kinds[-1]}"):
            found = gmixer.bulk.embed(sources, out, model=predictor)
            table = found if isinstance(found, pa.Table) else found.table()
            assert table["error_kind"].to_pylist() == kinds, out


def test_from_object_storage_to_object_storage(
    pictures: Path, whole: Path, predictor: gmixer.Predictor, s3: S3
) -> None:
    from gmixer.options import Storage

    for path in sorted(pictures.iterdir()):
        s3.put(f"in/{path.name}", path.read_bytes())
    storage = Storage(options=s3.options)
    parts = PartOptions(part_size=12)
    with pytest.raises(KeyboardInterrupt):
        gmixer.bulk.embed(
            s3.url("in"), s3.url("out"), model=predictor, parts=parts, storage=storage, on_progress=stops_after(30)
        )
    stored = gmixer.bulk.embed(s3.url("in"), s3.url("out"), model=predictor, parts=parts, storage=storage)
    table = stored.table()
    assert table["path"].to_pylist() == [s3.url(f"in/{path.name}") for path in sorted(pictures.iterdir())]
    assert stored.vectors().tobytes() == gmixer.bulk.open_stored(str(whole)).vectors().tobytes()
    assert table["version"].null_count == 0


def test_the_same_bytes_in_pytorch(pictures: Path, tmp_path: Path) -> None:
    """On a CPU, torch's last bits depend on the batch size, and so on where a batch begins."""
    torch = gmixer.load(SMALL, runtime="torch")
    parts = PartOptions(part_size=20)
    for out, rows in (("whole", 1_000), ("stopped", 25), ("stopped", 1_000)):
        try:
            gmixer.bulk.embed(pictures, tmp_path / out, model=torch, parts=parts, on_progress=stops_after(rows))
        except KeyboardInterrupt:
            assert out == "stopped" and rows == 25
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "stopped")


@pytest.mark.parametrize(
    "wrong",
    [
        {"sources": 5}, {"sources": [5]}, {"sources": b"a"}, {"sources": None}, {"list_file": ["a.csv"]}, {"out": 5},
        {"rows": {"classes": 1}}, {"parts": {"part_size": 1}}, {"storage": {"anon": True}},
        {"out": "out.parquet", "parts": PartOptions(update=True)}, {"parts": PartOptions(part_size=2)},
        {"out": "s3://bucket/out.parquet"}, {"out": ""},
    ],
    ids=repr,
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_was_wanted(wrong: dict[str, Any], predictor: gmixer.Predictor) -> None:
    with pytest.raises(InputError, match="wanted"):
        gmixer.bulk.embed(**{"sources": "a.jpg", "model": predictor, **wrong})


def test_a_part_holds_few_members_of_an_archive_in_memory(
    predictor: gmixer.Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zip of phone photos holds more bytes than the machine has memory."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(300):
            archive.writestr(f"{i:03}.jpg", b"no image")
    read: list[str] = []
    ahead: list[int] = []
    held = reader.read
    monkeypatch.setattr(reader, "read", lambda entry, *a, **k: (read.append(entry.key), held(entry, *a, **k))[1])
    gmixer.bulk.embed(
        tmp_path / "a.zip", tmp_path / "out", model=predictor,
        on_progress=lambda tally: ahead.append(len(read) - tally.rows),
    )  # fmt: skip
    assert len(read) == 300 and max(ahead) < 150
