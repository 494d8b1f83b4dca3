"""predictions.py: the answer for each image, in a file."""

from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import gmixer
from gmixer.errors import InputError
from gmixer.evaluate import predictions
from gmixer.evaluate.predictions import rows, write_predictions
from gmixer.evaluate.validate import Validated, validate
from gmixer.labels import imagenet_1k
from gmixer.rows.writer import FORMATS, check_output
from labelled import folders, write

SYNSETS = [imagenet_1k()[i].synset for i in (281, 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = folders(tmp_path_factory.mktemp("data"), dict.fromkeys(SYNSETS, 3))
    bad = root / SYNSETS[0] / "1.png"
    bad.write_bytes(bad.read_bytes()[:45])
    return root


@pytest.fixture(scope="module")
def validated(predictor: gmixer.Predictor, folder: Path) -> Validated:
    return validate(predictor, folder)


def read(path: Path) -> list[dict[str, Any]]:
    match path.suffix:
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case ".parquet":
            return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    with path.open(newline="") as file:
        return [
            {
                "path": row["path"],
                **{name: int(row[name]) if row[name] else None for name in ("label", "predicted")},
                **{name: row[name] or None for name in ("label_name", "predicted_name", "error", "note")},
                "probability": float(row["probability"]) if row["probability"] else None,
                "right": {"True": True, "False": False, "": None}[row["right"]],
                "top5": [int(c) for c in row["top5"].split()] or None,
            }
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_holds_the_same(
    suffix: str, validated: Validated, predictor: gmixer.Predictor, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"out{suffix}"
    check_output(path)
    write_predictions(validated, path)
    found = read(path)
    noted = {} if suffix == ".jsonl" else {"note": None}
    assert found == [noted | row for row in rows(validated)]
    assert os.listdir(tmp_path) == [path.name]
    assert len(found) == 6 and [row["path"] for row in found if row["error"]] == [f"{folder}/{SYNSETS[0]}/1.png"]
    for row in found[:-1]:
        classes = predictor.classify(row["path"])
        assert row["top5"] == [c.index for c in classes]
        assert (row["predicted"], row["predicted_name"]) == (classes[0].index, classes[0].label)
        assert row["probability"] == pytest.approx(classes[0].probability, abs=1e-6)
        assert row["label"] == (281 if SYNSETS[0] in row["path"] else 3)
        assert row["right"] == (row["label"] == row["predicted"])


@pytest.mark.parametrize("suffix", FORMATS)
def test_columns_are_the_same_where_nothing_can_be_read(
    suffix: str, validated: Validated, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    bad = write(tmp_path / "data", {f"{s}/a.png": b"\x89PNG\r\n\x1a\n" for s in SYNSETS})
    write_predictions(validate(predictor, bad), tmp_path / f"bad{suffix}")
    assert [row["error"] is None for row in read(tmp_path / f"bad{suffix}")] == [False, False]
    if suffix == ".parquet":
        write_predictions(validated, tmp_path / "good.parquet")
        assert pq.read_schema(tmp_path / "bad.parquet") == pq.read_schema(tmp_path / "good.parquet")


@pytest.mark.parametrize("suffix", FORMATS)
def test_names_that_are_no_valid_text(suffix: str, predictor: gmixer.Predictor, tmp_path: Path) -> None:
    root = folders(tmp_path / "data", dict.fromkeys(SYNSETS, 1))
    os.rename(root / SYNSETS[1] / "0.png", os.fsencode(root / SYNSETS[1]) + b"/\xe9.png")
    path = tmp_path / f"out{suffix}"
    write_predictions(validate(predictor, root), path)
    assert b"\xe9.png" in path.read_bytes() or rb"\udce9.png" in path.read_bytes()


def test_parquet_in_several_groups(validated: Validated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "BATCH", 4)
    write_predictions(validated, tmp_path / "a.parquet")
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2
    assert read(tmp_path / "a.parquet") == [{"note": None} | row for row in rows(validated)]


def test_an_open_reader_of_the_old_file_reads_it_to_the_end(validated: Validated, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("before")
    with path.open() as before:
        write_predictions(validated, path)
        assert before.read() == "before" and len(read(path)) == 6


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_failure_on_the_way_leaves_what_was_there(
    suffix: str, validated: Validated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_text("before")

    def stopped(validated: Validated) -> Any:
        yield next(rows(validated))
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(predictions, "rows", stopped)
    with pytest.raises(OSError, match="no space"):
        write_predictions(validated, path)
    assert path.read_text() == "before" and os.listdir(tmp_path) == [path.name]


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    for path, words in (
        ("a.txt", "ends in .txt"),
        ("a", "has no extension"),
        ("no/a.csv", "cannot be"),
        ("a.csv", "is a"),
    ):
        with pytest.raises(InputError, match=words):
            check_output(tmp_path / path)
