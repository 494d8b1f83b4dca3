"""The rows as a picture, by matplotlib (extra `gmixer[bench]`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmixer.bench.extras import require
from gmixer.bench.row import figures, threads_in_words
from gmixer.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.contest import ContestRow
    from gmixer.bench.forward import ForwardRow
    from gmixer.bench.machine import Machine

FORMATS = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Before minutes of measuring: raises InputError, MissingExtraError, OSError where it could not be written."""
    require(["matplotlib"], "--plot")
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--plot {path}: wanted a name that ends with {', '.join(FORMATS)}")
    new = not path.exists()
    with open(path, "ab"):
        pass
    if new:
        path.unlink()


def plot_forward(rows: Sequence[ForwardRow], machine: Machine, path: Path) -> None:
    """How much of the ceiling is reached, and the time an image, over the batch; a line for each number of threads."""
    figure, (fractions, times) = _figure(1, 2, machine, f"{rows[0].model}, fp32 on {rows[0].isa}", (9, 4))
    for threads in sorted({row.threads for row in rows}):
        of_threads = sorted((row for row in rows if row.threads == threads), key=lambda row: row.batch)
        batches = [row.batch for row in of_threads]
        label = threads_in_words(threads)
        for axes, spreads, unit in (
            (fractions, [row.fraction for row in of_threads], 100),
            (times, [row.ms_per_image for row in of_threads], 1),
        ):
            medians = [spread.median * unit for spread in spreads]
            below = [(spread.median - spread.p10) * unit for spread in spreads]
            above = [(spread.p90 - spread.median) * unit for spread in spreads]
            axes.errorbar(batches, medians, yerr=[below, above], marker="o", capsize=3, label=label)
    fractions.axhline(100, color="black", linestyle="--", linewidth=1)
    fractions.set(ylabel="% of the arithmetic ceiling", ylim=(0, 110))
    times.set(ylabel="ms an image (whiskers: p10 … p90)")
    times.set_ylim(bottom=0)
    ticks = sorted({row.batch for row in rows})
    for axes in (fractions, times):
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, labels=list(map(str, ticks)))
        axes.minorticks_off()
        axes.set_xlabel("batch")
        axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def plot_contests(rows: Sequence[ContestRow], machine: Machine, model: str, path: Path) -> None:
    """A panel a contest: bars of the time, with the fastest and the slowest round, and where the ceiling lies."""
    contests = list({id(row.contest): row.contest for row in rows}.values())
    bars_in = [0.3 * len([row for row in rows if row.contest is contest]) + 0.2 for contest in contests]
    inches = (9.0, 1.2 + sum(bars_in) + 0.7 * len(contests))
    title = f"{model}: ms, median of {rows[0].rounds} rounds; whiskers: the fastest and the slowest"
    figure, panels = _figure(len(contests), 1, machine, title, inches, bars_in)
    for axes, contest in zip(panels, contests, strict=True):
        of_contest = [row for row in rows if row.contest is contest]
        medians = [row.ms.median for row in of_contest]
        whiskers = [
            [row.ms.median - row.ms.least for row in of_contest],
            [row.ms.greatest - row.ms.median for row in of_contest],
        ]
        first = of_contest[0]
        ours = [row.entrant == contest.first.key or not row.rival for row in of_contest]
        colours = ["tab:orange" if our else "tab:blue" for our in ours]
        bars = axes.barh([row.label for row in of_contest], medians, xerr=whiskers, capsize=3, color=colours)
        texts = [f"{figures(row.ms.median)}  (× {row.times.median:.2f})" for row in of_contest]
        axes.bar_label(bars, texts, padding=6, fontsize=8)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.3 * max(row.ms.greatest for row in of_contest))
        axes.grid(visible=False, axis="y")
        heading = contest.what
        if contest.macs and first.ceiling_gflops:
            ceiling_ms = 2e-6 * contest.macs / first.ceiling_gflops
            axes.axvline(ceiling_ms, color="black", linestyle="--", linewidth=1)
            heading += f"; dashed: the arithmetic ceiling, {figures(ceiling_ms)}"
        axes.set_title(heading, loc="left", fontsize=10)
    figure.savefig(path, dpi=150)


def _figure(
    rows: int,
    columns: int,
    machine: Machine,
    title: str,
    inches: tuple[float, float],
    height_ratios: Sequence[float] | None = None,
) -> tuple[Figure, Sequence[Axes]]:
    """Without pyplot: it would look for a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, layout="constrained")
    FigureCanvasAgg(figure)
    grid: Any = figure.subplots(rows, columns, squeeze=False, height_ratios=height_ratios)
    figure.suptitle(title, fontsize=12)
    processors = f"{machine.processors} processor{'s' * (machine.processors > 1)}"
    figure.supxlabel(f"{machine.cpu}, {processors}; gmixer {machine.gmixer}, {machine.date[:10]}", fontsize=8)
    panels: list[Axes] = list(grid.flat)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    return figure, panels
