"""parquet_file.py: rows → Parquet, for every reader."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gmixer
from gmixer.bulk.parquet_file import open_parquet, parquet_bytes
from gmixer.bulk.predict import rows_of
from gmixer.bulk.record import Record
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.stored import open_stored
from gmixer.errors import InputError
from gmixer.sources.local import LocalFile


@pytest.fixture(scope="module", params=["float32", "float16"])
def table(request: pytest.FixtureRequest, predictor: gmixer.Predictor, photos: list[Path]) -> pa.Table:
    """Of each image, and of one that is missing."""
    records = [Record(str(p), None, None, "photo", LocalFile(str(p))) for p in [*photos, "absent.jpg"]]
    return pa.Table.from_batches(list(rows_of(records, predictor, RowOptions(dtype=request.param))))


def test_the_same_rows_give_the_same_bytes(table: pa.Table) -> None:
    again = pa.Table.from_batches(table.to_batches(max_chunksize=2))
    assert parquet_bytes(table) == parquet_bytes(again.combine_chunks())


def test_one_file_of_several_tables(table: pa.Table, tmp_path: Path) -> None:
    with open_parquet(tmp_path / "out.parquet", table.schema) as writer:
        for _ in range(3):
            writer.write_table(table)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.equals(pa.concat_tables([table] * 3)) and found.schema.metadata == table.schema.metadata
    assert os.listdir(tmp_path) == ["out.parquet"]


def test_a_failure_leaves_what_was_there(table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    path.write_bytes(before := parquet_bytes(table.slice(0, 1)))
    with pytest.raises(KeyboardInterrupt), open_parquet(path, table.schema) as writer:
        writer.write_table(table)
        raise KeyboardInterrupt
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["out.parquet"]


def test_a_file_of_the_user_is_not_replaced(table: pa.Table, tmp_path: Path) -> None:
    """Such as the very Parquet file that holds the images."""
    path = tmp_path / "out.parquet"
    pq.write_table(pa.table({"image": [b"a"]}), path)
    foreign = path.read_bytes()
    for before in (foreign, foreign[:-9], b"notes"):
        path.write_bytes(before)
        with pytest.raises(InputError, match="no output of gmixer embed"), open_parquet(path, table.schema):
            pass
        assert path.read_bytes() == before
    path.write_bytes(b"")  # a name that was reserved
    with open_parquet(path, table.schema) as writer:
        writer.write_table(table)
    assert pq.read_table(path).equals(table)


@pytest.fixture
def folder(table: pa.Table, tmp_path: Path) -> Path:
    """Two parts."""
    for i in range(2):
        (tmp_path / f"part-{i:06}.parquet").write_bytes(parquet_bytes(table))
    return tmp_path


def vectors(table: pa.Table) -> list[bytes | None]:
    dtype = table.schema.field("vector").type.value_type.to_pandas_dtype()
    return [row and np.array(row, dtype).tobytes() for row in table["vector"].to_pylist()] * 2


def test_gmixers_own_reader(table: pa.Table, folder: Path) -> None:
    assert open_stored(str(folder)).table().equals(pa.concat_tables([table] * 2))


def test_duckdb(table: pa.Table, folder: Path) -> None:
    import duckdb

    found = duckdb.execute(f"SELECT path, vector, predictions FROM '{folder}/*.parquet' ORDER BY filename").fetchall()
    dtype = table.schema.field("vector").type.value_type.to_pandas_dtype()
    assert [row[1] and np.array(row[1], dtype).tobytes() for row in found] == vectors(table)
    assert [row[2] for row in found] == table["predictions"].to_pylist() * 2
    kinds = duckdb.execute(f"SELECT error_kind, count(*) FROM '{folder}/*.parquet' GROUP BY 1 ORDER BY 1 NULLS FIRST")
    assert kinds.fetchall() == [(None, 2 * len(table) - 2), ("missing", 2)]


def test_polars(table: pa.Table, folder: Path) -> None:
    import polars

    found = polars.read_parquet(folder / "*.parquet")
    dtype = table.schema.field("vector").type.value_type.to_pandas_dtype()
    assert found["vector"].dtype.shape == (256,)  # type: ignore[attr-defined]
    assert [v and np.array(v, dtype).tobytes() for v in found["vector"].to_list()] == vectors(table)
    assert found["predictions"].to_list() == table["predictions"].to_pylist() * 2


def test_pandas(table: pa.Table, folder: Path) -> None:
    import pandas  # type: ignore[import-untyped]

    found = pandas.read_parquet(folder)
    assert [None if v is None else v.tobytes() for v in found["vector"]] == vectors(table)
    assert found["path"].tolist() == table["path"].to_pylist() * 2
    assert found["error_kind"].notna().sum() == 2


def test_lance(table: pa.Table, folder: Path, tmp_path: Path) -> None:
    import lance

    lance.write_dataset(open_stored(str(folder)).table(), tmp_path / "lance")
    found = lance.dataset(tmp_path / "lance").to_table()
    dtype = table.schema.field("vector").type.value_type.to_pandas_dtype()
    assert [row and np.array(row, dtype).tobytes() for row in found["vector"].to_pylist()] == vectors(table)
    assert found["path"].to_pylist() == table["path"].to_pylist() * 2


def test_huggingface_datasets(table: pa.Table, folder: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    files = [str(path) for path in sorted(folder.glob("*.parquet"))]
    found = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    dtype = table.schema.field("vector").type.value_type.to_pandas_dtype()
    assert [row and np.array(row, dtype).tobytes() for row in found["vector"]] == vectors(table)
    assert found["error_kind"] == table["error_kind"].to_pylist() * 2
