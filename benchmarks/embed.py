"""Measures `gmixer embed`: python -m benchmarks.embed --help"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated

import typer

from gmixer.cli.bench import AsJson
from gmixer.cli.signals import exit_on_sigterm
from gmixer.errors import GmixerError

RECORDED = ("numpy", "pyarrow", "s3fs", "moto", "torch", "timm")  # their versions are printed

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def embed(
    model: Annotated[str, typer.Option("-m", "--model", help="A bare variant has drawn weights.")] = "gmixer_24_224",
    count: Annotated[int, typer.Option(min=32, max=100_000, help="How many photos of 500×375 or so.")] = 192,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How many rounds.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="Which of local, s3, timm. Default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure `gmixer embed` on JPEGs, in fp32 on all processors.

    local: against the model alone, from a local folder. s3: the same from an S3 that answers 20 ms late. timm: against
    a script with timm. Each round runs in fresh processes, and ratios are formed round by round.

    Exit status: 0 all was measured, 1 timm failed, 2 the command could not run.
    """
    from benchmarks.contest import Note
    from benchmarks.embed_contest import GROUPS, PACKAGES, PAUSE_MS, local_steps, s3_steps, timm_steps
    from benchmarks.peers import words
    from benchmarks.slow_s3 import slow_s3
    from gmixer.bench.machine import this_machine
    from gmixer.bench.tables import measure, open_report
    from gmixer.bench.target import open_target
    from gmixer.options import FP32, Native
    from gmixer.runtimes import default_threads

    groups = words(only or GROUPS, "--only", GROUPS)
    _check_packages([package for group in groups for package in PACKAGES[group]])
    exit_on_sigterm()
    machine = this_machine(RECORDED)
    report = open_report(as_json=as_json)
    native = Native(precision=FP32, threads=default_threads())
    with open_target(model, native=native) as target, ExitStack() as servers:
        report.begin(machine, target)
        workload, steps = target.workload(native=native), []
        if "local" in groups:
            steps += local_steps(target, workload, count, rounds)
        if "s3" in groups:
            steps += s3_steps(target, workload, count, rounds, servers.enter_context(slow_s3(PAUSE_MS)))
        if "timm" in groups:
            steps += timm_steps(target, workload, count, rounds)
        rows = measure(steps, report)
    raise typer.Exit(any(isinstance(row, Note) and row.failed for row in rows))


def _check_packages(packages: Sequence[str]) -> None:
    """Raises BadParameter for the first that is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise typer.BadParameter(f"this needs {package}: pip install -r benchmarks/requirements.txt")


def main() -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the gmixer command does
    try:
        app()
    except (GmixerError, OSError) as error:
        typer.echo(f"benchmarks.embed: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
