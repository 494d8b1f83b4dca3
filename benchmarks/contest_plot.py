"""Draws rows of contests with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import ContestRow
from gmixer.bench.machine import Machine
from gmixer.bench.plot import new_figure
from gmixer.bench.row import figures


def plot_contests(rows: Sequence[ContestRow], machine: Machine, model: str, path: Path) -> None:
    """One panel for each contest: bars of the times, with the fastest and the slowest round. A line is the ceiling."""
    contests = list({id(row.contest): row.contest for row in rows}.values())
    bars_in = [0.3 * len([row for row in rows if row.contest is contest]) + 0.2 for contest in contests]
    inches = (9.0, 1.2 + sum(bars_in) + 0.7 * len(contests))
    title = f"{model}: ms, median of {rows[0].rounds} rounds; whiskers: the fastest and the slowest"
    figure, panels = new_figure(len(contests), 1, machine, title, inches, bars_in)
    for axes, contest in zip(panels, contests, strict=True):
        of_contest = [row for row in rows if row.contest is contest]
        medians = [row.ms.median for row in of_contest]
        whiskers = [
            [row.ms.median - row.ms.least for row in of_contest],
            [row.ms.greatest - row.ms.median for row in of_contest],
        ]
        first = of_contest[0]
        ours = [row.contestant == contest.first.key or not row.rival for row in of_contest]
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
