"""The accuracy of two predictors on the same images. Pure functions of Outcomes. N images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gmixer.errors import InputError
from gmixer.evaluate.metrics import Z_95, Share, top
from gmixer.evaluate.outcomes import Outcomes
from gmixer.options import Precision
from gmixer.predictor import Predictor


def check_comparable(predictor: Predictor, against: Predictor) -> None:
    """Raises InputError unless both have the same network, transform and classes, so that one tensor fits both."""
    for what, ours, theirs in (
        ("networks", predictor.model, against.model),
        ("transforms", predictor.data, against.data),
        ("classes", [label.name for label in predictor.labels], [label.name for label in against.labels]),
    ):
        if ours != theirs:
            raise InputError(
                f"{predictor.name} and {against.name} have different {what}: one tensor must fit both; compare two "
                f"precisions of one model, or a converted model with its original"
            )


@dataclass(frozen=True, slots=True)
class Paired:
    """The top-1 accuracy of a predictor, compared image by image with that of another.

    model, precision, runtime: of the other one; the runtime in words. top1: of the other one. only_first,
    only_against: how many images only one of the two has right.
    """

    model: str
    precision: Precision
    runtime: str
    top1: Share
    only_first: int
    only_against: int

    @property
    def difference(self) -> float:
        """The predictor's top-1 minus that of the other one, -1…1."""
        return (self.only_first - self.only_against) / self.top1.n

    @property
    def interval(self) -> tuple[float, float]:
        return bonett_price(self.only_first, self.only_against, self.top1.n)

    def __str__(self) -> str:
        low, high = (100 * bound for bound in self.interval)
        return f"{100 * self.difference:+.2f} points ({low:+.2f} … {high:+.2f}, paired, n = {self.top1.n:,})"

    def to_dict(self) -> dict[str, Any]:
        """Shares and differences are 0…1, not percent."""
        return {
            "model": self.model,
            "precision": self.precision,
            "runtime": self.runtime,
            "top1": self.top1.value,
            "top1_interval": self.top1.interval,
            "difference": self.difference,
            "difference_interval": self.interval,
            "only_first_right": self.only_first,
            "only_against_right": self.only_against,
        }


def paired(outcomes: Outcomes, against: Predictor, of_against: Outcomes) -> Paired:
    """outcomes, of_against: of the same images, one or more; of_against by the other predictor, `against`."""
    right_N, right_against_N = outcomes.rank == 0, of_against.rank == 0
    return Paired(
        model=against.name,
        precision=against.precision,
        runtime=repr(against.runtime),
        top1=top(of_against, 1),
        only_first=int((right_N & ~right_against_N).sum()),
        only_against=int((~right_N & right_against_N).sum()),
    )


def bonett_price(only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares of the same n images, (only_first - only_second) / n.

    Bonett and Price's adjusted Wald interval (J. Educ. Behav. Stat. 37, 2012). It is also valid for few images, and
    without any difference; the usual interval has no width there.
    """
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = Z_95 * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(first - second - half, -1.0), min(first - second + half, 1.0)
