"""The model card of a run: README.md beside the weights."""

from __future__ import annotations

import os
from pathlib import Path

from gmixer.models.model_card import model_card
from gmixer.train.run_summary import Account
from gmixer.weights.architecture import variants_of


def write_card(account: Account) -> Path:
    """README.md in the model's folder."""
    model = account.start.model.config
    card = model_card(
        account.name,
        folder=os.fspath(account.model_folder),
        architecture=variants_of(model)[0],
        model=model,
        data=account.start.data,
        class_names=account.start.class_names,
        license=None,
        about=account.about(),
    )
    path = account.model_folder / "README.md"
    path.write_text(card, encoding="utf-8")
    return path
