"""gmixer map"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.options import Storage


@flags.shared_flags()
def map(
    *,
    stored: Annotated[
        str, typer.Argument(metavar="OUT", help="What gmixer embed wrote: a folder, a .parquet file, or a URL.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .html file to write. It works offline.")],
    points: Annotated[
        int, typer.Option(min=1, help="Points on the map at most. Of more rows, they are taken evenly.")
    ] = 50_000,
    thumbnails: Annotated[
        int,
        typer.Option(min=0, help="Thumbnails in the file at most, spread evenly over the map; each takes about 5 kB."),
    ] = 2_000,
    storage: Storage,
    debug: flags.Debug = False,
) -> None:
    """Draw a map of stored embeddings: one page of HTML, where images that look alike lie together.

    Example: gmixer map out -o map.html

    The page has zoom, search, thumbnails, and colors by label, prediction or cluster. The layout is t-SNE: it shows
    which images are neighbours, but distances between clusters mean little. The same rows give the same map.

    Exit status: 0 the command ran, 2 it could not run.
    """
    from gmixer.bulk.stored import open_stored
    from gmixer.cli.terminal import own_stderr
    from gmixer.rows.progress import progress_bar
    from gmixer.rows.text import printable
    from gmixer.rows.writer import check_output
    from gmixer.search.map import make_map
    from gmixer.search.map_page import write_map_page
    from gmixer.search.page import in_words

    check_output(output, (".html",))
    opened = open_stored(stored, storage)
    with progress_bar("layout", figure="percent") as bar:
        made = make_map(opened, points=points, on_progress=bar.update)
    with own_stderr():
        write_map_page(made, output, place=stored, thumbnails=thumbnails, storage=storage)
    said = [f"{output}: {len(made.pictures):,} points", in_words(output.stat().st_size)]
    left_out = made.rows - made.without_vector - made.without_direction - len(made.pictures)
    said += [f"rows not taken: {left_out:,} (--points)"] if left_out else []
    said += [f"rows without a vector, left out: {made.without_vector:,}"] if made.without_vector else []
    said += (
        [f"vectors that are zero or not finite, left out: {made.without_direction:,}"] if made.without_direction else []
    )
    typer.echo(printable("; ".join(said)), err=True)
