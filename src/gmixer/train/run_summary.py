"""The facts of a finished run, and their wording for the card and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gmixer.datasets import Balance, Split, balance
from gmixer.datasets.run_data import MODEL, RECIPE
from gmixer.evaluate import Outcomes, Share, top
from gmixer.labels.imagenet import labels_for
from gmixer.models.model_card import About, plain
from gmixer.options import Reading
from gmixer.train.initial_model import InitialModel
from gmixer.train.recipe import ProbeRecipe, Recipe
from gmixer.train.stored_rows import StoredSplit


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """folder: of the run, which holds the model already. outcomes: the held-out part, by that model.

    unreadable: image name → reason, of both parts. reading: how the run read its images.
    """

    recipe: Recipe
    initial: InitialModel
    parts: Split
    outcomes: Outcomes
    unreadable: Mapping[str, str]
    folder: Path
    reading: Reading = Reading()

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def model_folder(self) -> Path:
        return self.folder / MODEL

    @cached_property
    def class_names(self) -> Sequence[str]:
        """The name of each class as the model will return it, also where the data has only numbers."""
        return [label.name for label in labels_for(self.initial.model.num_classes, self.initial.class_names)]

    @cached_property
    def learned(self) -> Balance:
        return balance(self.parts.train, self.initial.model.num_classes)

    @property
    def top1(self) -> Share:
        return top(self.outcomes, 1)

    @property
    def top5(self) -> Share | None:
        """None for five classes or fewer."""
        return top(self.outcomes, 5) if len(self.class_names) > 5 else None

    @property
    def reads_images(self) -> bool:
        """False if the run had stored embeddings."""
        return not isinstance(self.parts, StoredSplit)

    @property
    def method(self) -> str:
        """What was trained, from which model."""
        recipe, name = self.recipe, self.initial.name
        if not self.reads_images:
            return f"a linear head on stored embeddings of {name}, which did not change"
        if isinstance(recipe, ProbeRecipe):
            weights = "" if recipe.model.pretrained else ", with random weights"
            return f"a linear head on the embeddings of {name}{weights}, which did not change"
        if not recipe.model.pretrained:
            what = f"{name}, from random weights"
        elif recipe.model.frozen_blocks:
            frozen = f"the stem and the first {recipe.model.frozen_blocks} blocks unchanged"
            what = f"{name}, {frozen}, the rest fine-tuned"
        else:
            what = f"{name}, all of it fine-tuned"
        share = f"{recipe.loss.teacher_share:.0%} of the loss"
        if recipe.loss.teacher:
            return f"{what}, with {recipe.loss.teacher} as a teacher ({share})"
        if recipe.loss.teacher_share and self.parts.train.soft is not None:
            return f"{what}, with a teacher's answers from the data ({share})"
        return what

    @property
    def length(self) -> str:
        """ "3 epochs in batches of 32"; "" for a probe, which takes no steps."""
        if isinstance(self.recipe, ProbeRecipe):
            return ""
        of_run = f"{self.recipe.schedule.epochs:g} epochs in batches of {self.recipe.schedule.batch_size}"
        passes = self.recipe.head.epochs
        return f"{of_run}, then {passes} for the head alone" if passes else of_run

    @property
    def held_out(self) -> str:
        """How the held-out images were chosen."""
        return "drawn from the data by their names" if self.parts.is_drawn else "the data's own validation part"

    def about(self) -> About:
        """For the model card."""
        shares = {"top-1": self.top1} | ({"top-5": self.top5} if self.top5 else {})
        measured = {f"{what} on {share.n:,} held-out images": share for what, share in shares.items() if share.n}
        unreadable = f"; {len(self.unreadable):,} of both could not be read" if self.unreadable else ""
        source, n, n_val = plain(self.parts.train.source), len(self.parts.train), len(self.parts.val)
        trained_on = (
            f"{source}: {n:,} images to learn from, {n_val:,} held out ({self.held_out}){unreadable}.\n\n"
            f"Trained by `gmixer train`: {plain(self.method)}. {RECIPE} beside this folder has every number."
        )
        holds = "The accuracy holds for images like the held-out ones; the accuracy on others was not measured."
        if not self.top1.n:
            holds = "The accuracy was not measured: no held-out image could be read."
        return About(
            summary=f"An image classifier and feature backbone with {len(self.class_names):,} classes.",
            trained_on=trained_on,
            accuracy={what: round(100 * share.value, 2) for what, share in measured.items()},
            intervals={what: _percent(share.interval) for what, share in measured.items()},
            limits=f"{holds} It knows no other classes, and it returns one of its own for any image.",
        )


def _percent(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    return round(100 * low, 2), round(100 * high, 2)
