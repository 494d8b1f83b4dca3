"""Sources → stored embeddings: the listing, the reader, the network and the writer, joined.

predictor = gmixer.load("gmixer_24_224")
gmixer.bulk.embed("photos/", "out/", model=predictor)         # a folder of parts; a second call goes on from there
gmixer.bulk.embed("photos/", "out.parquet", model=predictor)  # one file
table = gmixer.bulk.embed("photos/", model=predictor)         # in memory
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

import pyarrow as pa

from gmixer.bulk.listing import Sources, list_records
from gmixer.bulk.output import OutputFolder
from gmixer.bulk.parquet_file import open_parquet
from gmixer.bulk.part import Part, slices
from gmixer.bulk.part_options import PartOptions, Ray
from gmixer.bulk.plan import parts_to_make
from gmixer.bulk.predict import tables_of
from gmixer.bulk.record import Record
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import Stamp
from gmixer.bulk.stored import StoredEmbeddings, open_stored
from gmixer.bulk.tally import Tally
from gmixer.checks import of_class, path_text
from gmixer.errors import InputError
from gmixer.loading import load
from gmixer.options import DEFAULT_STORAGE, Storage
from gmixer.predictor import Predictor
from gmixer.sources.address import is_local

FILE = ".parquet"
_ROWS, _PARTS = RowOptions(), PartOptions()
_PIECE = 4_096  # rows of one file or of a table in memory that are collected before they are written


@dataclass(frozen=True)
class Run:
    """Makes rows of records with one Predictor, and counts them. on_progress: called after each batch.

    Each of its methods raises InputError if there are no records.
    """

    predictor: Predictor
    rows: RowOptions
    on_progress: Callable[[Tally], None] = lambda tally: None
    tally: Tally = field(default_factory=Tally)

    def to_table(self, records: Iterable[Record]) -> pa.Table:
        stamp = Stamp.of(self.predictor, self.rows, None)
        return pa.concat_tables(self._tables(slices(self._counted(records), _PIECE), stamp))

    def to_file(self, records: Iterable[Record], path: Path) -> None:
        """One Parquet file, in constant memory. It takes its place when all rows are there."""
        stamp = Stamp.of(self.predictor, self.rows, None)
        with open_parquet(path, schema_of(stamp)) as writer:
            for table in self._tables(slices(self._counted(records), _PIECE), stamp):
                writer.write_table(table)

    def to_folder(self, records: Iterable[Record], place: str, parts: PartOptions, storage: Storage) -> None:
        """A folder of parts, on this machine or on object storage. Finished parts are not made again.

        Warns of damaged parts, which are made again. Raises InputError if the folder holds other embeddings, if the
        sources have changed, or if another process makes one of the parts.
        """
        stamp = Stamp.of(self.predictor, self.rows, parts.part_size)
        output = OutputFolder.open(place, stamp, storage)
        with output.run(update=parts.update):
            to_make = self._to_make(records, output, parts)
            if parts.on is None:
                made = set(self._made_here(to_make, output))
            else:
                made = set(self._made_on_ray(to_make, output, storage, parts.on))
        turn, processes = parts.share
        for number in output.numbers():
            if number not in made and number % processes == turn - 1 and (record := output.finished(number)):
                self.tally.was_there(record.rows, record.failures)

    def _to_make(self, records: Iterable[Record], output: OutputFolder, parts: PartOptions) -> Iterator[Part]:
        taken = 0

        def counted(part: Part) -> Iterator[Record]:
            nonlocal taken
            for record in part.records:
                taken += 1
                self.tally.kept = self.tally.listed - taken
                yield record

        for part in parts_to_make(
            self._counted(records), output, update=parts.update, share=parts.share, on_damage=_warn_of_damage
        ):
            yield replace(part, records=counted(part))
        self.tally.kept = self.tally.listed - taken

    def _made_here(self, parts: Iterable[Part], output: OutputFolder) -> Iterator[int]:
        """The number of each part, when it is written."""
        begun: deque[tuple[Part, ExitStack]] = deque()  # that are read or wait to be written, each with its lock

        def begin(locks: ExitStack) -> Iterator[Iterable[Record]]:
            for part in parts:
                lock = locks.enter_context(ExitStack())
                lock.enter_context(output.lock(part.number))
                begun.append((part, lock))
                yield part.records

        with ExitStack() as locks:
            for table in self._tables(begin(locks), output.stamp):
                part, lock = begun.popleft()
                output.write(part, part.arranged(table))
                lock.close()
                self.tally.part_made(part.kept)
                yield part.number

    def _made_on_ray(self, parts: Iterator[Part], output: OutputFolder, storage: Storage, ray: Ray) -> Iterator[int]:
        from gmixer.bulk.on_ray import Job, made_on_ray

        job = Job.of(self.predictor, output, storage, threads=ray.threads)
        held = (part.held(self.predictor.preprocess.reading.limits) for part in parts)
        with closing(made_on_ray(held, job, ray)) as made:
            for number, tally in made:
                self.tally.include(tally)
                self.on_progress(self.tally)
                yield number

    def _tables(self, parts: Iterable[Iterable[Record]], stamp: Stamp) -> Iterator[pa.Table]:
        def count(rows: pa.RecordBatch) -> None:
            self.tally.add(rows)
            self.on_progress(self.tally)

        with closing(tables_of(parts, self.predictor, stamp, count)) as tables:
            yield from tables

    def _counted(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            self.tally.listed += 1
            yield record
        if not self.tally.listed:
            raise InputError("the sources list no image; wanted at least one: check the path or the list")


def _warn_of_damage(number: int, why: str) -> None:
    warnings.warn(f"part {number} is damaged, and is made again: {why}", stacklevel=2)


@overload
def embed(
    sources: Sources = (),
    out: None = None,
    *,
    model: str | Predictor,
    rows: RowOptions = ...,
    list_file: str | os.PathLike[str] | None = None,
    storage: Storage = ...,
    on_progress: Callable[[Tally], None] = ...,
) -> pa.Table: ...
@overload
def embed(
    sources: Sources,
    out: str | os.PathLike[str],
    *,
    model: str | Predictor,
    rows: RowOptions = ...,
    parts: PartOptions = ...,
    list_file: str | os.PathLike[str] | None = None,
    storage: Storage = ...,
    on_progress: Callable[[Tally], None] = ...,
) -> StoredEmbeddings: ...
def embed(
    sources: Sources = (),
    out: str | os.PathLike[str] | None = None,
    *,
    model: str | Predictor,
    rows: RowOptions = _ROWS,
    parts: PartOptions = _PARTS,
    list_file: str | os.PathLike[str] | None = None,
    storage: Storage = DEFAULT_STORAGE,
    on_progress: Callable[[Tally], None] = lambda tally: None,
) -> pa.Table | StoredEmbeddings:
    """One row for each image of the sources: the columns of bulk/schema.py. An image that cannot be read is a row too.

    sources: files, folders, archives, URLs and places on object storage, such as `s3://bucket/photos/`.
    out: None returns an Arrow table. A name that ends in `.parquet` becomes one file. Every other name is a folder of
        parts, on this machine or on object storage. A part that is finished there is not made again.
    model: a Predictor, or the name of a model for gmixer.load.
    parts: of a folder.
    list_file: a list of sources: .csv, .parquet or .txt.
    storage: what fsspec needs to reach the sources and out.
    on_progress: gets the counts after each batch.

    Raises InputError if there is nothing to embed, if out holds other embeddings, or if another process makes a part.
    """
    of_class("rows", rows, RowOptions)
    of_class("parts", parts, PartOptions)
    place = None if out is None else path_text("out", out)
    is_file = place is not None and place.endswith(FILE)
    if (place is None or is_file) and parts != _PARTS:
        raise InputError(f"parts are given, and out is {out!r}; wanted a folder, or no parts")
    if place is not None and is_file and not is_local(place):
        raise InputError(f"{place} is one file on object storage; wanted a folder of parts there: take off {FILE}")
    predictor = model if isinstance(model, Predictor) else load(model)
    records = list_records(sources, list_file=list_file, reading=predictor.preprocess.reading, storage=storage)
    run = Run(predictor, rows, on_progress)
    if place is None:
        return run.to_table(records)
    if is_file:
        run.to_file(records, Path(place))
    else:
        run.to_folder(records, place, parts, storage)
    return open_stored(place, storage)
