"""The files of folders and archives that have no row, because they are no images: how many, and the first names."""

from __future__ import annotations

from dataclasses import dataclass, field

from gmixer.errors import ImageError
from gmixer.sources.entry import MEMBER_MARK, NoFile

NAMED = 3  # of the files without a row
_ARCHIVE_ENDINGS = (".tar", ".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".cbz")


class LeftOut:
    """The files left out of all folders and archives of a run.

    in_rows: how many of them are named in the row of a folder without an image; they are in no other count.
    """

    def __init__(self) -> None:
        self.in_rows = 0
        self._others = Tally("file is no image and left out", "files are no image and left out")
        self._archives = Tally(
            "archive is left out, because it was not named itself",
            "archives are left out, because they were not named themselves",
        )
        self._no_files = Tally("link or pipe is left out", "links or pipes are left out")

    def __len__(self) -> int:
        return self.in_rows + sum(tally.count for tally in self._tallies)

    def search(self, path: str, what: str) -> Search:
        """Begins a folder or an archive. path: as typed. what: "folder" or "archive"."""
        return Search(self, path, what)

    def add(self, key: str, *, is_file: bool) -> None:
        if not is_file:
            self._no_files.add(key)
        elif key.lower().endswith(_ARCHIVE_ENDINGS):
            self._archives.add(key)
        else:
            self._others.add(key)

    def parts(self) -> list[str]:
        """A phrase for each kind of files. It holds names of files as they are."""
        return [str(tally) for tally in self._tallies if tally.count]

    @property
    def _tallies(self) -> tuple[Tally, ...]:
        return self._others, self._archives, self._no_files


class Search:
    """One folder or archive. If it holds no image, it gets a row of its own, which names the files in it."""

    def __init__(self, left_out: LeftOut, path: str, what: str) -> None:
        self._left_out, self._path, self._what = left_out, path, what
        self._names = Tally("", "")
        self._unsaid: list[tuple[str, bool]] = []
        self._found = False

    def found(self) -> None:
        """An image is there, or an error."""
        self._found = True
        self._say()

    def leave_out(self, entry: object, key: str) -> None:
        self._names.add(key[key.rfind("/") + 1 :].rpartition(MEMBER_MARK)[2])
        self._unsaid.append((key, not isinstance(entry, NoFile)))
        if self._found or self._names.count > NAMED:  # otherwise the row of the path names them
            self._say()

    def without_image(self) -> ImageError | None:
        """At the end: the error for the row; None if there was an image."""
        if self._found:
            return None
        self._left_out.in_rows += len(self._unsaid)
        if not self._names.count:
            return no_files(self._what, self._path)
        return ImageError("not_image", f"the {self._what} holds no image, only {self._names.named}", self._path)

    def _say(self) -> None:
        for key, is_file in self._unsaid:
            self._left_out.add(key, is_file=is_file)
        self._unsaid.clear()


@dataclass(slots=True)
class Tally:
    """one, several: the words after the number. names: the first NAMED."""

    one: str
    several: str
    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if self.count <= NAMED:
            self.names.append(name)

    def __str__(self) -> str:
        return f"{self.count} {self.one if self.count == 1 else self.several} ({self.named})"

    @property
    def named(self) -> str:
        return ", ".join(self.names) + (" …" if self.count > NAMED else "")


def no_files(what: str, path: str) -> ImageError:
    return ImageError("empty", f"the {what} holds no files; hidden files (.name) do not count", path)
