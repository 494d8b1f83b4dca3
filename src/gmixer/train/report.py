"""A finished run as one self-contained HTML page: no network, no script, images inside.

Its texts may come from untrusted files. So every text is escaped and kept on one line, and the page's own policy
forbids it to load or run anything.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
from gmixer.images.pixels import Pixels
from gmixer.models.model_card import one_line, snippets
from gmixer.train.curves import DARK, LIGHT, curves
from gmixer.train.decoder import Decoder
from gmixer.train.recipe import ProbeRecipe
from gmixer.train.recipe_file import to_toml
from gmixer.train.run_dir import REPORT
from gmixer.train.run_summary import RunSummary
from gmixer.weights.architecture import variants_of

TEMPLATE = "report.html.jinja"
MATRIX_CLASSES = 30  # with more classes, the page lists the most confused pairs instead of a matrix
PAIRS = 20
WORST_CLASSES = 15  # shown first, where there is no matrix
LISTED_CLASSES = 1_000
LISTED_UNREADABLE = 100
MISTAKES = 24
THUMBNAIL_PX = 160
FEW = 400  # held-out images: with fewer, the interval is wider than ± 5 points


@dataclass(frozen=True, slots=True)
class ClassRow:
    name: str
    learned: int
    accuracy: Share


@dataclass(frozen=True, slots=True)
class Mistake:
    """thumbnail: a data: URI; "" where the file is gone."""

    thumbnail: str
    image: str
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True, slots=True)
class Pair:
    """The model predicted the class `predicted` for `count` of the n held-out images of the class `true`."""

    true: str
    predicted: str
    count: int
    n: int


def write_report(summary: RunSummary) -> Path:
    """Writes report.html into the run's folder, complete or not at all."""
    path = summary.folder / REPORT
    with atomic_write(path, shared=True) as unfinished:
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
    return environment.get_template(TEMPLATE).render(_variables(summary))


def _variables(summary: RunSummary) -> dict[str, Any]:
    """The variables of the template."""
    from gmixer import __version__

    outcomes, K = summary.outcomes, len(summary.class_names)
    model = summary.initial.model.config
    architecture = variants_of(model)[0]
    rows = _class_rows(summary)
    counts_K = np.bincount(outcomes.label, minlength=K)
    return {
        "summary": summary,
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
        "mistakes": list(_mistakes(summary)),
        "wrong": summary.top1.n - summary.top1.correct,
        "unreadable": list(summary.unreadable.items())[:LISTED_UNREADABLE],
        "recipe": to_toml(replace(summary.recipe, about="")).splitlines()[1:],
        "snippets": snippets(summary.name, os.fspath(summary.model_folder), architecture, model),
    }


def _on_one_line(value: Any) -> Any:
    return one_line(value) if type(value) is str else value  # not jinja2's own Markup


def _class_rows(summary: RunSummary) -> list[ClassRow]:
    """The worst classes first; classes without a held-out image last."""
    shares = per_class(summary.outcomes, len(summary.class_names))
    learned = [count for _, count in summary.learned.classes]
    learned += [0] * (len(shares) - len(learned))  # data with only numbers ends at its highest label
    rows = [ClassRow(name, n, share) for name, n, share in zip(summary.class_names, learned, shares, strict=True)]
    return sorted(rows, key=lambda row: (not row.accuracy.n, row.accuracy.value, -row.accuracy.n))


def _pairs(outcomes: Outcomes, class_names: Sequence[str]) -> list[Pair]:
    wrong = outcomes.rank > 0
    counted = Counter(zip(outcomes.label[wrong].tolist(), outcomes.predicted[wrong].tolist(), strict=True))
    n_K = np.bincount(outcomes.label, minlength=len(class_names))
    least = min(
        max(counted.values(), default=0), 2
    )  # pairs that occurred once are listed only where no pair occurred twice
    return [
        Pair(class_names[true], class_names[predicted], count, int(n_K[true]))
        for (true, predicted), count in counted.most_common(PAIRS)
        if count >= least
    ]


def _mistakes(summary: RunSummary) -> Iterator[Mistake]:
    """The wrong answers with the highest probability."""
    outcomes, images, class_names = summary.outcomes, summary.parts.val, summary.class_names
    decode = Decoder(summary.reading)
    wrong = np.flatnonzero(outcomes.rank > 0)
    for n in wrong[np.argsort(-outcomes.probability[wrong], kind="stable")][:MISTAKES]:
        i = int(outcomes.image[n])
        yield Mistake(
            _thumbnail(images, i, decode) if summary.reads_images else "",
            images.name(i),
            class_names[outcomes.label[n]],
            class_names[outcomes.predicted[n]],
            float(outcomes.probability[n]),
        )


def _thumbnail(images: LabeledImages, i: int, decode: Callable[..., Pixels]) -> str:
    try:
        pixels = decode(images.read(i), name=images.name(i), reduce_to_px=THUMBNAIL_PX)
    except ImageError:  # it could be read before, so its file is gone
        return ""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    out = BytesIO()
    image.save(out, "JPEG", quality=80)
    return _uri("image/jpeg", out.getvalue())


def _curves(summary: RunSummary) -> dict[str, str] | None:
    """The same plot for wide and narrow, light and dark screens; None for a probe, which takes no steps."""
    if isinstance(summary.recipe, ProbeRecipe):  # the folder may hold the tables of another run
        return None
    drawn = {
        f"{shape}_{tone}": curves(summary.folder, theme, columns=columns)
        for shape, columns in (("wide", 3), ("narrow", 1))
        for tone, theme in (("light", LIGHT), ("dark", DARK))
    }
    return {name: _uri("image/png", png) for name, png in drawn.items() if png} or None


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
