"""Make what the embedded model is trained and measured on from the Parquet files in a folder:

    python tools/prepare_embedded_data.py SOURCE DATA HELD_OUT

DATA gets the files for `gmixer train DATA`: SOURCE's train-*.parquet without the rows that are held out, and val-*;
HELD_OUT gets broad.parquet (image, label) for `gmixer validate MODEL HELD_OUT`. A second run makes the same files.

The rows that are held out are labelled rows of the files train-broad-*, in the order of a hash of their bytes. Every
class gives as many, and at most half of its rows. Rows of the other files that show nearly the same image are left out.

A teacher that saw only 64 px of a source's images knows less than their labels. Its answers are emptied there.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

BROAD = "train-broad-*.parquet"
TEACHER = ("teacher_index", "teacher_probability")
ROWS_A_GROUP = 4096
HASH_PX = 16  # a difference hash of 16 × 16 bits
NEAR_BITS = 24  # of 256: the same image in another size and compression differs in fewer; guessed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--count", type=int, default=2000, help="rows to hold out (default: %(default)s)")
    parser.add_argument(
        "--blind",
        nargs="*",
        default=["tiny_*", "food101_64"],
        help="sources whose teacher saw only 64 px (default: %(default)s)",
    )
    arguments = parser.parse_args()
    folders = {folder.resolve() for folder in (arguments.source, arguments.data, arguments.held_out)}
    if len(folders) < 3:
        raise SystemExit("SOURCE, DATA and HELD_OUT are not three folders; DATA would replace files of SOURCE")
    files = sorted(arguments.source.glob("train-*.parquet"))
    broad_files = sorted(arguments.source.glob(BROAD))
    if not broad_files:
        raise SystemExit(f"{arguments.source} has no {BROAD}")

    broad = pa.concat_tables([pq.read_table(file, columns=["image", "label"]) for file in broad_files])
    drawn = draw(broad["label"].to_numpy(), digests(broad["image"]), arguments.count)
    held_out = broad.take(drawn)
    for folder in (arguments.data, arguments.held_out):
        folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(held_out, arguments.held_out / "broad.parquet", row_group_size=ROWS_A_GROUP)
    classes = len(pc.unique(held_out["label"]))
    print(f"held out: {len(held_out):,} rows of {classes} classes")

    held_signs = signs(held_out["image"])
    for file in files:
        table = pq.read_table(file)
        # The rows that are held out are near to themselves.
        near = nearest_bits(signs(table["image"]), held_signs) <= NEAR_BITS
        kept, emptied = without_teacher(table.filter(~near), arguments.blind)
        pq.write_table(kept, arguments.data / file.name, row_group_size=ROWS_A_GROUP)
        print(f"{file.name}: {len(table):,} rows, {int(near.sum()):,} left out, {emptied:,} without their teacher")
    for file in sorted(arguments.source.glob("val-*.parquet")):
        table = pq.read_table(file)
        pq.write_table(table, arguments.data / file.name, row_group_size=ROWS_A_GROUP)
        print(f"{file.name}: {len(table):,} rows")


def digests(images: pa.ChunkedArray) -> list[bytes]:
    return [hashlib.sha256(image.as_buffer()).digest() for image in images]


def draw(labels: NDArray[np.integer], digests: list[bytes], count: int) -> NDArray[np.int64]:
    """The rows to hold out: of each class the first by their digests, as many of each as half of its rows allow."""
    order = sorted(np.flatnonzero(labels >= 0).tolist(), key=lambda row: digests[row])
    halves = np.bincount(labels[order]) // 2
    if halves.sum() < count:
        raise SystemExit(f"half of the labelled rows are {halves.sum():,}; wanted {count:,}")
    rank_of_row, seen = {}, np.zeros(len(halves), np.int64)
    for row in order:
        label = labels[row]
        if seen[label] < halves[label]:
            rank_of_row[row] = int(seen[label])
        seen[label] += 1
    # every class gives its first, then every class its second …; `sorted` keeps the digests' order within a rank
    chosen = sorted(rank_of_row, key=lambda row: rank_of_row[row])[:count]
    return np.sort(np.array(chosen, np.int64))


def signs(images: pa.ChunkedArray) -> NDArray[np.float32]:
    """Difference hashes (n, 256) of ±1: is each point brighter than its left neighbour?"""
    hashes = np.empty((len(images), HASH_PX * HASH_PX), np.float32)
    for row, image in enumerate(images):
        with Image.open(io.BytesIO(image.as_py())) as image:
            small = image.convert("L").resize((HASH_PX + 1, HASH_PX), Image.Resampling.BOX)
        grey = np.asarray(small, np.int16)
        hashes[row] = np.where(grey[:, 1:] > grey[:, :-1], 1, -1).ravel()
    return hashes


def nearest_bits(signs_NH: NDArray[np.float32], others_MH: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,): in how many bits each differs from the most similar of the others."""
    bits = signs_NH.shape[1]
    parts = np.array_split(signs_NH, max(len(signs_NH) // 4096, 1))
    return np.concatenate([(bits - (part @ others_MH.T).max(axis=1)) / 2 for part in parts])


def without_teacher(table: pa.Table, sources: list[str]) -> tuple[pa.Table, int]:
    """The table with the teacher's answers of these sources emptied, and how many there were."""
    names = table["source"].cast(pa.string()).to_pylist()
    blind = pa.array([any(fnmatchcase(name, source) for source in sources) for name in names])
    answered = pc.greater(pc.fill_null(pc.list_value_length(table[TEACHER[0]]), 0), 0)
    emptied = int(pc.sum(pc.and_(blind, answered)).as_py() or 0)
    for column in TEACHER:
        field = table.schema.field(column)
        answers = zip(blind.to_pylist(), table[column].to_pylist(), strict=True)
        lists = pa.array([[] if is_blind else answer for is_blind, answer in answers], field.type)
        table = table.set_column(table.schema.get_field_index(column), field, lists)
    return table, emptied


if __name__ == "__main__":
    main()
