"""gmixer duplicates"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gmixer.options import Storage
    from gmixer.search.duplicates import Copy, Duplicates

LISTED = 20  # groups in a terminal


@flags.shared_flags()
def duplicates(
    *,
    stored: Annotated[
        str, typer.Argument(metavar="OUT", help="What gmixer embed wrote: a folder, a .parquet file, or a URL.")
    ],
    threshold: Annotated[
        float | None,
        typer.Option(
            help="The cosine from which two images count as near copies, above 0, at most 1. Default: 0.95 for the "
            "embedded model; needed for all others (docs/search.md). 1 finds equal vectors, up to rounding."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with all groups.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write all groups to this .csv file, a row an image.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with thumbnails to this .html file. It works offline.")
    ] = None,
    storage: Storage,
    debug: flags.Debug = False,
) -> None:
    """Find exact and near copies among stored embeddings, and name the image to keep. Nothing is deleted.

    Example: gmixer duplicates out --html duplicates.html

    In each group, the image to keep has the most pixels, then the most bytes. Every other image of the group is near
    that image itself. Rows without a vector are left out and counted.

    Exit status: 0 the command ran, 2 it could not run.
    """
    from gmixer.bulk.stored import open_stored
    from gmixer.cli.terminal import own_stderr
    from gmixer.rows.progress import progress_bar
    from gmixer.rows.writer import check_output
    from gmixer.search.duplicates import find_duplicates

    for path, extension in ((csv, ".csv"), (html, ".html")):
        if path:
            check_output(path, (extension,))
    with progress_bar("images") as bar:
        found = find_duplicates(open_stored(stored, storage), threshold=threshold, on_progress=bar.update)
    if csv:
        _write_csv(found, csv)
    if html:
        from gmixer.search.duplicates_page import write_duplicates_page

        with own_stderr():
            write_duplicates_page(found, html, place=stored, storage=storage)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
    else:
        _show(found)


def _write_csv(found: Duplicates, path: Path) -> None:
    from gmixer.files import atomic_write
    from gmixer.rows.csv_file import open_csv

    columns = ("group", "kind", "similarity", "path", "bytes", "width", "height", "label", "sha256")
    with atomic_write(path) as unfinished, open_csv(unfinished, columns) as writer:
        for number, group in enumerate(found.groups, 1):
            writer.write([{"group": number} | copy.to_dict() for copy in group])


class _CopyRow(NamedTuple):
    group: int
    copy: Copy

    def to_dict(self) -> dict[str, Any]:
        return {"group": self.group} | self.copy.to_dict()

    def cells(self) -> Sequence[str]:
        similarity = f"{self.copy.similarity:.4f}"
        return [str(self.group), self.copy.kind, similarity, self._size(), str(self.copy.bytes or ""), self.copy.path]

    def draw(self, columns: int) -> Iterable[RenderableType]:
        from rich.text import Text

        from gmixer.rows.facts import grid
        from gmixer.rows.text import printable
        from gmixer.search.page import in_words

        kept = self.copy.kind == "keep"
        style = {"keep": "green", "exact": "red", "near": "yellow"}[self.copy.kind]
        cells: list[tuple[RenderableType, int | None]] = [
            (Text(f"{self.group}" if kept else "", "bold", justify="right"), 5),
            (Text(self.copy.kind, style), 5),
            (Text("" if kept else f"{self.copy.similarity:.3f}"), 5),
            (Text(self._size(), justify="right"), 11),
            (Text(in_words(self.copy.bytes), justify="right"), 7),
            (Text(printable(self.copy.path), "bold" if kept else ""), None),
        ]
        yield grid(cells, gap=2)

    def _size(self) -> str:
        return f"{self.copy.width}×{self.copy.height}" if self.copy.width and self.copy.height else ""


def _show(found: Duplicates) -> None:
    from gmixer.rows.view import open_view
    from gmixer.search.page import in_words

    view = open_view()
    groups = found.groups if view.console is None else found.groups[:LISTED]
    for number, group in enumerate(groups, 1):
        for copy in group:
            view.row(_CopyRow(number, copy))
    if len(found.groups) > len(groups):
        view.remark(f"… and {len(found.groups) - len(groups):,} more groups: --html shows them, --csv lists all", "dim")
    exact, near = found.count("exact"), found.count("near")
    groups_word = "group" if len(found.groups) == 1 else "groups"
    said = f"{found.images:,} {'image' if found.images == 1 else 'images'}; "
    if found.groups:
        said += f"{len(found.groups):,} {groups_word} with {exact:,} exact and {near:,} near copies"
        said += f" (cosine {found.threshold:g} or more), {in_words(found.bytes_of_copies)} in copies. "
        said += "Nothing was deleted."
    else:
        said += f"no exact copies, and no near copies (cosine {found.threshold:g} or more)"
    typer.echo(said, err=True)
    if found.without_vector:
        typer.echo(f"rows without a vector, left out: {found.without_vector:,}", err=True)
    if found.without_direction:
        said = f"vectors that are zero or not finite, with exact copies alone: {found.without_direction:,}"
        typer.echo(said, err=True)
