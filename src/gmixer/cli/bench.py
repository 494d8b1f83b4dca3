"""gmixer bench"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gmixer.cli import options

MAX_IMAGES = 4096  # in a batch: 2.5 GB of 224 px
MEASURED = ("numpy", "pillow", "torch", "timm", "onnxruntime", "openvino")  # packages whose versions count
PEERS = ("timm", "onnxruntime", "openvino")


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
    batch: Annotated[
        list[str] | None, typer.Option(help="Images a call, such as 1,4 or 1-4; default: 1,4,16,64, with --peers 1,16.")
    ] = None,
    threads: Annotated[
        list[str] | None, typer.Option(help="Numbers of threads; default: one and all, with --peers all.")
    ] = None,
    isa: Annotated[str | None, typer.Option(help="The instruction set; default: the best this processor has.")] = None,
    seconds: Annotated[float, typer.Option(min=0.01, max=3600, help="How long a process measures.")] = 2.0,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="Compare with timm, ONNX Runtime and OpenVINO instead (extra: bench)."),
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="With --peers: how often each takes its turn.")] = 5,
    only: Annotated[
        list[str] | None, typer.Option(help="With --peers: which of forward, pictures, photos, start; default: all.")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="With --peers: forward passes of timm, onnxruntime, openvino; default: all."),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="With --peers: a folder of your own JPEGs instead of drawn ones.")
    ] = None,
    count: Annotated[int, typer.Option(min=16, max=100_000, help="With --peers: how many photos.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line; the first is the machine.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Also draw it into this .png, .svg or .pdf (extra: bench).")] = None,
    debug: options.Debug = False,
) -> None:
    """Measure this machine's arithmetic ceiling, and how much of it the network reaches here; or, with --peers, how
    fast others are with the same weights.

    Every row is a fresh process. The ceiling is multiply-adds on registers alone; it is measured between the calls,
    since a machine that others share changes its speed.

    With --peers contestants take turns, and ratios are formed round by round: the forward pass; one picture to its
    tensor; a folder of photos to classes and embeddings; the start of whole processes.

    Exit status: 0 all was measured, 1 a peer failed, 2 the command could not run.
    """
    from gmixer.bench.contest import ContestRow, Note
    from gmixer.bench.extras import require
    from gmixer.bench.forward import ForwardRow
    from gmixer.bench.machine import this_machine
    from gmixer.bench.plan import GROUPS, ContestPlan, Plan, contest_steps, isas_from, own_steps, peers_named
    from gmixer.bench.plot import check_plot, plot_contests, plot_forward
    from gmixer.bench.tables import measure, open_report
    from gmixer.bench.target import subject
    from gmixer.isa import available_isas, check_isa
    from gmixer.runtimes import default_threads
    from gmixer.runtimes.threads import MAX_THREADS

    if not peers and (only or against or photos):
        raise typer.BadParameter("--only, --against and --photos go with --peers")
    batches = numbers(batch or ["1,16" if peers else "1,4,16,64"], "--batch", MAX_IMAGES)
    most = default_threads()
    counts = numbers(threads or [f"{most}" if peers else f"1,{most}"], "--threads", MAX_THREADS)
    taken = check_isa(isa)
    if peers:
        contests = ContestPlan(
            batches=batches,
            threads=counts,
            isas=isas_from(taken),
            seconds=seconds,
            rounds=rounds,
            groups=[group for group in GROUPS if group in words(only or GROUPS, "--only", GROUPS)],
            peers=peers_named(words(against or PEERS, "--against", PEERS)),
            photos=photos,
            photo_count=count,
        )
        require(contests.packages(), "gmixer bench --peers")
    else:
        isas = [taken] if isa else [taken, *(other for other in available_isas() if other != taken)]
        plan = Plan(batches=batches, threads=counts, isas=isas, seconds=seconds)
    if plot:
        check_plot(plot)

    # As an interrupt does, it must end the process that measures, and take the scratch folder with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine = this_machine(MEASURED if peers else MEASURED[:2])
    report = open_report(as_json=as_json)
    with subject(model) as measured:
        report.begin(machine, measured)
        rows = measure(contest_steps(measured, contests) if peers else own_steps(measured, plan), report)
    if plot and peers:
        plot_contests([row for row in rows if isinstance(row, ContestRow)], machine, measured.name, plot)
    elif plot:
        plot_forward([row for row in rows if isinstance(row, ForwardRow)], machine, plot)
    raise typer.Exit(any(isinstance(row, Note) and row.failed for row in rows))


def words(texts: Sequence[str], option: str, known: Sequence[str]) -> list[str]:
    """Of one,two. Raises BadParameter for one that is not known."""
    found = [word.strip() for word in ",".join(texts).split(",")]
    if unknown := [word for word in found if word not in known]:
        raise typer.BadParameter(f"{option} {unknown[0]!r}: wanted some of {', '.join(known)}")
    return found


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
