"""The model card of a run: README.md beside the weights."""

from __future__ import annotations

import os
from pathlib import Path

from gmixer.files import atomic_write
from gmixer.models.model_card import model_card
from gmixer.train.run_summary import RunSummary
from gmixer.weights.architecture import variants_of


def write_card(summary: RunSummary) -> Path:
    """Writes README.md into the model's folder."""
    model = summary.initial.model.config
    card = model_card(
        summary.name,
        folder=os.fspath(summary.model_folder),
        architecture=variants_of(model)[0],
        model=model,
        data=summary.initial.data,
        class_names=summary.initial.class_names,
        license=None,
        about=summary.about(),
    )
    path = summary.model_folder / "README.md"
    with atomic_write(path, shared=True) as unfinished:
        unfinished.write_text(card, encoding="utf-8")
    return path
