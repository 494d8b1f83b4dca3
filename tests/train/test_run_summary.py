"""run_summary.py and card.py: the wording of a run, and the card of its model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

from gmixer.catalogue import VARIANTS
from gmixer.datasets import SoftLabels, Split, open_split
from gmixer.evaluate.outcomes import score_batch
from gmixer.models.mixer import Mixer
from gmixer.train import read_recipe
from gmixer.train.card import write_card
from gmixer.train.initial_model import InitialModel
from gmixer.train.run_summary import RunSummary
from labelled import folders


@pytest.fixture
def summary(tmp_path: Path) -> RunSummary:
    """Seven held-out images, of which five were right."""
    for part, n in (("train", 6), ("val", 4)):
        folders(tmp_path / "my_data" / part, {"cat": n, "dog": n})
    parts = open_split(tmp_path / "my_data")
    variant = VARIANTS["gmixer_8_64"]
    model = Mixer(replace(variant.model, num_classes=2))
    labels = [0, 0, 0, 0, 1, 1, 1]
    return RunSummary(
        recipe=read_recipe("finetune"),
        initial=InitialModel(model, variant.data, "gmixer_8_64.distill_in1k", ["cat", "dog"], True),
        parts=parts,
        outcomes=score_batch(
            range(7), np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1, 1, 0]], [[label] for label in labels]
        ),
        unreadable={},
        folder=tmp_path / "run",
    )


def test_the_length_names_the_last_phase(summary: RunSummary) -> None:
    recipe = summary.recipe.changed({"schedule.epochs": 3, "schedule.batch_size": 64})
    assert replace(summary, recipe=recipe).length == "3 epochs in batches of 64"
    recipe = recipe.changed({"head.epochs": 10})
    assert replace(summary, recipe=recipe).length == "3 epochs in batches of 64, then 10 for the head alone"
    assert replace(summary, recipe=read_recipe("probe")).length == ""


def test_the_method_is_named(summary: RunSummary) -> None:
    recipe = summary.recipe
    recipes = [
        recipe,
        read_recipe("probe"),
        recipe.changed({"model.pretrained": False}),
        recipe.changed({"model.frozen_blocks": 3}),
        recipe.changed({"loss.teacher": "big", "loss.teacher_share": 0.5}),
        recipe.changed({"loss.teacher_share": 0.5}),
    ]
    name = "gmixer_8_64.distill_in1k"
    assert [replace(summary, recipe=other).method for other in recipes] == [
        f"{name}, all of it fine-tuned",
        f"a linear head on the embeddings of {name}, which did not change",
        f"{name}, from random weights",
        f"{name}, the stem and the first 3 blocks unchanged, the rest fine-tuned",
        f"{name}, all of it fine-tuned, with big as a teacher (50% of the loss)",
        f"{name}, all of it fine-tuned",  # the data brings no teacher's answers
    ]


def test_a_teacher_in_the_data_is_named(summary: RunSummary) -> None:
    class Taught:
        soft = SoftLabels(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32))

    parts = Split(Taught(), summary.parts.val, is_drawn=False)  # type: ignore[arg-type] # all that is asked for
    taught = replace(summary, recipe=summary.recipe.changed({"loss.teacher_share": 0.5}), parts=parts)
    assert taught.method.endswith("with a teacher's answers from the data (50% of the loss)")


def test_the_card_says_what_was_trained_on_what_and_how_good_it_is(summary: RunSummary) -> None:
    summary.model_folder.mkdir(parents=True)
    path = write_card(summary)
    card = path.read_text(encoding="utf-8")
    assert path == summary.folder / "model" / "README.md"
    assert "my\\_data: 12 images to learn from, 8 held out (the data's own validation part)" in card
    assert "| top-1 on 7 held-out images | 71.43 % (95 % interval 35.89 … 91.78) |" in card
    assert f'gmixer.load("{summary.model_folder}")' in card and "top-5" not in card
    assert ModelCard(card).data.eval_results[0].metric_value == 71.43


def test_a_card_of_nothing_measured_says_so(summary: RunSummary) -> None:
    summary.model_folder.mkdir(parents=True)
    nothing = replace(summary.outcomes, **{name: column[:0] for name, column in vars(summary.outcomes).items()})
    card = write_card(replace(summary, outcomes=nothing, unreadable={"a.jpg": "is damaged"})).read_text(
        encoding="utf-8"
    )
    assert "## Accuracy\n\nThe author of the model did not say." in card
    assert "not measured: no held-out image could be read." in card and "The accuracy holds" not in card
    assert "8 held out (the data's own validation part); 1 of both could not be read." in card
