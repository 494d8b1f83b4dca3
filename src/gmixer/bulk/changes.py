"""The listing and the rows that are there, entry by entry → what an update makes.

A database on disk joins the two, so that memory stays constant over any number of entries. Nothing here depends on when
an earlier update was interrupted: a part that is written already has no changes, and the new entries that are left fill
the part numbers that are left.
"""

from __future__ import annotations

import errno
import pickle
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import count, islice
from typing import NamedTuple

import pyarrow as pa

from gmixer.bulk.fingerprint import Facts, facts_of, fingerprint
from gmixer.bulk.manifest import PartRecord
from gmixer.bulk.output import OutputFolder
from gmixer.bulk.part import Part, held, slices
from gmixer.bulk.record import Record
from gmixer.errors import InputError
from gmixer.options import Limits

TRY_AGAIN = ("timeout", "unreadable", "missing")  # errors that may be of the network: an update reads the image again
REMOVED, SAME, CHANGED = 0, 1, 2
WAY_OUT = "pass --update (update=True) to embed only what has changed, or name another output"

# stored: the rows of the parts; each is REMOVED until an entry of the listing takes it. fresh: entries without a row.
_TABLES = """
CREATE TABLE stored (key TEXT, part INTEGER, row INTEGER, size INTEGER, version TEXT, label TEXT, failed INTEGER,
                     state INTEGER DEFAULT 0, record BLOB, PRIMARY KEY (key, state, part, row)) WITHOUT ROWID;
CREATE TABLE fresh (place INTEGER PRIMARY KEY, record BLOB);
"""


class _Damaged(NamedTuple):
    """A part whose file is damaged. record: None if that is damaged too."""

    number: int
    record: PartRecord | None


class _Slices:
    """Whether the finished parts are slices of the listing still, fact by fact: then the other parts are too.

    present: number → fingerprint.
    """

    def __init__(self, present: Mapping[int, str], part_size: int) -> None:
        self._left, self._part_size = dict(present), part_size
        self._differ = False

    def watched(self, records: Iterable[Record]) -> Iterator[Record]:
        listing = iter(records)
        for number in count():
            found = []
            for record in islice(listing, self._part_size):
                found.append(facts_of(record))
                yield record
            if not found:
                return
            before = self._left.pop(number, None)
            self._differ |= before is not None and before != fingerprint(found)

    @property
    def are_as_before(self) -> bool:
        """After the last record."""
        return not self._differ and not self._left


def changed_parts(
    records: Iterable[Record],
    output: OutputFolder,
    *,
    update: bool,
    share: tuple[int, int],
    on_damage: Callable[[int, str], None],
) -> Iterator[Part]:
    """The parts that hold changed or removed entries, then parts of new entries. Without `update`, damaged parts only.

    An entry that the listing names several times stands as often in the parts. A size, a version or a label that is not
    known counts as unchanged.

    Raises InputError for the first change if `update` is False.
    """
    with _database() as db:
        present: dict[int, str] = {}  # number → fingerprint
        damaged: list[_Damaged] = []
        for number in output.numbers():
            if why := output.damage(number):
                on_damage(number, why)  # its entries are new ones then, and fill its number first
                damaged.append(_Damaged(number, output.finished(number)))
            elif record := output.finished(number):
                present[number] = record.fingerprint
                _add_stored(db, number, output)
        if not update:
            _compare(db, records, output, update=False, damaged=damaged)
            if removed := db.execute(
                "SELECT key, part FROM stored WHERE state = ? ORDER BY part, row LIMIT 1", (REMOVED,)
            ).fetchone():
                raise _changed_since(output, f"{removed[0]} is no longer listed", part=removed[1])
            turn, processes = share
            for part in _made_again(db, damaged, output):
                if part.number % processes == turn - 1:
                    yield part
            return
        slices = _Slices(present, output.stamp.part_size or 1)
        _compare(db, slices.watched(records) if output.is_sliced else records, output, update=True)
        db.execute("CREATE INDEX by_part ON stored (part, row)")
        touched = [
            part for (part,) in db.execute("SELECT DISTINCT part FROM stored WHERE state != ? ORDER BY part", (SAME,))
        ]
        if touched or not slices.are_as_before:
            output.stop_slicing()
        for number in touched:
            yield _rewritten(db, number, output)
        yield from _new_parts(db, set(present), output)


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """On disk, in the folder for temporary files, and without a name: it ends with the process however that ends."""
    with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -32768")  # KiB
        db.executescript(_TABLES)
        db.execute("BEGIN")
        try:
            yield db
        except sqlite3.OperationalError as error:
            said = f"{error}: an update keeps the list of images there; set TMPDIR to a folder on a larger disk"
            raise OSError(errno.ENOSPC, said, "temporary files") from error


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


