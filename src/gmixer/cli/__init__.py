"""The `gmixer` command: one file for each subcommand, thin over the library.

    flags.py      the flags that commands share, folded into objects
    opening.py    the model that a command opens, and a progress bar for its images
    against.py    the second model of a comparison
    terminal.py   keeps C libraries off stderr
    watch.py      what a training run prints

Modules here import the library inside the commands, so that --help is quick.
"""

from __future__ import annotations

import inspect
import io
import os
import signal
import sys
from typing import Annotated

import typer

from gmixer.cli import (
    agreement,
    bench,
    classify,
    convert,
    doctor,
    duplicates,
    embed,
    flags,
    index,
    info,
    map,
    models,
    pull,
    search,
    terminal,
    train,
    validate,
)
from gmixer.errors import GmixerError, words_of

app = typer.Typer(
    name="gmixer",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Classify images and turn them into embeddings, with the G-Mixer family. PyTorch is optional.",
)


def _version(show: bool) -> None:
    if show:
        import gmixer

        typer.echo(f"gmixer {gmixer.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: flags.Debug = False,
) -> None:
    pass


app.command()(classify.classify)
app.command()(embed.embed)
app.command()(index.index)
app.command()(search.search)
app.command()(duplicates.duplicates)
app.command()(map.map)
app.command()(info.info)
app.command()(models.models)
app.command()(pull.pull)
app.command()(convert.convert)
app.command()(doctor.doctor)
app.command()(bench.bench)
app.command()(train.train)
app.command()(validate.validate)
app.command()(agreement.agreement)
for _command in app.registered_commands:  # typer keeps the line breaks of a docstring, in a terminal of any width
    _text = inspect.cleandoc(_command.callback.__doc__ or "") if _command.callback else ""
    _command.help = "\n\n".join(paragraph.replace("\n", " ") for paragraph in _text.split("\n\n"))


def main() -> None:
    """The console script.

    Exit status: 0 all is well, 1 some images failed (classify, embed, validate, agreement), 2 the command could not
    run, 130 interrupted. If the reader of a pipe closes it, such as `head`, SIGPIPE ends the command, like other tools.
    """
    # numpy's BLAS would start threads that spin beside ours. The commands have no large products for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    devnull = open(os.devnull, "w")  # noqa: SIM115 - open until the process ends
    if sys.stderr is None:  # the shell closed it
        terminal.send_to_devnull(terminal.STDERR)  # or C libraries would write into the next file that is opened
    sys.stdout = sys.stdout or devnull
    sys.stderr = sys.stderr or devnull
    for stream in (sys.stdout, sys.stderr):  # a path that is not valid text must still be printed
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "backslashreplace")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, so that an error is still reported
            sys.stderr.flush()
    except (GmixerError, OSError) as error:  # OSError: a full disk, a device that refuses
        if flags.debug_wanted():
            raise
        from gmixer.rows.text import printable

        where = f"{error.filename}: " if isinstance(error, OSError) and isinstance(error.filename, str) else ""
        said = printable(where + words_of(error, "the system refused it"))
        typer.echo(f"gmixer: {said}", err=True)  # it may quote text from a hostile file
        os._exit(2)  # a normal exit would try the failed write again, and print a traceback
    except KeyboardInterrupt:
        os._exit(130)
    except SystemExit as end:
        if flags.debug_wanted() or not isinstance(end.code, int):
            raise
        # A normal exit takes 50 ms, and waits for threads. One of them may wait for a URL that does not answer.
        os._exit(end.code)
