"""Draws an Agreement with matplotlib (extra `gmixer[bench]`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gmixer.agreement.summary import CLEAR_MARGIN, Agreement, AnswersAgreement
from gmixer.bench.plot import new_figure
from gmixer.files import atomic_write
from gmixer.predictor import Predictor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gmixer.bench.machine import Machine

SAME, CHANGED = "#2f6fde", "#d9730d"
MARGIN_BINS = 20


def plot_agreement(found: Agreement, predictor: Predictor, against: Predictor, machine: Machine, path: Path) -> None:
    """Three panels: probabilities beside each other, the margins of changed answers, the cosine of the embeddings.

    Only the last one for a model without classes.
    """
    here, there = predictor.runtime.precision, against.runtime.precision
    panels = 3 if found.answers else 1
    title = f"{predictor.name}, {here} against {there}: {found.n:,} images"
    figure, axes = new_figure(1, panels, machine, title, (4.5 * panels, 4))
    if found.answers:
        _probabilities(axes[0], found.answers, here, there)
        _margins(axes[1], found.answers, there)
    _cosines(axes[-1], found)
    with atomic_write(path, shared=True) as unfinished:
        figure.savefig(unfinished, format=path.suffix[1:].lower(), dpi=150)


def _probabilities(axes: Axes, answers: AnswersAgreement, here: str, there: str) -> None:
    for is_same, colour, label in ((True, SAME, "same answer"), (False, CHANGED, "changed answer")):
        chosen = answers.same_N == is_same
        x, change = answers.probability_N[chosen], answers.change_N[chosen]
        axes.scatter(x, x + change, s=6, color=colour, label=label, alpha=0.6, linewidths=0, rasterized=True)
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(title=f"probability of the {there} answer", xlabel=there, ylabel=here)
    axes.legend(frameon=False, loc="upper left", markerscale=2)


def _margins(axes: Axes, answers: AnswersAgreement, there: str) -> None:
    same, changed = (answers.margin_N[answers.same_N == is_same] for is_same in (True, False))
    axes.hist(
        [changed, same],
        bins=np.linspace(0, 1, MARGIN_BINS + 1),
        stacked=True,
        color=[CHANGED, SAME],
        label=["changed answer", "same answer"],
    )
    axes.axvline(CLEAR_MARGIN, color="black", linestyle="--", linewidth=1)
    axes.set(title=f"lead of the {there} answer", xlabel="probability above the second class", ylabel="images")
    axes.legend(frameon=False)


def _cosines(axes: Axes, found: Agreement) -> None:
    """1 - cosine, because all cosines are close to 1."""
    distance_N = np.sort(1 - found.cosine_N)[::-1].clip(1e-16)
    axes.plot(distance_N, np.arange(1, found.n + 1) / found.n * 100, color=SAME, drawstyle="steps-post")
    for percentile, value in found.cosines.items():
        axes.plot(max(1 - value, 1e-16), percentile, "o", color="black", markersize=4)
        axes.annotate(f" {value:.5f}", (max(1 - value, 1e-16), percentile), fontsize=9, va="bottom")
    axes.set(xscale="log", ylim=(0, 100))
    axes.set(title="embeddings", xlabel="1 - cosine", ylabel="% of the images have this distance or more")
