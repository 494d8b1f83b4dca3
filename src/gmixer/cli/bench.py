"""gmixer bench"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags
from gmixer.cli.signals import exit_on_sigterm

if TYPE_CHECKING:
    from gmixer.options import WeightsSource

MAX_IMAGES = 4096  # in a batch: 2.5 GB of 224 px

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A variant without a tag, such as gmixer_24_224, gets random weights. A name with a tag, a folder or a "
        ".safetensors file has its own weights, which must be on this machine.",
        autocompletion=flags.complete_model,
    ),
]
Isa = Annotated[
    str | None, typer.Option(help="The instruction set: avx512, avx2, neon or scalar. Default: the best of this CPU.")
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="The precision of the products: fp32, bf16 or int8. Default: the one that the weights are stored for."
    ),
]
Seconds = Annotated[float, typer.Option(min=0.01, max=3600, help="How many seconds each process measures.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object per line. The first one describes the machine.")
]
PlotFile = Annotated[
    Path | None,
    typer.Option(help="Also draw a plot into this .png, .svg or .pdf file (needs pip install 'gmixer\\[bench]')."),
]


@flags.shared_flags()
def bench(
    *,
    model: Model = "gmixer_24_224",
    batch: Annotated[
        list[str] | None, typer.Option(help="Batch sizes, such as 1,4 or 1-4. Default: 1,4,16,64.")
    ] = None,
    threads: Annotated[
        list[str] | None,
        typer.Option(help="Numbers of threads, such as 1,2 or 1-4. Default: 1 and all that this process may use."),
    ] = None,
    isa: Isa = None,
    precision: Precision = None,
    seconds: Seconds = 2.0,
    as_json: AsJson = False,
    plot: PlotFile = None,
    weights: WeightsSource,
    debug: flags.Debug = False,
) -> None:
    """Measure the arithmetic ceiling of this machine, and how much of it the network reaches.

    Every row is measured in a fresh process.
    The ceiling is the speed of multiply-adds without memory access, in the precision that is measured.
    It is measured between the calls, because the speed of a shared machine changes.

    Exit status: 0 everything was measured, 2 the command could not run.
    """
    from gmixer.bench.forward import ForwardRow
    from gmixer.bench.machine import this_machine
    from gmixer.bench.plan import Plan, plan_steps
    from gmixer.bench.plot import check_plot, plot_forward
    from gmixer.bench.tables import measure, open_report
    from gmixer.bench.target import open_target
    from gmixer.cli.opening import plain_warnings
    from gmixer.isa import available_isas, check_isa
    from gmixer.options import FP32, Native
    from gmixer.runtimes import default_threads
    from gmixer.runtimes.threads import MAX_THREADS

    native = Native(precision=precision, isa=isa)  # type: ignore[arg-type] # Native refuses other words
    check_isa(isa, native.precision or FP32)
    in_batches = numbers(batch or ["1,4,16,64"], "--batch", MAX_IMAGES)
    on_threads = numbers(threads or [f"1,{default_threads()}"], "--threads", MAX_THREADS)
    if plot:
        check_plot(plot)
    exit_on_sigterm()
    machine = this_machine()
    report = open_report(as_json=as_json)
    with plain_warnings(), open_target(model, weights, native) as target:
        best = check_isa(isa, target.precision)
        others = [other for other in available_isas(target.precision) if other != best]
        plan = Plan(
            batches=in_batches,
            threads=on_threads,
            isas=[best] if isa else [best, *others],
            seconds=seconds,
            precision=target.precision,
        )
        report.begin(machine, target)
        rows = measure(plan_steps(target, plan), report)
    if plot:
        plot_forward([row for row in rows if isinstance(row, ForwardRow)], machine, plot)


def numbers(texts: Sequence[str], option: str, most: int) -> list[int]:
    """The numbers in "1,4,16" or "1-4", in that order, each once. Raises BadParameter for any other text."""
    found: dict[int, None] = {}
    for part in ",".join(texts).split(","):
        bounds = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part, re.ASCII)
        first, last = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (0, 0)
        if not 1 <= first <= last <= most:
            raise typer.BadParameter(f"{option} {part!r}: wanted whole numbers from 1 to {most}, such as 1,4 or 1-4")
        found.update(dict.fromkeys(range(first, last + 1)))
    return list(found)
