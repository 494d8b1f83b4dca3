"""gmixer search"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.options import Native, Reading, Storage, Torch, WeightsSource
    from gmixer.search.index import Index


@flags.shared_flags()
def search(
    *,
    place: Annotated[str, typer.Argument(metavar="INDEX", help="What gmixer index wrote: a folder, or a URL.")],
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGE]...",
            help="The query: an image, a member of an archive (photos.tar::cat.jpg), or an http or https URL; - is "
            "standard input. Several are one query, the mean of their directions.",
        ),
    ] = None,
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--row",
            metavar="PATH",
            help="Also a row of the index as the query, by its path. The row itself is left out of the matches.",
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--top-k", min=1, help="How many matches to show.")] = 10,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="SQL", help="Only rows that fit, such as \"label = 'cat' AND width >= 640\" (docs/search.md)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per match.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write a page with thumbnails into this .html file.")] = None,
    index_options: flags.IndexOptions = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Where the weights that made the index are. Default: the model that the index names.",
            autocompletion=flags.complete_model,
        ),
    ] = None,
    weights: WeightsSource,
    reading: Reading,
    runtime: Native | Torch,
    storage: Storage,
    debug: flags.Debug = False,
) -> None:
    """Find the rows of an index that are most similar to an image. Needs pip install 'gmixer\\[search]'.

    Example: gmixer search photos.index cat.jpg -k 20 --where "label = 'cat'"

    The query is embedded by the model that made the index, in the same precision. Its weights are checked.

    Exit status: 0 the search ran, 2 the command could not run, or a query could not be read.
    """
    import numpy as np

    from gmixer.cli.opening import plain_warnings, show_note
    from gmixer.cli.terminal import own_stderr
    from gmixer.rows.view import open_view
    from gmixer.rows.writer import check_output
    from gmixer.search.index import direction_of, open_index
    from gmixer.search.model import open_model_of
    from gmixer.search.queries import embed_queries

    if not images and not rows:
        raise typer.BadParameter("wanted a query: an image, or --row with the path of a row")
    if html:
        check_output(html, (".html",))
    index = open_index(place, storage_options=flags.as_texts(flags.as_object("--index-options", index_options)))
    fitting = index.rows if where is None else index.count(where)
    vectors_QC = [*index.vectors_of(rows)] if rows else []
    queries = []
    if images:
        from dataclasses import replace

        with plain_warnings():
            predictor = open_model_of(place, index.stamp, model, weights, replace(reading, allow_urls=True), runtime)
        with own_stderr():
            queries = embed_queries(index, predictor, images)
    for query in queries:
        vectors_QC.append(query.vector_C)
        if query.note:
            show_note(query.path, query.note)
    direction_C = direction_of(np.stack(vectors_QC), index.stamp.channels)
    matches = index.nearest(direction_C, k, where=where, without=rows or ())
    how = _way(index, fitting)
    view = open_view(as_json=as_json)
    for match in matches:
        view.row(match)
    if not as_json:
        left_out = ", without the query itself" if rows else ""
        said = f"{len(matches):,} of {fitting:,} rows{left_out}; {how}" if fitting else "no row fits the condition"
        typer.secho(said, err=True, dim=True)
    if html:  # last, so that the matches are shown even if the disk is full
        from gmixer.search.matches_page import Found, write_matches_page

        found = Found(
            index=place,
            images=queries,
            rows=rows or [],
            where=where,
            matches=matches,
            fitting=fitting,
            model=index.stamp.model,
            how=how,
        )
        with own_stderr():
            write_matches_page(found, html, storage=storage)


def _way(index: Index, fitting: int) -> str:
    if index.approximate is None or index.is_exact(fitting):
        return "exact search"
    return f"approximate search, recall@10 {index.approximate.recall:.3f}"
