"""Every picture's answer, to a file: CSV, JSON lines or Parquet by its name. Whole, or not there."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gmixer.errors import InputError, missing_extra
from gmixer.evaluate.validate import Validated
from gmixer.files import atomic_write
from gmixer.prefetch import batches

FORMATS = (".csv", ".jsonl", ".parquet")
ROW_GROUP = 65_536  # rows of a Parquet file that are in memory at a time


def check_output(path: Path) -> None:
    """Before minutes of work. Raises InputError for a name of another format, or a folder that is not there."""
    if path.suffix not in FORMATS:
        raise InputError(f"{path} ends in {path.suffix or 'nothing'}; wanted one of {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder, or its folder is not there")
    if path.suffix == ".parquet":
        _parquet()


def write_predictions(validated: Validated, path: Path) -> None:
    """One row a picture that counts, in their order; what could not be read has an error and no answer."""
    with atomic_write(path, shared=True) as unfinished:
        match path.suffix:
            case ".csv":
                _write_csv(validated, unfinished)
            case ".jsonl":
                with unfinished.open("w", encoding="utf-8") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows(validated))
            case _:
                _write_parquet(validated, unfinished)


def rows(validated: Validated) -> Iterator[dict[str, Any]]:
    """path, label and label_name, predicted and predicted_name, probability, right, top5 (class indices), error."""
    outcomes, names = validated.outcomes, [label.name for label in validated.labels]
    for n, i in enumerate(outcomes.image.tolist()):
        label, predicted = int(outcomes.label[n]), int(outcomes.predicted[n])
        yield {
            "path": validated.images.name(i),
            "label": label,
            "label_name": names[label],
            "predicted": predicted,
            "predicted_name": names[predicted],
            "probability": round(float(outcomes.probability[n]), 6),
            "right": bool(outcomes.rank[n] == 0),
            "top5": outcomes.best[n].tolist(),
            "error": None,
        }
    empty = dict.fromkeys(("label", "label_name", "predicted", "predicted_name", "probability", "right", "top5"))
    for error in validated.unreadable:
        yield {"path": error.source} | empty | {"error": error.reason}


def _write_csv(validated: Validated, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer: csv.DictWriter[str] | None = None
        for row in rows(validated):
            if writer is None:
                writer = csv.DictWriter(file, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row | {"top5": " ".join(map(str, row["top5"] or ()))})


def _write_parquet(validated: Validated, path: Path) -> None:
    """Columns have their types whatever the rows hold; a path that is no valid text is escaped."""
    pa, pq = _parquet()
    types = {
        "path": pa.string(),
        "label": pa.int64(),
        "label_name": pa.string(),
        "predicted": pa.int64(),
        "predicted_name": pa.string(),
        "probability": pa.float64(),
        "right": pa.bool_(),
        "top5": pa.list_(pa.int64()),
        "error": pa.string(),
    }
    texts = [name for name, kind in types.items() if kind == pa.string()]
    with pq.ParquetWriter(path, pa.schema(types)) as writer:
        for batch in batches(rows(validated), ROW_GROUP):
            for row in batch:
                row.update({name: _valid(row[name]) for name in texts})
            writer.write_table(pa.Table.from_pylist(batch, pa.schema(types)))


def _valid(text: str | None) -> str | None:
    """The text with \\udce9 where a file's name has the byte E9 and is no UTF-8, which Parquet has no place for."""
    return text and text.encode("utf-8", "backslashreplace").decode()


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise missing_extra("a Parquet file", "pyarrow", "train") from error
    return pyarrow, pyarrow.parquet
