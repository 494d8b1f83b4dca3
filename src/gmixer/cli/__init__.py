"""The `gmixer` command: one file per subcommand, thin over Predictor.

    options.py    the options that subcommands share, and the model they open
    inputs.py     PATHS… → images in order, with what was skipped
    report.py     where rows and progress go: terminal, pipe, JSON lines, CSV
    terminal.py   whose words reach stderr
    progress.py   a bar that counts
    watch.py      what a person sees of a training run

Modules here import the library only inside the commands, so that --help stays quick.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Annotated

import typer

from gmixer.cli import bench, classify, doctor, embed, info, models, options, pull, terminal, train, validate
from gmixer.errors import GmixerError

app = typer.Typer(
    name="gmixer",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Name what photos show and turn them into embeddings, with the G-Mixer family. No PyTorch needed.",
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
app.command()(pull.pull)
app.command()(doctor.doctor)
app.command()(bench.bench)
app.command()(train.train)
app.command()(validate.validate)


def main() -> None:
    """The console script.

    Exit status: 0 all good, 1 some pictures failed, 2 the command could not run, 130 interrupted; a reader that leaves
    early, such as `head`, ends it by SIGPIPE, as it does every other tool.
    """
    # numpy's BLAS would start threads, which spin beside ours for a while; the commands have no large products for it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    nowhere = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    if sys.stderr is None:  # the shell closed it
        terminal.send_to_devnull(terminal.STDERR)  # or the next file opened would get what C libraries say
    sys.stdout = sys.stdout or nowhere
    sys.stderr = sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):  # a path that is no valid text must be printed all the same
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "backslashreplace")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, where an error can still be told
            sys.stderr.flush()
    except (GmixerError, OSError) as error:  # OSError: a full disk, a device that refuses
        if options.debug_wanted():
            raise
        from gmixer.cli.report import printable

        typer.echo(f"gmixer: {printable(str(error))}", err=True)  # it may quote a hostile file's own words
        os._exit(2)  # at a normal exit Python would try to write what could not be written once more, and complain
    except KeyboardInterrupt:
        os._exit(130)
    except SystemExit as end:
        if options.debug_wanted() or not isinstance(end.code, int):
            raise
        # A normal exit takes 50 ms to put everything away, and waits for threads: one may be at a URL that is silent.
        os._exit(end.code)
