"""The listing and the rows that are there, entry by entry → what an update makes.

A database on disk joins the two, so that memory stays constant over any number of entries. Nothing here depends on when
an earlier update was interrupted: a part that is written already has no changes, and the new entries that are left fill
the part numbers that are left.
"""

from __future__ import annotations

import pickle
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pyarrow as pa

from gmixer.bulk.fingerprint import Facts, facts_of, fingerprint
from gmixer.bulk.output import OutputFolder
from gmixer.bulk.part import Part, held
from gmixer.bulk.record import Record
from gmixer.errors import InputError
from gmixer.options import Limits

TRY_AGAIN = ("timeout", "unreadable", "missing")  # errors that may be of the network: an update reads the image again
REMOVED, SAME, CHANGED = 0, 1, 2
WAY_OUT = "pass --update (update=True) to embed only what has changed, or name another output"

_TABLES = """
CREATE TABLE stored (key TEXT, part INTEGER, row INTEGER, size INTEGER, version TEXT, label TEXT, failed INTEGER,
                     state INTEGER DEFAULT 0, record BLOB, PRIMARY KEY (key, part, row)) WITHOUT ROWID;
CREATE TABLE fresh (place INTEGER PRIMARY KEY, record BLOB);
"""


def changed_parts(
    records: Iterable[Record], output: OutputFolder, *, update: bool, on_damage: Callable[[int, str], None]
) -> Iterator[Part]:
    """The parts that hold changed or removed entries, then parts of new entries.

    An entry that the listing names several times stands as often in the parts. A size, a version or a label that is not
    known counts as unchanged.

    Raises InputError for the first change or damaged part if `update` is False.
    """
    with _database() as db:
        present = []
        for number in output.numbers():
            if why := output.damage(number):
                if not update:
                    raise InputError(
                        f"part {number} of {output.place} is damaged: {why}; after an update, only the part says "
                        "which images it held: pass --update (update=True) to embed those that no other part holds"
                    )
                on_damage(number, why)  # its entries are new ones then, and fill its number first
            else:
                present.append(number)
                _add_stored(db, number, output)
        _compare(db, records, output, update=update)
        touched = [
            part for (part,) in db.execute("SELECT DISTINCT part FROM stored WHERE state != ? ORDER BY part", (SAME,))
        ]
        if not update:
            if touched:
                raise _refused(db, output)
            return
        if touched or db.execute("SELECT 1 FROM fresh LIMIT 1").fetchone():
            output.stop_slicing()
        for number in touched:
            yield _rewritten(db, number, output)
        yield from _new_parts(db, set(present), output)


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    with (
        tempfile.TemporaryDirectory(prefix="gmixer-update-") as folder,
        closing(sqlite3.connect(Path(folder) / "join", isolation_level=None)) as db,
    ):
        db.execute("PRAGMA journal_mode = OFF")  # the file is deleted in the end, whatever happens
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -65536")  # KiB
        db.executescript(_TABLES)
        db.execute("BEGIN")
        yield db


def _add_stored(db: sqlite3.Connection, number: int, output: OutputFolder) -> None:
    columns = output.read(number, ("path", "bytes", "version", "label", "error_kind")).to_pydict()
    rows = zip(*columns.values(), strict=True)
    db.executemany(
        "INSERT INTO stored (key, part, row, size, version, label, failed) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (key, number, row, size, version, label, kind in TRY_AGAIN)
            for row, (key, size, version, label, kind) in enumerate(rows)
        ),
    )


def _compare(db: sqlite3.Connection, records: Iterable[Record], output: OutputFolder, *, update: bool) -> None:
    """Each entry of the listing takes the first row of its key that no entry has taken yet."""
    limits = Limits(**output.stamp.reading["limits"])
    for place, record in enumerate(records):
        key, *listed = facts_of(record)
        found = db.execute(
            "SELECT part, row, size, version, label, failed FROM stored WHERE key = ? AND state = ? "
            "ORDER BY part, row LIMIT 1",
            (key, REMOVED),
        ).fetchone()
        if found is None:
            if not update:
                raise _changed_since(output, f"{key} is new")
            db.execute("INSERT INTO fresh VALUES (?, ?)", (place, pickle.dumps(held(record, limits))))
            continue
        part, row, *stored, failed = found
        at = key, part, row
        same = all(new is None or old == new for old, new in zip(stored, listed, strict=True))
        if same and not (failed and update):
            db.execute("UPDATE stored SET state = ? WHERE key = ? AND part = ? AND row = ?", (SAME, *at))
        elif not update:
            raise _changed_since(output, f"{key} has changed")
        else:
            blob = pickle.dumps(held(record, limits))
            db.execute(
                "UPDATE stored SET state = ?, record = ? WHERE key = ? AND part = ? AND row = ?", (CHANGED, blob, *at)
            )


def _rewritten(db: sqlite3.Connection, number: int, output: OutputFolder) -> Part:
    """Its rows in their old order, without those of removed entries."""
    rows = db.execute(
        "SELECT row, state, key, size, version, label, record FROM stored WHERE part = ? AND state != ? ORDER BY row",
        (number, REMOVED),
    ).fetchall()
    kept_rows = [row for row, state, *_ in rows if state == SAME]
    records: list[Record] = []
    order: list[int] = []
    facts: list[Facts] = []
    kept = 0
    for _, state, key, size, version, label, blob in rows:
        if state == SAME:
            order.append(kept)
            kept += 1
            facts.append((key, size, version, label))
        else:
            record = pickle.loads(blob)
            order.append(len(kept_rows) + len(records))
            records.append(record)
            facts.append(facts_of(record))
    return Part(
        number, records, fingerprint(facts), output.read(number).take(pa.array(kept_rows, pa.int64())), tuple(order)
    )


def _new_parts(db: sqlite3.Connection, present: set[int], output: OutputFolder) -> Iterator[Part]:
    free = (number for number in count() if number not in present)
    size = output.stamp.part_size
    fresh = db.execute("SELECT record FROM fresh ORDER BY place")
    while blobs := fresh.fetchmany(size):
        records = [pickle.loads(blob) for (blob,) in blobs]
        yield Part(next(free), records, fingerprint(map(facts_of, records)))


def _refused(db: sqlite3.Connection, output: OutputFolder) -> InputError:
    (key,) = db.execute("SELECT key FROM stored WHERE state = ? ORDER BY part, row LIMIT 1", (REMOVED,)).fetchone()
    return _changed_since(output, f"{key} is no longer listed")


def _changed_since(output: OutputFolder, what: str) -> InputError:
    return InputError(f"the sources have changed since {output.place} was made: {what}; {WAY_OUT}")
