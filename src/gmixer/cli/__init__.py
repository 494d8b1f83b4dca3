"""The `gmixer` command: one file per subcommand, thin over Predictor.

    options.py    the options that subcommands share, and the model they open
    inputs.py     PATHS… → images in order, with what was skipped
    report.py     where rows and progress go: terminal, pipe, JSON lines, CSV

Modules here import the library only inside the commands, so that --help stays quick.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer

from gmixer.cli import classify, embed, info, models, options
from gmixer.errors import GmixerError

app = typer.Typer(
    name="gmixer",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Name what photos show and turn them into embeddings, with the G-Mixer family. No PyTorch, no network.",
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
    debug: options.Debug = False,
) -> None:
    pass


app.command()(classify.classify)
app.command()(embed.embed)
app.command()(info.info)
app.command()(models.models)


def main() -> None:
    """The console script. Exit status: 0 all good, 1 some pictures failed, 2 the command could not run."""
    for stream in (sys.stdout, sys.stderr):  # a path that is no valid text must be printed all the same
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "backslashreplace")
    try:
        app()
    except GmixerError as error:
        if options.debug_wanted():
            raise
        typer.echo(f"gmixer: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
