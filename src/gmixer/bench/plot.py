"""Draws rows with matplotlib (extra `gmixer[bench]`)."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmixer.bench.row import threads_in_words
from gmixer.errors import InputError, missing_extra
from gmixer.files import atomic_write, check_writable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gmixer.bench.forward import ForwardRow
    from gmixer.bench.machine import Machine

FORMATS = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Called before the measurement. Raises InputError, MissingExtraError or OSError if no plot could be written."""
    if importlib.util.find_spec("matplotlib") is None:
        raise missing_extra("--plot", "matplotlib", "bench")
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--plot {path}: wanted a name that ends with {', '.join(FORMATS)}")
    if path.is_dir():
        raise InputError(f"--plot {path} is a folder; wanted the name of a file")
    check_writable(path)


def plot_forward(rows: Sequence[ForwardRow], machine: Machine, path: Path) -> None:
    """Two panels over the batch size: part of the ceiling, and time an image. One line for each number of threads."""
    title = f"{rows[0].model}, {rows[0].precision} on {rows[0].isa}"
    figure, (fractions, times) = new_figure(1, 2, machine, title, (9, 4))
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
    with atomic_write(path, shared=True) as unfinished:
        figure.savefig(unfinished, format=path.suffix[1:].lower(), dpi=150)


def new_figure(
    rows: int,
    columns: int,
    machine: Machine,
    title: str,
    inches: tuple[float, float],
    height_ratios: Sequence[float] | None = None,
) -> tuple[Figure, Sequence[Axes]]:
    """A figure with panels, under a title. Made without pyplot, which would look for a screen."""
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
