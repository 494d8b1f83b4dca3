"""A run that ended, as one HTML page that stands alone: no network, no script, pictures inside.

What it shows comes from strangers' files: every text is escaped and kept on one line, and the page forbids itself to
load or to run anything.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from gmixer.datasets import LabeledImages
from gmixer.errors import ImageError
from gmixer.evaluate import Outcomes, Share, confusion, per_class
from gmixer.files import atomic_write
from gmixer.images.decode import decode
from gmixer.models.model_card import one_line, snippets
from gmixer.train.curves import DARK, LIGHT, curves
from gmixer.train.run_dir import REPORT
from gmixer.train.run_summary import RunSummary
from gmixer.weights.architecture import variants_of

TEMPLATE = "report.html.jinja"
MATRIX_CLASSES = 30  # more than these are no table that a person reads: the most confused pairs are listed instead
PAIRS = 20
WORST_CLASSES = 15  # shown at once, where there is no matrix
LISTED_CLASSES = 1_000
LISTED_UNREADABLE = 100
MISTAKES = 24
THUMBNAIL_PX = 160
FEW = 400  # held-out pictures: fewer leave the accuracy at more than ± 5 points


@dataclass(frozen=True, slots=True)
class ClassRow:
    name: str
    learnt: int
    accuracy: Share


@dataclass(frozen=True, slots=True)
class Mistake:
    """thumbnail: a data: URI; "" where there is none."""

    thumbnail: str
    picture: str
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True, slots=True)
class Pair:
    """count of the n held-out pictures of the class `true` were taken for `predicted`."""

    true: str
    predicted: str
    count: int
    n: int


def write_report(summary: RunSummary) -> Path:
    """report.html in the run's folder; whole, or not there."""
    path = summary.folder / REPORT
    with atomic_write(path) as unfinished:
        unfinished.write_text(render(summary), encoding="utf-8")
    return path


def render(summary: RunSummary) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_on_one_line,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(_told(summary))


def _told(summary: RunSummary) -> dict[str, Any]:
    """What the template names."""
    from gmixer import __version__

    outcomes, K = summary.outcomes, len(summary.class_names)
    model = summary.start.model.config
    architecture = variants_of(model)[0]
    rows = _class_rows(summary)
    counts_K = np.bincount(outcomes.label, minlength=K)
    return {
        "account": summary,
        "model": model,
        "architecture": architecture,
        "version": __version__,
        "date": f"{datetime.now().astimezone():%Y-%m-%d}",
        "top1": summary.top1,
        "top5": summary.top5,
        "commonest": summary.class_names[int(counts_K.argmax())],
        "by_guessing": float(counts_K.max() / max(len(outcomes.label), 1)),
        "few": summary.top1.n < FEW,
        "curves": _curves(summary),
        "matrix": confusion(outcomes, K).tolist() if K <= MATRIX_CLASSES else None,
        "pairs": _pairs(outcomes, summary.class_names) if K > MATRIX_CLASSES else [],
        "rows": rows[:LISTED_CLASSES],
        "rows_left_out": max(len(rows) - LISTED_CLASSES, 0),
        "worst_classes": WORST_CLASSES if K > MATRIX_CLASSES else K,
        "mistakes": list(_mistakes(outcomes, summary.parts.val, summary.class_names)),
        "wrong": summary.top1.n - summary.top1.correct,
        "unreadable": list(summary.unreadable.items())[:LISTED_UNREADABLE],
        "recipe": replace(summary.recipe, about="").to_toml().splitlines()[1:],
        "snippets": snippets(summary.name, os.fspath(summary.model_folder), architecture, model),
    }


def _on_one_line(value: Any) -> Any:
    return one_line(value) if type(value) is str else value  # not jinja2's own Markup


def _class_rows(summary: RunSummary) -> list[ClassRow]:
    """The worst first; those without a held-out picture last."""
    shares = per_class(summary.outcomes, len(summary.class_names))
    learnt = [count for _, count in summary.learnt.classes]
    learnt += [0] * (len(shares) - len(learnt))  # where the data has only numbers, they end at the greatest
    rows = [ClassRow(name, n, share) for name, n, share in zip(summary.class_names, learnt, shares, strict=True)]
    return sorted(rows, key=lambda row: (not row.accuracy.n, row.accuracy.value, -row.accuracy.n))


def _pairs(outcomes: Outcomes, class_names: Sequence[str]) -> list[Pair]:
    wrong = outcomes.rank > 0
    counted = Counter(zip(outcomes.label[wrong].tolist(), outcomes.predicted[wrong].tolist(), strict=True))
    n_K = np.bincount(outcomes.label, minlength=len(class_names))
    least = min(max(counted.values(), default=0), 2)  # what happened once is a confusion only where nothing did twice
    return [
        Pair(class_names[true], class_names[predicted], count, int(n_K[true]))
        for (true, predicted), count in counted.most_common(PAIRS)
        if count >= least
    ]


def _mistakes(outcomes: Outcomes, pictures: LabeledImages, class_names: Sequence[str]) -> Iterator[Mistake]:
    """Those that the model was surest of."""
    wrong = np.flatnonzero(outcomes.rank > 0)
    for n in wrong[np.argsort(-outcomes.probability[wrong], kind="stable")][:MISTAKES]:
        i = int(outcomes.image[n])
        yield Mistake(
            _thumbnail(pictures, i),
            pictures.name(i),
            class_names[outcomes.label[n]],
            class_names[outcomes.predicted[n]],
            float(outcomes.probability[n]),
        )


def _thumbnail(pictures: LabeledImages, i: int) -> str:
    try:
        pixels = decode(pictures.read(i), name=pictures.name(i), reduce_to_px=THUMBNAIL_PX)
    except ImageError:  # it could be read before: its file is gone
        return ""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    out = BytesIO()
    image.save(out, "JPEG", quality=80)
    return _uri("image/jpeg", out.getvalue())


def _curves(summary: RunSummary) -> dict[str, str] | None:
    """The same picture for wide and narrow, light and dark screens; None for a probe, which takes no steps."""
    if summary.recipe.method == "probe":  # the folder may hold the tables of another run
        return None
    drawn = {
        f"{shape}_{tone}": curves(summary.folder, theme, columns=columns)
        for shape, columns in (("wide", 3), ("narrow", 1))
        for tone, theme in (("light", LIGHT), ("dark", DARK))
    }
    return {name: _uri("image/png", png) for name, png in drawn.items() if png} or None


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
