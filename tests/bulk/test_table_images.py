"""table_images.py: a Parquet file as a source."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gmixer.bulk.record import Record
from gmixer.bulk.table_images import TableImages, is_table
from gmixer.errors import ImageError, InputError
from gmixer.options import Limits, Reading, Storage
from gmixer.sources.entry import read
from s3 import S3

ROWS = [b"one", b"two", b"three", b"four", b"five"]


def parquet(columns: dict[str, Any], names: list[str] | None = None) -> bytes:
    """In row groups of 2. names: of the classes, as Hugging Face's datasets stores them."""
    table = pa.table(columns)
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=2)
    return out.getvalue()


def rows_of(path: Path, data: bytes, reading: Reading | None = None) -> list[Record]:
    path.write_bytes(data)
    return list(TableImages(str(path), reading or Reading(), Storage()))


def content(record: Record) -> bytes | str:
    """The bytes, or the kind of the error."""
    assert not isinstance(record.content, ImageError)
    try:
        return read(record.content, Limits())
    except ImageError as error:
        assert error.source == record.key
        return error.kind


def test_a_column_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    records = rows_of(path, parquet({"image": ROWS, "label": ["x", None, "z", "x", "x"]}))
    assert [record.key for record in records] == [f"{path}[{i}]" for i in range(5)]
    assert [record.label for record in records] == ["x", None, "z", "x", "x"]
    assert {record.version for record in records} == {str(path.stat().st_mtime_ns)}
    assert [content(record) for record in reversed(records)] == ROWS[::-1]
    assert is_table(str(path)) and not is_table(str(tmp_path))
    assert content(pickle.loads(pickle.dumps(records[3]))) == b"four"


def test_hugging_face_s_images_and_the_names_of_its_classes(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"beside")
    cells = [
        {"bytes": b"one", "path": "absent.jpg"},
        {"bytes": None, "path": "b.jpg"},
        {"bytes": None, "path": "absent.jpg"},
        {"bytes": None, "path": None},
        None,
    ]
    data = parquet({"image": cells, "label": [1, 0, -1, None, 7]}, names=["cat", "dog"])
    records = rows_of(tmp_path / "a.parquet", data)
    assert [record.label for record in records] == ["dog", "cat", None, None, "7"]
    assert [content(record) for record in records] == [b"one", b"beside", "missing", "empty", "empty"]


def test_a_column_of_paths(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"beside")
    paths = ["b.jpg", str(tmp_path / "b.jpg"), "absent.jpg", "file:///etc/passwd", "https://example.org/a.jpg"]
    records = rows_of(tmp_path / "a.parquet", parquet({"path": paths}))
    assert [content(record) for record in records] == [b"beside", b"beside", "missing", "missing", "missing"]


def test_the_limits_of_the_run_hold(tmp_path: Path) -> None:
    records = rows_of(tmp_path / "a.parquet", parquet({"image": ROWS}), Reading(limits=Limits(max_bytes=3)))
    assert [content(record) for record in records] == [b"one", b"two", "too_large", "too_large", "too_large"]


def test_a_file_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    assert content(rows_of(path, parquet({"image": ROWS}))[0]) == b"one"
    assert content(rows_of(path, parquet({"image": [b"new", b"two"]}))[0]) == b"new"


def test_row_groups_that_change_after_the_listing(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    records = rows_of(path, parquet({"image": ROWS}))
    path.write_bytes(path.read_bytes()[:20])
    assert content(records[0]) == "corrupt"
    path.unlink()
    assert content(records[1]) in ("corrupt", "missing")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (parquet({"a": [1], "b": [2]}), "has the columns a, b; wanted one with the name image or path"),
        (parquet({"image": ROWS})[:-20], "wanted a complete Parquet file"),
        (b"PAR1 and no more", "wanted a complete Parquet file"),
    ],
)
def test_a_file_that_holds_no_images_is_refused(data: bytes, what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=what):
        rows_of(tmp_path / "a.parquet", data)


def test_on_object_storage(s3: S3) -> None:
    storage = Storage(options=s3.options)
    s3.put("in/b.jpg", b"beside")
    url = s3.put("in/a.parquet", parquet({"image": ROWS, "label": list("abcde")}))
    records = list(TableImages(url, Reading(), storage))
    assert is_table(url) and records[0].version
    assert [content(record) for record in records] == ROWS
    assert "".join(str(record.label) for record in records) == "abcde"
    assert content(pickle.loads(pickle.dumps(records[1]))) == b"two" and "s3cret" not in repr(records)


def test_a_table_on_object_storage_names_objects_and_no_file_of_this_machine(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"local")
    s3.put("in/b.jpg", b"beside")
    paths = ["b.jpg", s3.url("in/b.jpg"), "absent.jpg", str(tmp_path / "secret.jpg"), "file:///etc/passwd"]
    url = s3.put("in/a.parquet", parquet({"path": paths}))
    records = list(TableImages(url, Reading(), Storage(options=s3.options)))
    assert [content(record) for record in records] == [b"beside", b"beside", "missing", "missing", "missing"]
    with pytest.raises(InputError, match="no such object"):
        list(TableImages(s3.url("in/absent.parquet"), Reading(), Storage(options=s3.options)))
