"""gmixer index"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.options import Storage
    from gmixer.search.build import Built


@flags.shared_flags()
def index(
    *,
    sources: Annotated[
        list[str],
        typer.Argument(metavar="OUT...", help="What gmixer embed wrote: folders of parts, .parquet files, or URLs."),
    ],
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="INDEX", help="The folder of the index, or a URL: s3://, gs://, az://."),
    ],
    index_options: flags.IndexOptions = None,
    storage: Storage,
    debug: flags.Debug = False,
) -> None:
    """Build an index of stored embeddings, for gmixer search. Needs pip install 'gmixer\\[search]'.

    Example: gmixer index embeddings -o photos.index

    An index is a LanceDB database with one table, `images`: one row for each path. Up to 100,000 rows, a search
    compares every row. Above, an approximate index is built, and its recall is measured and printed.

    Run it again with more embeddings: new paths are added, changed rows are replaced. Embeddings of another model or
    precision are refused.

    Exit status: 0 the index is built, 2 the command could not run.
    """
    import time

    from gmixer.bulk.stored import open_stored
    from gmixer.rows.progress import progress_bar
    from gmixer.rows.text import printable
    from gmixer.search.build import build_index

    stored = [open_stored(source, storage) for source in sources]
    total = sum(source.count() for source in stored)
    began = time.monotonic()

    def say_training(rows: int) -> None:
        nonlocal began
        began = time.monotonic()
        typer.echo(f"building an approximate index over {rows:,} rows …", err=True)

    with progress_bar("rows", total) as bar:
        built = build_index(
            stored,
            output,
            options=flags.as_texts(flags.as_object("--index-options", index_options)),
            on_progress=bar.update,
            on_training=say_training,
        )
    typer.echo(printable(f"{output}: {_in_words(built)}"))
    if found := built.approximate:
        typer.echo(
            f"approximate search: {found.nprobes} of {found.lists:,} lists; recall@10 {found.recall:.3f} against exact "
            f"search, on {found.queries} of the rows"
        )
    else:
        typer.echo("exact search: every row is compared")


def _in_words(built: Built) -> str:
    counts = {
        "added": built.added,
        "replaced": built.replaced,
        "unchanged": built.unchanged,
        "left out without a vector": built.without_vector,
        "left out with a vector that is zero or not finite": built.without_direction,
    }
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"{built.rows:,} rows; {said or 'the embeddings hold none'}"
