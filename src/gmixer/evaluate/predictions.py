"""Every picture's answer, to a file: CSV, JSON lines or Parquet by its name. Whole, or not there."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gmixer.errors import InputError, missing_extra
from gmixer.evaluate.validate import Validated

FORMATS = (".csv", ".jsonl", ".parquet")


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
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        match path.suffix:
            case ".csv":
                _write_csv(validated, unfinished)
            case ".jsonl":
                unfinished.write_text("".join(json.dumps(row) + "\n" for row in rows(validated)), encoding="utf-8")
            case _:
                pa, pq = _parquet()
                pq.write_table(pa.Table.from_pylist(list(rows(validated))), unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def rows(validated: Validated) -> Iterator[dict[str, Any]]:
    """path, label and label_name, predicted and predicted_name, probability, right, top5 (class indices), error."""
    judged, names = validated.judged, [label.name for label in validated.labels]
    for n, i in enumerate(judged.picture.tolist()):
        label, predicted = int(judged.label[n]), int(judged.predicted[n])
        yield {
            "path": validated.pictures.name(i),
            "label": label,
            "label_name": names[label],
            "predicted": predicted,
            "predicted_name": names[predicted],
            "probability": round(float(judged.probability[n]), 6),
            "right": bool(judged.rank[n] == 0),
            "top5": judged.best[n].tolist(),
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


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise missing_extra("a Parquet file", "pyarrow", "train") from error
    return pyarrow, pyarrow.parquet
