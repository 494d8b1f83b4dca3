"""account.py and card.py: how a run is said in words, and the card that goes with its model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

from gmixer.catalogue import VARIANTS
from gmixer.datasets import SoftLabels, Split, open_split
from gmixer.evaluate.outcomes import answers
from gmixer.models.mixer import Mixer
from gmixer.train import read_recipe
from gmixer.train.card import write_card
from gmixer.train.initial_model import InitialModel
from gmixer.train.run_summary import RunSummary
from labelled import folders


@pytest.fixture
def summary(tmp_path: Path) -> RunSummary:
    """Seven pictures held out, of which five were right."""
    for part, n in (("train", 6), ("val", 4)):
        folders(tmp_path / "my_data" / part, {"cat": n, "dog": n})
    parts = open_split(tmp_path / "my_data")
    variant = VARIANTS["gmixer_8_64"]
    model = Mixer(replace(variant.model, num_classes=2))
    labels = [0, 0, 0, 0, 1, 1, 1]
    return RunSummary(
        recipe=read_recipe("finetune"),
        start=InitialModel(model, variant.data, "gmixer_8_64.distill_in1k", ["cat", "dog"], True),
        parts=parts,
        outcomes=answers(range(7), np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1, 1, 0]], [[label] for label in labels]),
        unreadable={},
        folder=tmp_path / "run",
    )


def test_the_way_is_said(summary: RunSummary) -> None:
    method = {
        changes: replace(summary, recipe=summary.recipe.changed(dict(changes))).method
        for changes in (
            (),
            (("way", "probe"),),
            (("pretrained", False),),
            (("frozen_blocks", 3),),
            (("teacher", "big"), ("teacher_share", 0.5)),
            (("teacher_share", 0.5),),
        )
    }
    name = "gmixer_8_64.distill_in1k"
    assert list(method.values()) == [
        f"{name}, all of it fine-tuned",
        f"a linear head on the embeddings of {name}, which stayed as it was",
        f"{name}, from freshly drawn weights",
        f"{name}, the stem and the first 3 blocks as they were, the rest fine-tuned",
        f"{name}, all of it fine-tuned, with big as a teacher (50% of the loss)",
        f"{name}, all of it fine-tuned",  # the data brings no teacher's answers
    ]


def test_a_teacher_in_the_data_is_said(summary: RunSummary) -> None:
    class Taught:
        soft = SoftLabels(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32))

    parts = Split(Taught(), summary.parts.val, is_drawn=False)  # type: ignore[arg-type] # all that is asked for
    taught = replace(summary, recipe=summary.recipe.changed({"teacher_share": 0.5}), parts=parts)
    assert taught.method.endswith("with a teacher's answers that the data brings (50% of the loss)")


def test_the_card_says_what_was_trained_on_what_and_how_good_it_is(summary: RunSummary) -> None:
    summary.model_folder.mkdir(parents=True)
    path = write_card(summary)
    card = path.read_text(encoding="utf-8")
    assert path == summary.folder / "model" / "README.md"
    assert "my\\_data: 12 pictures to learn from, 8 held out (the data's own part for it)" in card
    assert "| top-1 on 7 pictures held out | 71.43 % (95 % interval 35.89 … 91.78) |" in card
    assert f'gmixer.load("{summary.model_folder}")' in card and "top-5" not in card
    assert ModelCard(card).data.eval_results[0].metric_value == 71.43


def test_a_card_of_nothing_measured_says_so(summary: RunSummary) -> None:
    summary.model_folder.mkdir(parents=True)
    nothing = replace(summary.outcomes, **{name: column[:0] for name, column in vars(summary.outcomes).items()})
    card = write_card(replace(summary, outcomes=nothing, unreadable={"a.jpg": "is damaged"})).read_text(
        encoding="utf-8"
    )
    assert "## Accuracy\n\nThe author of the model did not say." in card
    assert "not measured: no picture held out could be read." in card and "The accuracy holds" not in card
    assert "8 held out (the data's own part for it); 1 of both could not be read." in card
