"""writer.py: a file of rows, in each format, is complete or not there."""

from __future__ import annotations

import csv
import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gmixer.errors import InputError, MissingExtraError
from gmixer.rows.writer import FORMATS, check_output, open_writer

COLUMNS: dict[str, Any] = {"path": str, "label": int, "share": float, "right": bool, "top": list[int]}
ROWS: list[dict[str, Any]] = [
    {"path": "a, b.png", "label": 3, "share": 0.25, "right": True, "top": [3, 1]},
    {"path": "c\nd.png", "label": None, "share": None, "right": None, "top": None},
    {"path": 'e".png'},
]
COMPLETE = [dict.fromkeys(COLUMNS) | row for row in ROWS]


def write(path: Path, *batches: Sequence[Mapping[str, Any]]) -> None:
    with open_writer(path, COLUMNS) as writer:
        for batch in batches:
            writer.write(batch)


def read(path: Path) -> list[dict[str, Any]]:
    match path.suffix:
        case ".jsonl":
            return [dict.fromkeys(COLUMNS) | json.loads(line) for line in path.read_text().splitlines()]
        case ".parquet":
            return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    with path.open(newline="") as file:
        return [
            {
                "path": row["path"],
                "label": int(row["label"]) if row["label"] else None,
                "share": float(row["share"]) if row["share"] else None,
                "right": {"True": True, "False": False, "": None}[row["right"]],
                "top": [int(word) for word in row["top"].split()] or None,
            }
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_rows_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, ROWS[:1], [], ROWS[1:])
    assert read(path) == COMPLETE
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_without_rows_is_valid(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"out{suffix}")
    assert read(tmp_path / f"out{suffix}") == []


def test_csv_has_exactly_these_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", ROWS)
    assert (tmp_path / "a.csv").read_bytes() == (
        b'path,label,share,right,top\n"a, b.png",3,0.25,True,3 1\n"c\nd.png",,,,\n"e"".png",,,,\n'
    )


def test_jsonl_has_exactly_these_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS[:1], ROWS[2:])
    first = b'{"path": "a, b.png", "label": 3, "share": 0.25, "right": true, "top": [3, 1]}\n'
    assert (tmp_path / "a.jsonl").read_bytes() == first + b'{"path": "e\\".png"}\n'


def test_parquet_types_do_not_depend_on_the_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS[:1])
    write(tmp_path / "b.parquet", [dict.fromkeys(COLUMNS)])
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema == pq.read_schema(tmp_path / "b.parquet")
    assert [str(field.type) for field in schema] == ["string", "int64", "double", "bool", "list<element: int64>"]


def test_each_batch_is_a_row_group_of_parquet(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS[:2], ROWS[2:])
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2


@pytest.mark.parametrize("suffix", FORMATS)
def test_names_that_are_not_valid_text(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, [{"path": os.fsdecode(b"\xe9.png")}])
    assert (b"\xe9.png" if suffix == ".csv" else rb"\udce9.png") in path.read_bytes()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("before", ["before", None])
def test_a_failure_leaves_what_was_there(suffix: str, before: str | None, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    if before:
        path.write_text(before)
    with pytest.raises(KeyboardInterrupt), open_writer(path, COLUMNS) as writer:
        writer.write(ROWS)
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ([path.name] if before else [])
    assert not before or path.read_text() == before


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_file_has_the_permissions_of_every_new_file(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    write(tmp_path / f"out{suffix}", ROWS)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_check_output_refuses_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, words in (
        ("a.txt", "ends in .txt; wanted one of .csv, .jsonl, .parquet"),
        ("a", "has no extension"),
        ("no/a.csv", "cannot be written: .*no is no folder"),
        ("folder.csv", "is a folder; wanted the name of a file"),
    ):
        with pytest.raises(InputError, match=words):
            check_output(tmp_path / name)
    with pytest.raises(InputError, match=r"ends in \.csv; wanted \.npz"):
        check_output(tmp_path / "a.csv", (".npz",))
    assert os.listdir(tmp_path) == ["folder.csv"]


def test_check_output_refuses_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(InputError, match="no permission to write in"):
        check_output(tmp_path / "a.csv")


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="a Parquet file needs pyarrow: pip install 'gmixer\\[train\\]'"):
        check_output(tmp_path / "a.parquet")
    check_output(tmp_path / "a.csv")
