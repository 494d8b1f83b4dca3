"""The folder of parts that a bulk run writes.

OUT/part-000000.parquet      the rows of part 0
OUT/_gmixer/manifest.json    the stamp
OUT/_gmixer/parts/000000.json  the record of part 0; written after its file, so a part with a record is finished
OUT/_gmixer/parts/.000000.json.next  the record of the file that is about to replace part 0
OUT/_gmixer/locks/           which parts are being made

A part that is replaced is whole at any time: its file fits the old record, or the next one.

Nothing here depends on the time, the machine or the number of processes, but for the locks.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property

import pyarrow as pa
import pyarrow.parquet as pq

from gmixer.bulk.locks import PartTaken, part_lock, remove_dead_locks, run_lock
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
# By folder, what killed processes leave there; the group is the number of the part.
_LEFT = {
    "": r"\.?part-(\d{6,})\.parquet(?:\.[0-9a-f]+\.(?:unfinished|trial))?",
    f"{RECORDS}/": r"\.+(\d{6,})\.json\..*",
}


def part_name(number: int) -> str:
    return f"part-{number:06}.parquet"


def part_numbers(records: Iterable[str]) -> set[int]:
    """Of the parts that have these files as their records."""
    found = (re.fullmatch(r"(\d{6,})\.json", name) for name in records)
    return {int(match[1]) for match in found if match}


def _record_name(number: int) -> str:
    return f"{RECORDS}/{number:06}.json"


def _next_name(number: int) -> str:
    return f"{RECORDS}/.{number:06}.json.next"


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

    @contextmanager
    def run(self, *, update: bool) -> Iterator[None]:
        """Around the plan of a run and all its writes, in the process that plans. An update stands alone.

        At its end, the block removes what killed processes have left.

        Raises InputError for an update beside another run, and for a run beside an update.
        """
        with run_lock(self._place, update=update):
            found = self._place.read(MANIFEST)  # again: an update may have ended meanwhile
            if found is not None:
                self._manifest = Manifest.from_json(found, source=f"{self.place.rstrip('/')}/{MANIFEST}")
            self._numbers = self._listed_numbers()
            self._stated_md5s = self._place.md5s()
            yield
            self._remove_rest()

    def lock(self, number: int) -> AbstractContextManager[None]:
        """Raises PartTaken if another process makes the part."""
        return part_lock(self._place, number)

    def numbers(self) -> list[int]:
        """Of the finished parts, in order."""
        return sorted(self._numbers)

    def finished(self, number: int) -> PartRecord | None:
        """The record of a finished part."""
        return self._record(_record_name(number)) if number in self._numbers else None

    def damage(self, number: int) -> str | None:
        """Why the file of a finished part is not what its record states; None if it is.

        Reads the whole file, but where the storage states the same MD5.
        """
        record = self.finished(number)
        if record is not None and self._stated_md5s.get(part_name(number)) == record.md5:
            return None
        data = self._place.read(part_name(number))
        if record is not None and data is not None and record.fits(data):
            return None
        following = self._record(_next_name(number))
        if following is not None and data is not None and following.fits(data):  # killed before the record was written
            self._place.write(_record_name(number), following.to_json())
            return None
        if record is None:
            return "its record is damaged"
        if data is None:
            return "its file is missing"
        if len(data) != record.bytes:
            return f"its file holds {len(data):,} bytes, not {record.bytes:,}"
        return "its file has other bytes than were written"

    def read(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a finished part."""
        data = self._place.read(part_name(number))
        if data is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), part_name(number))
        return pq.read_table(io.BytesIO(data), columns=columns and list(columns))

    def write(self, part: Part, table: pa.Table) -> None:
        """The file of a part, then its record. The same file is not written again.

        Raises OSError, which names the part, and leaves no half of it. A part that was to be replaced stays then.
        """
        data = parquet_bytes(table)
        failures = Counter(kind for kind in table["error_kind"].to_pylist() if kind is not None)
        record = PartRecord.of(
            data, rows=len(table), failures=dict(sorted(failures.items())), fingerprint=part.fingerprint
        )
        number = part.number
        try:
            before = self._place.read(_record_name(number))
            self._numbers |= {number} if before is not None else set()
            if before == record.to_json() and self.damage(number) is None:
                return
            if before is not None:
                self._place.write(_next_name(number), record.to_json())
            self._place.write(part_name(number), data)
            self._place.write(_record_name(number), record.to_json())
            if before is not None:
                self._place.remove(_next_name(number))
        except OSError as error:
            said = f"part {number} cannot be written: {words_of(error, 'the system refused it')}"
            raise OSError(error.errno or errno.EIO, said, self.place) from error
        self._numbers |= {number}

    def _remove_rest(self) -> None:
        """What killed processes left: unfinished files, and parts without a record. A locked part is left alone, and so
        is every file with a name that no run gives.
        """
        finished = self._listed_numbers()
        left: dict[int, list[str]] = {}
        for folder, pattern in _LEFT.items():
            for name in self._place.names(folder.rstrip("/")):
                match = re.fullmatch(pattern, name)
                if match and (name.startswith(".") or int(match[1]) not in finished):
                    left.setdefault(int(match[1]), []).append(folder + name)
        for number, found in left.items():
            with suppress(PartTaken), self.lock(number):
                if self._place.read(_record_name(number)) is not None:
                    found = [name for name in found if name != part_name(number)]
                for name in found:
                    self._place.remove(name)
        for name in self._place.names(FOLDER):
            if name.startswith(".manifest.json."):
                self._place.remove(f"{FOLDER}/{name}")
        remove_dead_locks(self._place, finished)

    def _record(self, name: str) -> PartRecord | None:
        data = self._place.read(name)
        return None if data is None else PartRecord.from_json(data)

    def _listed_numbers(self) -> set[int]:
        return part_numbers(self._place.names(RECORDS))

    @cached_property
    def _numbers(self) -> set[int]:
        return self._listed_numbers()

    @cached_property
    def _stated_md5s(self) -> Mapping[str, str]:
        """When this process looked. A part that has been written since has another one in its record."""
        return self._place.md5s()


def _check_empty(place: Place) -> None:
    others = [name for name in place.names("") if not name.startswith(".") and name != FOLDER]
    if others:
        raise InputError(
            f"{place.name} holds {others[0]} and no embeddings of gmixer; wanted an empty or a new folder, or a name "
            "that ends in .parquet or .npz"
        )
