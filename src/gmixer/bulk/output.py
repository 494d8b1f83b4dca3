"""The folder of parts that a bulk run writes.

OUT/part-000000.parquet      the rows of part 0
OUT/_gmixer/manifest.json    the stamp
OUT/_gmixer/parts/000000.json  the record of part 0; written after its file, so a part with a record is finished
OUT/_gmixer/locks/           which parts are being made

Nothing here depends on the time, the machine or the number of processes, but for the locks.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property

import pyarrow as pa
import pyarrow.parquet as pq

from gmixer.bulk.locks import part_lock
from gmixer.bulk.manifest import Manifest, PartRecord
from gmixer.bulk.parquet_file import parquet_bytes
from gmixer.bulk.part import Part
from gmixer.bulk.place import Place, open_place
from gmixer.bulk.stamp import Stamp
from gmixer.errors import InputError, words_of
from gmixer.options import Storage

FOLDER = "_gmixer"
MANIFEST = f"{FOLDER}/manifest.json"
RECORDS = f"{FOLDER}/parts"


def part_name(number: int) -> str:
    return f"part-{number:06}.parquet"


class OutputFolder:
    """`OutputFolder.open` makes one. It may be opened again in another process, from the same three arguments."""

    def __init__(self, place: Place, manifest: Manifest) -> None:
        self._place, self._manifest = place, manifest

    @classmethod
    def open(cls, place: str, stamp: Stamp, storage: Storage) -> OutputFolder:
        """Makes the folder if it is not there.

        Raises InputError if the folder has another stamp, or if it holds other files and no manifest; OSError.
        """
        there = open_place(place, storage)
        wanted = Manifest(stamp=stamp)
        found = there.read(MANIFEST)
        if found is None:
            _check_empty(there)
            if there.create(MANIFEST, wanted.to_json()):
                return cls(there, wanted)
            found = there.read(MANIFEST) or b""  # of a process that was faster
        manifest = Manifest.from_json(found, source=f"{place.rstrip('/')}/{MANIFEST}")
        if differences := manifest.stamp.differences(stamp):
            raise InputError(
                f"{place} was made in another way: {'; '.join(differences)}; wanted the same model and options, or "
                "another output"
            )
        return cls(there, manifest)

    @property
    def place(self) -> str:
        return self._place.name

    @property
    def stamp(self) -> Stamp:
        return self._manifest.stamp

    @property
    def is_sliced(self) -> bool:
        """Whether part i still holds the entries from i × part_size on of the listing."""
        return self._manifest.is_sliced

    def stop_slicing(self) -> None:
        """Before the first update changes anything."""
        if self.is_sliced:
            self._manifest = Manifest(stamp=self.stamp, is_sliced=False)
            self._place.write(MANIFEST, self._manifest.to_json())

    def lock(self, number: int) -> AbstractContextManager[None]:
        """Raises PartTaken if another process makes the part."""
        return part_lock(self._place, number)

    def numbers(self) -> list[int]:
        """Of the finished parts, in order."""
        return sorted(self._numbers)

    def finished(self, number: int) -> PartRecord | None:
        """The record of a finished part."""
        if number not in self._numbers:
            return None
        data = self._place.read(f"{RECORDS}/{number:06}.json")
        return None if data is None else PartRecord.from_json(data)

    def damage(self, number: int) -> str | None:
        """Why the file of a finished part is not what its record states; None if it is. Reads the whole file."""
        record, data = self.finished(number), self._place.read(part_name(number))
        if record is None:
            return "its record is damaged"
        if data is None:
            return "its file is missing"
        if len(data) != record.bytes:
            return f"its file holds {len(data):,} bytes, not {record.bytes:,}"
        if hashlib.sha256(data).hexdigest() != record.sha256:
            return "its file has other bytes than were written"
        return None

    def read(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a finished part."""
        data = self._place.read(part_name(number))
        if data is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), part_name(number))
        return pq.read_table(io.BytesIO(data), columns=columns and list(columns))

    def write(self, part: Part, table: pa.Table) -> None:
        """The file of a part, then its record. Raises OSError, which names the part, and leaves no half of it."""
        data = parquet_bytes(table)
        failures = Counter(kind for kind in table["error_kind"].to_pylist() if kind is not None)
        record = PartRecord(
            rows=len(table),
            failures=dict(sorted(failures.items())),
            fingerprint=part.fingerprint,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
        )
        name = part_name(part.number)
        try:
            self._remove_leftovers(part.number)
            self._place.remove(f"{RECORDS}/{part.number:06}.json")  # of the file that is replaced
            self._place.write(name, data)
            self._place.write(f"{RECORDS}/{part.number:06}.json", record.to_json())
        except OSError as error:
            said = f"part {part.number} cannot be written: {words_of(error, 'the system refused it')}"
            raise OSError(error.errno or errno.EIO, said, self.place) from error
        self._numbers.add(part.number)

    def _remove_leftovers(self, number: int) -> None:
        """Of processes that were killed while they wrote this part or the manifest. The part's lock is held."""
        starts = f".{part_name(number)}.", f"{RECORDS}/.{number:06}.json.", f"{FOLDER}/.manifest.json."
        for name in {name for name in self._leftovers if name.startswith(starts)}:
            self._place.remove(name)
            self._leftovers.remove(name)

    @cached_property
    def _leftovers(self) -> set[str]:
        """Of all parts. Some may be files that other processes write now."""
        names = {
            "": self._place.names(""),
            f"{FOLDER}/": self._place.names(FOLDER),
            f"{RECORDS}/": self._place.names(RECORDS),
        }
        return {folder + name for folder in names for name in names[folder] if name.startswith(".")}

    @cached_property
    def _numbers(self) -> set[int]:
        found = (re.fullmatch(r"(\d{6,})\.json", name) for name in self._place.names(RECORDS))
        return {int(match[1]) for match in found if match}


def _check_empty(place: Place) -> None:
    others = [name for name in place.names("") if not name.startswith(".") and name != FOLDER]
    if others:
        raise InputError(
            f"{place.name} holds {others[0]} and no embeddings of gmixer; wanted an empty or a new folder, or a name "
            "that ends in .parquet or .npz"
        )
