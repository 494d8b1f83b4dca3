"""The LanceDB table of an index: where it lies, its columns, its settings."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import KEY, Stamp
from gmixer.errors import GmixerError, InputError, require

TABLE = "images"  # in the LanceDB database that an index is
VECTOR = "vector"
SHOWN = ("path", "label", "top_label", "top_probability", "width", "height", "bytes")
COLUMNS = ("path", "bytes", "version", "sha256", "width", "height", "label", "top_label", "top_probability", VECTOR)
EXACT_ROWS = 100_000  # more are searched approximately: 1,000,000 rows of 384 take 1.2 s exactly
_MOST_LETTERS = 800  # of an error of LanceDB, which may hold a page
SETTINGS = "gmixer"  # of the search, in the metadata of the column `vector`


@dataclass(frozen=True, kw_only=True, slots=True)
class Approximate:
    """How an approximate search runs, as measured when its index was built.

    lists: the parts into which the vectors are divided. nprobes: how many of them a search looks into. refine: so many
    times k candidates are compared by their stored vectors. recall: the share of the 10 nearest rows of an exact search
    that this search found, over `queries` rows of the table.
    """

    lists: int
    nprobes: int
    refine: int
    recall: float
    queries: int

    def write_to(self, table: Any) -> None:
        table.update_field_metadata({"path": VECTOR, "metadata": {SETTINGS: json.dumps(asdict(self))}})


def settings_of(place: str, table: Any) -> Approximate | None:
    """None: every search is exact. Raises InputError for settings of another version of gmixer."""
    text = (table.schema.field(VECTOR).metadata or {}).get(SETTINGS.encode())
    try:
        return Approximate(**json.loads(text)) if text else None
    except (ValueError, TypeError):
        raise InputError(
            f"{place} is of another version of gmixer; run gmixer index again with a new folder (-o)"
        ) from None


def stamp_of(place: str, table: Any) -> Stamp:
    """Raises InputError where the table has none."""
    return Stamp.from_json((table.schema.metadata or {}).get(KEY, b""), source=place)


def index_schema(stamp: Stamp) -> pa.Schema:
    """The columns of a row, in the order of COLUMNS, with the stamp in the metadata.

    path is the primary key, so that of two processes that add a path at once the second replaces the row of the first.
    """
    stored = schema_of(stamp)
    key = pa.field("path", pa.string(), nullable=False, metadata={"lance-schema:unenforced-primary-key": "true"})
    return pa.schema([key if name == key.name else stored.field(name) for name in COLUMNS], stored.metadata)


def open_table(place: str, options: Mapping[str, str] | None = None) -> Any:
    """The LanceDB table of an index. options: LanceDB's storage options.

    Raises InputError if there is no index; MissingExtraError.
    """
    database = connect(place, options) if exists(place) else None  # connecting would make the folder
    table = None if database is None else _opened(place, database)
    if table is None:
        raise InputError(f"{place} is no index; wanted the folder or URL that gmixer index wrote (-o)")
    return table


def open_or_create(place: str, stamp: Stamp, options: Mapping[str, str] | None = None) -> Any:
    """The same; or a new, empty table with this stamp. Raises InputError where something else is in its place."""
    if is_local(place) and os.path.lexists(place) and not exists(place):
        if not os.path.isdir(place):
            raise InputError(f"{place} is a file; wanted a new folder for the index (-o)")
        if os.listdir(place):
            raise InputError(f"{place} is a folder with other files; wanted a new folder, or an index (-o)")
    database = connect(place, options)
    table = _opened(place, database)
    with lance_errors(place):
        if table is None:  # it may be there by now, of another process
            table = database.create_table(TABLE, schema=index_schema(stamp), exist_ok=True)
        return table


def connect(place: str, options: Mapping[str, str] | None) -> Any:
    """The LanceDB database. A local folder is made."""
    os.environ.setdefault("LANCEDB_LOG", "error")  # otherwise it prints warnings, such as that a new table is new
    with require("an index", "search", ["lancedb"]):
        import lancedb
    with lance_errors(place):
        return lancedb.connect(place, storage_options=dict(options or {}))


@contextmanager
def lance_errors(place: str) -> Iterator[None]:
    """Around calls of LanceDB, which raises several kinds of errors: each becomes an InputError. place: the index."""
    try:
        yield
    except GmixerError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        way_out = "" if is_local(place) else "; check the URL and --index-options (storage_options=)"
        if "conflict" in str(error):
            way_out = "; another process writes to the index: run the same gmixer index again"
        raise InputError(f"{place}: LanceDB says: {said_by_lance(error)}{way_out}") from error


def said_by_lance(error: BaseException) -> str:
    """The first line, without the place in LanceDB's source."""
    said = str(error).removeprefix("Invalid input, ").partition("\n")[0]
    return re.sub(r", [^ ]*\.rs:\d+:\d+", "", said)[:_MOST_LETTERS].rstrip(". ")


def exists(place: str) -> bool:
    """Whether there may be an index: on object storage only opening it tells."""
    return not is_local(place) or os.path.isdir(os.path.join(place, f"{TABLE}.lance"))


def is_local(place: str) -> bool:
    return "://" not in place


def text_of(value: str) -> str:
    """The text as a literal of LanceDB's SQL."""
    return "'" + value.replace("'", "''") + "'"


def _opened(place: str, database: Any) -> Any:
    with lance_errors(place):
        is_there = TABLE in database.list_tables(limit=10_000).tables
        return database.open_table(TABLE) if is_there else None
