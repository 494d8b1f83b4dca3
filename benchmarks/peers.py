"""Compares gmixer with timm, ONNX Runtime and OpenVINO on the same weights: python -m benchmarks.peers --help"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gmixer.cli.bench import MAX_IMAGES, AsJson, Isa, Model, PlotFile, Seconds, numbers
from gmixer.cli.signals import exit_on_sigterm
from gmixer.errors import GmixerError

RECORDED = ("numpy", "pillow", "torch", "timm", "onnxruntime", "openvino", "nncf")  # their versions are printed

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def peers(
    model: Model = "gmixer_24_224",
    batch: Annotated[list[str] | None, typer.Option(help="Batch sizes, such as 1,4 or 1-4. Default: 1,16.")] = None,
    threads: Annotated[list[str] | None, typer.Option(help="Numbers of threads. Default: all.")] = None,
    isa: Isa = None,
    precision: Annotated[
        str, typer.Option(help="The precision of the products, of gmixer and its peers: fp32, bf16 or int8.")
    ] = "fp32",
    seconds: Seconds = 2.0,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How many rounds.")] = 5,
    only: Annotated[
        list[str] | None, typer.Option(help="Which of forward, images, photos, start. Default: all.")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Which of timm, onnxruntime, openvino run the forward pass. Default: all that have this precision."
        ),
    ] = None,
    photos: Annotated[Path | None, typer.Option(help="A folder of your own JPEGs instead of drawn ones.")] = None,
    count: Annotated[int, typer.Option(min=16, max=100_000, help="How many photos.")] = 500,
    as_json: AsJson = False,
    plot: PlotFile = None,
) -> None:
    """Compare the speed of gmixer with timm, ONNX Runtime and OpenVINO on the same weights.

    Contestants take turns in fresh processes, and ratios are formed round by round. Four groups of contests: the
    forward pass; one image to its tensor; a folder of photos to classes and embeddings; whole processes.

    Exit status: 0 all was measured, 1 a peer failed, 2 the command could not run.
    """
    from benchmarks.contest import ContestRow, Note
    from benchmarks.contest_plan import GROUPS, ContestPlan, contest_steps, families, isas_from, peers_of
    from benchmarks.contest_plot import plot_contests
    from gmixer.bench.machine import this_machine
    from gmixer.bench.plot import check_plot
    from gmixer.bench.tables import measure, open_report
    from gmixer.bench.target import open_target
    from gmixer.isa import check_isa
    from gmixer.options import FP32, Native
    from gmixer.runtimes import default_threads
    from gmixer.runtimes.threads import MAX_THREADS

    wanted_groups = words(only or GROUPS, "--only", GROUPS)
    in_precision = Native(precision=precision).precision or FP32  # type: ignore[arg-type] # Native refuses other words
    known = families(in_precision)
    plan = ContestPlan(
        batches=numbers(batch or ["1,16"], "--batch", MAX_IMAGES),
        threads=numbers(threads or [f"{default_threads()}"], "--threads", MAX_THREADS),
        isas=isas_from(check_isa(isa, in_precision), in_precision),
        seconds=seconds,
        precision=in_precision,
        rounds=rounds,
        groups=[group for group in GROUPS if group in wanted_groups],
        peers=peers_of(words(against or known, f"in {precision}, --against", known), in_precision),
        photos=photos,
        photo_count=count,
    )
    plan.check_packages()
    if plot:
        check_plot(plot)
    exit_on_sigterm()
    machine = this_machine(RECORDED)
    report = open_report(as_json=as_json)
    with open_target(model, native=Native(precision=FP32)) as target:  # the peers need weights in fp32
        report.begin(machine, replace(target, precision=plan.precision))
        rows = measure(contest_steps(target, plan), report)
    if plot:
        plot_contests([row for row in rows if isinstance(row, ContestRow)], machine, target.name, plot)
    raise typer.Exit(any(isinstance(row, Note) and row.failed for row in rows))


def words(texts: Sequence[str], option: str, known: Sequence[str]) -> list[str]:
    """The words in "one,two". Raises BadParameter for a word that is not known."""
    found = [word.strip() for word in ",".join(texts).split(",")]
    if unknown := [word for word in found if word not in known]:
        raise typer.BadParameter(f"{option} {unknown[0]!r}: wanted some of {', '.join(known)}")
    return found


def main() -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the gmixer command does
    try:
        app()
    except (GmixerError, OSError) as error:
        sys.exit(_say(error))


def _say(error: Exception) -> int:
    typer.echo(f"benchmarks.peers: {error}", err=True)
    return 2


if __name__ == "__main__":
    main()