def _compare(
    db: sqlite3.Connection,
    records: Iterable[Record],
    output: OutputFolder,
    *,
    update: bool,
    damaged: Sequence[_Damaged] = (),
) -> None:
    """Each entry of the listing takes the first row of its key that no entry has taken yet.

    damaged: parts that may hold the rows of entries without one, which then are no change.
    """
    limits = Limits(**output.stamp.reading["limits"])
    fresh, lost = 0, sum(part.record.rows for part in damaged if part.record)
    for place, record in enumerate(records):
        key, *listed = facts_of(record)
        found = db.execute(
            "SELECT part, row, size, version, label, failed FROM stored WHERE key = ? AND state = ? "
            "ORDER BY part, row LIMIT 1",
            (key, REMOVED),
        ).fetchone()
        if found is None:
            fresh += 1
            if not update and fresh > lost:
                raise _untold(output, damaged[0].number) if damaged else _changed_since(output, f"{key} is new")
            db.execute("INSERT INTO fresh VALUES (?, ?)", (place, pickle.dumps(held(record, limits))))
            continue
        part, row, *stored, failed = found
        at = key, REMOVED, part, row
        same = all(new is None or old == new for old, new in zip(stored, listed, strict=True))
        if same and not (failed and update):
            db.execute("UPDATE stored SET state = ? WHERE key = ? AND state = ? AND part = ? AND row = ?", (SAME, *at))
        elif not update:
            raise _changed_since(output, f"{key} has changed", part=part)
        else:
            blob = pickle.dumps(held(record, limits))
            db.execute(
                "UPDATE stored SET state = ?, record = ?, size = ?, version = ?, label = ? "
                "WHERE key = ? AND state = ? AND part = ? AND row = ?",
                (CHANGED, blob, *listed, *at),
            )


def _made_again(db: sqlite3.Connection, damaged: Iterable[_Damaged], output: OutputFolder) -> Iterator[Part]:
    """Damaged parts, of the entries without a row: in the order of the listing, as many as each part had.

    Raises InputError if these are not the entries that the parts were made of.
    """
    to_compare, to_make = _fresh(db), _fresh(db)
    for number, record in damaged:
        if record is None or fingerprint(map(facts_of, islice(to_compare, record.rows))) != record.fingerprint:
            raise _untold(output, number)
        records = islice(to_make, record.rows)
        yield Part.of(number, records)
        deque(records, maxlen=0)


def _rewritten(db: sqlite3.Connection, number: int, output: OutputFolder) -> Part:
    """Its rows in their old order, without those of removed entries."""
    rows = db.execute(
        "SELECT row, state, key, size, version, label FROM stored WHERE part = ? AND state != ? ORDER BY row",
        (number, REMOVED),
    ).fetchall()
    changed = db.execute("SELECT record FROM stored WHERE part = ? AND state = ? ORDER BY row", (number, CHANGED))
    kept_rows = [row for row, state, *_ in rows if state == SAME]
    kept, made = count(), count(len(kept_rows))
    return Part(
        number,
        (pickle.loads(blob) for (blob,) in changed),
        [Facts(*facts) for _, _, *facts in rows],
        output.read(number).take(pa.array(kept_rows, pa.int64())),
        tuple(next(kept if state == SAME else made) for _, state, *_ in rows),
    )


def _new_parts(db: sqlite3.Connection, present: set[int], output: OutputFolder) -> Iterator[Part]:
    free = (number for number in count() if number not in present)
    for records in slices(_fresh(db), output.stamp.part_size or 1):
        yield Part.of(next(free), records)


def _fresh(db: sqlite3.Connection) -> Iterator[Record]:
    """The entries without a row. One is in memory: it may hold the bytes of a member of an archive."""
    for (blob,) in db.execute("SELECT record FROM fresh ORDER BY place"):
        yield pickle.loads(blob)


def _untold(output: OutputFolder, number: int) -> InputError:
    return InputError(
        f"part {number} of {output.place} is damaged, and its entries cannot be told from new ones; pass --update "
        "(update=True) to embed what is missing"
    )


def _changed_since(output: OutputFolder, what: str, *, part: int | None = None) -> InputError:
    made = output.place if part is None else f"part {part} of {output.place}"
    return InputError(f"the sources have changed since {made} was made: {what}; {WAY_OUT}")
