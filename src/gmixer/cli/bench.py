"""gmixer bench"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gmixer.cli import options

MOST_IMAGES = 4096  # in a batch: 2.5 GB of 224 px


def bench(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="gmixer_24_224 and its like get drawn weights; variant.tag, a folder or a .safetensors file have "
            "their own, which must be on this machine.",
            autocompletion=options.complete_model,
        ),
    ] = "gmixer_24_224",
    batch: Annotated[list[str] | None, typer.Option(help="Images a call: 1,4,16,64 by default.")] = None,
    threads: Annotated[
        list[str] | None, typer.Option(help="Numbers of threads, such as 1,2 or 1-4; default: one, and all.")
    ] = None,
    isa: Annotated[str | None, typer.Option(help="The instruction set; default: the best this processor has.")] = None,
    seconds: Annotated[float, typer.Option(min=0.01, max=3600, help="How long each row is measured.")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line; the first is the machine.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw it into this .png, .svg or .pdf (extra gmixer[bench]).")
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Measure this machine's arithmetic ceiling, and how much of it the network reaches here.

    Every row is a fresh process. The ceiling is multiply-adds on registers alone; it is measured between the calls,
    since a machine that others share changes its speed.
    """
    from gmixer.bench.ceiling import ceiling_steps
    from gmixer.bench.forward import ForwardRow, forward_steps
    from gmixer.bench.machine import this_machine
    from gmixer.bench.plot import check_plot, plot_forward
    from gmixer.bench.report import measure, open_report
    from gmixer.bench.stages import stage_step
    from gmixer.bench.subject import subject
    from gmixer.engine import available_isas, check_isa, default_threads
    from gmixer.engine.threads import MOST_THREADS

    batches = numbers(batch or ["1,4,16,64"], "--batch", MOST_IMAGES)
    counts = numbers(threads or [f"1,{default_threads()}"], "--threads", MOST_THREADS)
    taken = check_isa(isa)
    if plot:
        check_plot(plot)
    machine = this_machine()
    report = open_report(as_json=as_json)
    with subject(model) as measured:
        report.begin(machine, measured)
        steps = [
            *ceiling_steps([taken] if isa else available_isas(), counts, seconds=seconds / 4),
            *forward_steps(measured, batches=batches, threads=counts, isa=taken, seconds=seconds),
            stage_step(
                measured,
                batch=min(batches, key=lambda images: abs(images - 16)),
                threads=max(counts),
                isa=taken,
                seconds=seconds,
            ),
        ]
        rows = measure(steps, report)
    if plot:
        plot_forward([row for row in rows if isinstance(row, ForwardRow)], machine, plot)


def numbers(texts: Sequence[str], option: str, most: int) -> list[int]:
    """Of 1,4,16 and 1-4, in that order, each once. Raises BadParameter, also for one above `most`."""
    found: dict[int, None] = {}
    for part in ",".join(texts).split(","):
        bounds = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part, re.ASCII)
        first, last = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (0, 0)
        if not 1 <= first <= last <= most:
            raise typer.BadParameter(f"{option} {part!r}: wanted whole numbers from 1 to {most}, such as 1,4 or 1-4")
        found.update(dict.fromkeys(range(first, last + 1)))
    return list(found)
