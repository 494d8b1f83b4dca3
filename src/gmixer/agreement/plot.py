"""Draws an Agreement with matplotlib (extra `gmixer[bench]`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gmixer.agreement.compare import sides
from gmixer.agreement.summary import CLEAR_MARGIN, Agreement, AnswersAgreement
from gmixer.bench.plot import new_figure
from gmixer.files import atomic_write
from gmixer.predictor import Predictor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gmixer.bench.machine import Machine

SAME, CHANGED = "#2f6fde", "#d9730d"
LEAST_LEAD, LEAD_BINS = 1e-4, 24  # six bins for each power of ten
LEAST_DISTANCE = 1e-16  # of float64; a logarithmic axis has no 0


def plot_agreement(found: Agreement, predictor: Predictor, against: Predictor, machine: Machine, path: Path) -> None:
    """Three panels: how probabilities change, which answers change, and the cosine of the embeddings.

    Only the last one for a model without classes.
    """
    here, there = sides(predictor, against)
    columns = 3 if found.answers else 1
    title = f"{predictor.name}, {here} against {there}: {found.n:,} images"
    figure, panels = new_figure(1, columns, machine, title, (4.5 * columns, 4.2))
    if found.answers:
        _changes(panels[0], found.answers, here, there)
        _leads(panels[1], found.answers, there)
    _cosines(panels[-1], found)
    with atomic_write(path, shared=True) as unfinished:
        figure.savefig(unfinished, format=path.suffix[1:].lower(), dpi=150)


def _changes(axes: Axes, answers: AnswersAgreement, here: str, there: str) -> None:
    for label, colour, chosen_N in _parts(answers):
        x, y = answers.probability_N[chosen_N], answers.change_N[chosen_N] * 100
        # Thousands of dots as shapes would make a vector file of megabytes.
        axes.scatter(x, y, s=8, color=colour, label=label, alpha=0.6, linewidths=0, rasterized=True)
    axes.axhline(0, color="black", linewidth=1, zorder=0)
    axes.margins(y=0.2)  # room for the legend
    axes.set(title=f"probability of the {there} answer", xlim=(0, 1), xlabel=f"probability in {there}")
    axes.set_ylabel(f"change in {here}, percentage points")
    axes.legend(frameon=False, loc="upper right", markerscale=2)


def _leads(axes: Axes, answers: AnswersAgreement, there: str) -> None:
    """On a logarithmic axis, because only answers with a small lead change as a rule."""
    labels, colours, chosen = zip(*reversed(_parts(answers)), strict=True)
    leads = [answers.margin_N[chosen_N].clip(LEAST_LEAD) for chosen_N in chosen]
    bins = np.geomspace(LEAST_LEAD, 1, LEAD_BINS + 1)
    axes.hist(leads, bins=bins.tolist(), stacked=True, color=colours, label=labels)
    axes.margins(y=0.35)  # room for the legend
    axes.axvline(CLEAR_MARGIN, color="black", linestyle="--", linewidth=1, label=f"clear: {CLEAR_MARGIN:.0%} or more")
    axes.set(title=f"lead of the {there} answer", xscale="log", xlabel="probability above the second class")
    axes.set_ylabel("images")
    axes.legend(frameon=False, loc="upper left")


def _parts(answers: AnswersAgreement) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """The images with the same answer and those with another one: label, colour, which."""
    return [("same answer", SAME, answers.same_N), ("changed answer", CHANGED, ~answers.same_N)]


def _cosines(axes: Axes, found: Agreement) -> None:
    """By the distance from 1, because all cosines are close to 1."""
    distance_N = np.sort(1 - found.cosine_N)[::-1].clip(LEAST_DISTANCE)
    axes.plot(distance_N, np.arange(1, found.n + 1) / found.n * 100, color=SAME, drawstyle="steps-post")
    for percentile, value in found.cosines.items():
        at = (max(1 - value, LEAST_DISTANCE), percentile)
        axes.plot(*at, "o", color="black", markersize=4)
        axes.annotate(f"{value:.6f}", at, xytext=(6, 2), textcoords="offset points", fontsize=9)
    axes.set(title="embeddings", xscale="log", xlabel="1 − cosine", ylim=(0, 100))
    axes.set_ylabel("% of the images, at this distance or more")
    powers = np.log10(distance_N[[-1, 0]])
    axes.set_xlim(10.0 ** np.floor(powers[0]), 10.0 ** (np.floor(powers[1]) + 1))
