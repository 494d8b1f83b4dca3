"""The Parquet output of gmixer embed, one file or a folder of parts: the run, its progress and its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

if TYPE_CHECKING:
    from gmixer.bulk.part_options import PartOptions
    from gmixer.bulk.row_options import RowOptions
    from gmixer.bulk.tally import Tally
    from gmixer.options import Storage
    from gmixer.predictor import Predictor


class Sources(NamedTuple):
    """Where the images are. storage: what fsspec needs to reach them, and the output."""

    paths: Sequence[str]
    list_file: str | None
    storage: Storage


def embed_parquet(
    sources: Sources, output: str, predictor: Predictor, rows: RowOptions, parts: PartOptions | None
) -> bool:
    """Writes the rows, and a summary on stderr. parts: None for one file.

    Returns whether some images could not be read.
    """
    from gmixer.bulk.listing import list_records
    from gmixer.bulk.run import Run
    from gmixer.cli.opening import plain_warnings
    from gmixer.cli.signals import exit_on_sigterm
    from gmixer.cli.terminal import own_stderr

    reading = predictor.preprocess.reading
    records = list_records(sources.paths, list_file=sources.list_file, reading=reading, storage=sources.storage)
    exit_on_sigterm()
    with own_stderr(), plain_warnings():
        with _progress(sources, parts) as on_progress:
            run = Run(predictor, rows, on_progress)
            try:
                if parts is None:
                    run.to_file(records, Path(output))
                else:
                    run.to_folder(records, output, parts, sources.storage)
                failure = None
            except BaseException as error:  # an interrupt too
                failure = error
        if failure is not None:
            if run.tally.rows or not isinstance(failure, Exception):  # otherwise the error itself is all
                _say_how_to_go_on(run.tally, output, parts)
            raise failure
        _say_end(run.tally, output, parts, records.summary())
    return bool(run.tally.failed or run.tally.failed_there)


@contextmanager
def _progress(sources: Sources, parts: PartOptions | None) -> Iterator[Callable[[Tally], None]]:
    """A progress bar in a terminal."""
    from gmixer.rows.progress import progress_bar

    if not sys.stderr.isatty():
        yield lambda tally: None
        return
    begun, kept, total = time.monotonic(), 0, _count(sources)
    with progress_bar("images", total) as bar:

        def show(tally: Tally) -> None:
            nonlocal kept
            if tally.kept != kept:  # they took no time, so they say nothing about the time that is left
                kept = tally.kept
                bar.restart(total, done=kept + tally.rows)
            rate = tally.rows / (time.monotonic() - begun)
            facts = [f"images, {rate:,.1f} a second", f"{tally.failed.total():,} failed"]
            if parts is not None:
                facts.append(f"{_many(tally.parts, 'part')} made")
            bar.update(kept + tally.rows, text=", ".join(facts))

        yield show


def _count(sources: Sources) -> int | None:
    """How many files there are. None for a list, an archive and object storage, which would have to be read first."""
    from gmixer.sources.address import is_local
    from gmixer.sources.listing import Listing

    if sources.list_file is not None or not all(map(is_local, sources.paths)):
        return None
    return Listing(sources.paths).count()


def _say_end(tally: Tally, output: str, parts: PartOptions | None, left_out: str) -> None:
    """left_out: a line on the files that are no images."""
    from gmixer.rows.text import printable

    failed, rows = tally.failed + tally.failed_there, tally.rows + tally.there
    if parts is None:
        said = f"{output}: {_many(rows, 'row')}"
    elif not tally.parts:
        said = f"{output}: nothing to do, {_many(rows, 'row')} {'was' if rows == 1 else 'were'} there"
    else:
        said = f"{output}: {_many(tally.rows, 'row')} in {_many(tally.parts, 'part')}"
        said += f", and {_many(tally.there, 'row')} that were there" if tally.there else ""
    if failed:
        said += f"; {failed.total():,} of {rows:,} could not be read"
    typer.echo(printable("; ".join(filter(None, [said, left_out]))), err=True)
    for kind, count in failed.most_common():
        example = f"  such as {tally.examples[kind]}" if kind in tally.examples else ""
        typer.echo(printable(f"  {kind:12} {count:>9,}{example}"), err=True)
    if failed:
        files = output if parts is None else f"{output.rstrip('/')}/*.parquet"
        query = f"SELECT path, error_message FROM '{files}' WHERE error_kind IS NOT NULL"
        typer.echo(printable(f'They are rows too: duckdb -c "{query}"'), err=True)


def _say_how_to_go_on(tally: Tally, output: str, parts: PartOptions | None) -> None:
    from gmixer.rows.text import printable

    if parts is None:
        said = f"{output} is not written. A folder of parts keeps what is finished: -o NAME/"
    else:
        said = f"{output}: this run has finished {_many(tally.parts, 'part')}. The same command goes on from there."
    typer.echo(printable(said), err=True)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
