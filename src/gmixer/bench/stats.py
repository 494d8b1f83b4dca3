"""Summaries of many measurements of one quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Of n values: the median, the 10th and the 90th percentile, the least and the greatest."""

    median: float
    p10: float
    p90: float
    least: float
    greatest: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """values: at least one."""
        median, p10, p90 = (quantile(values, q) for q in (0.5, 0.1, 0.9))
        return cls(median, p10, p90, min(values), max(values), len(values))

    def times(self, factor: float) -> Spread:
        """The same spread in another unit. factor: above 0."""
        median, p10, p90 = self.median * factor, self.p10 * factor, self.p90 * factor
        return Spread(median, p10, p90, self.least * factor, self.greatest * factor, self.n)

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def quantile(values: Sequence[float], q: float) -> float:
    """Linear interpolation between the two nearest values: the default of numpy and R."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
