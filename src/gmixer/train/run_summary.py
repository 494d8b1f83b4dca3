"""What there is to tell of a run that ended: its facts, and how they are said in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gmixer.datasets import Balance, Split, balance
from gmixer.evaluate import Outcomes, Share, top
from gmixer.labels.imagenet import labels_for
from gmixer.models.model_card import About, plain
from gmixer.train.initial_model import InitialModel
from gmixer.train.recipe import Recipe
from gmixer.train.run_dir import MODEL, RECIPE


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """folder: of the run; the model lies in it already. outcomes: the held-out part, by that model.

    unreadable: picture → why, of both parts.
    """

    recipe: Recipe
    start: InitialModel
    parts: Split
    outcomes: Outcomes
    unreadable: Mapping[str, str]
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def model_folder(self) -> Path:
        return self.folder / MODEL

    @cached_property
    def class_names(self) -> Sequence[str]:
        """One a class, whether the data named them or not: as the model will name them."""
        return [label.name for label in labels_for(self.start.model.num_classes, self.start.class_names)]

    @cached_property
    def learnt(self) -> Balance:
        return balance(self.parts.train)

    @property
    def top1(self) -> Share:
        return top(self.outcomes, 1)

    @property
    def top5(self) -> Share | None:
        """None where five classes are all."""
        return top(self.outcomes, 5) if len(self.class_names) > 5 else None

    @property
    def method(self) -> str:
        """What was trained, from what."""
        recipe, name = self.recipe, self.start.name
        if recipe.method == "probe":
            drawn = "" if recipe.pretrained else ", freshly drawn"
            return f"a linear head on the embeddings of {name}{drawn}, which stayed as it was"
        if not recipe.pretrained:
            what = f"{name}, from freshly drawn weights"
        elif recipe.frozen_blocks:
            what = f"{name}, the stem and the first {recipe.frozen_blocks} blocks as they were, the rest fine-tuned"
        else:
            what = f"{name}, all of it fine-tuned"
        share = f"{recipe.teacher_share:.0%} of the loss"
        if recipe.teacher:
            return f"{what}, with {recipe.teacher} as a teacher ({share})"
        if recipe.teacher_share and self.parts.train.soft is not None:
            return f"{what}, with a teacher's answers that the data brings ({share})"
        return what

    @property
    def held_out(self) -> str:
        """How the held-out pictures were chosen."""
        return "drawn from the data by their names" if self.parts.is_drawn else "the data's own part for it"

    def about(self) -> About:
        """For the model card."""
        shares = {"top-1": self.top1} | ({"top-5": self.top5} if self.top5 else {})
        measured = {f"{what} on {share.n:,} pictures held out": share for what, share in shares.items() if share.n}
        unreadable = f"; {len(self.unreadable):,} of both could not be read" if self.unreadable else ""
        source, n, n_val = plain(self.parts.train.source), len(self.parts.train), len(self.parts.val)
        trained_on = (
            f"{source}: {n:,} pictures to learn from, {n_val:,} held out ({self.held_out}){unreadable}.\n\n"
            f"Trained by `gmixer train`: {plain(self.method)}. {RECIPE} beside this folder has every number."
        )
        holds = "The accuracy holds for pictures like those held out; how it fares on others was not measured."
        if not self.top1.n:
            holds = "How often it is right was not measured: no picture held out could be read."
        return About(
            summary=f"An image classifier and feature backbone with {len(self.class_names):,} classes.",
            trained_on=trained_on,
            accuracy={what: round(100 * share.value, 2) for what, share in measured.items()},
            intervals={what: _percent(share.interval) for what, share in measured.items()},
            limits=f"{holds} It knows no other classes, and names one of its own whatever a picture shows.",
        )


def _percent(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    return round(100 * low, 2), round(100 * high, 2)
