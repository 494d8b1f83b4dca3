"""The answer for each image, as rows of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gmixer.evaluate.validate import Validated
from gmixer.prefetch import batches
from gmixer.rows.writer import open_writer

COLUMNS: dict[str, Any] = {
    "path": str,
    "label": int,
    "label_name": str,
    "predicted": int,
    "predicted_name": str,
    "probability": float,
    "right": bool,
    "top5": list[int],  # class indices
    "error": str,
    "note": str,
}
BATCH = 65_536  # rows in memory at a time: one row group of a Parquet file


def write_predictions(validated: Validated, path: Path) -> None:
    """One row for each image that counts, in order, then one for each image that could not be read."""
    with open_writer(path, COLUMNS) as writer:
        for batch in batches(rows(validated), BATCH):
            writer.write(batch)


def rows(validated: Validated) -> Iterator[dict[str, Any]]:
    """By COLUMNS. An image that could not be read has only a path and an error. Only an image with a note has it."""
    outcomes, names = validated.outcomes, [label.name for label in validated.labels]
    for n, i in enumerate(outcomes.image.tolist()):
        label, predicted = int(outcomes.label[n]), int(outcomes.predicted[n])
        name = validated.images.name(i)
        note = validated.notes.get(name)
        yield {
            "path": name,
            "label": label,
            "label_name": names[label],
            "predicted": predicted,
            "predicted_name": names[predicted],
            "probability": round(float(outcomes.probability[n]), 6),
            "right": bool(outcomes.rank[n] == 0),
            "top5": outcomes.best[n].tolist(),
            "error": None,
        } | ({"note": note} if note else {})
    for error in validated.unreadable:
        empty = {column: None for column in COLUMNS if column != "note"}
        yield empty | {"path": error.source, "error": error.reason}
