"""Probabilities of classes → probabilities of their WordNet ancestors, the parent categories at every level.

No single breed may be probable, although the image shows a dog: the ancestor "dog" sums over the breeds.
K classes, A ancestors, M pairs of a class and one of its ancestors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gmixer.errors import InputError
from gmixer.labels import Label
from gmixer.labels.hypernyms import ancestors_of, depth_of, is_known, name_of
from gmixer.results.prediction import Ancestor


class RollUp:
    """The ancestors of a model's classes: every synset with one or more of the classes below it.

    A class counts once for each ancestor, also if several paths lead up to it. In ImageNet-21k many classes are
    ancestors of other classes: such a class counts for itself too. Other classes are never listed.
    Raises InputError for classes that are not ImageNet's.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        for label in labels:
            if not is_known(label.synset):
                raise InputError(
                    f"class {label.index}, {label.name!r}, is not one of ImageNet's: only ImageNet's classes have a "
                    "place in WordNet's hierarchy, and roll up"
                )
        above_K = [ancestors_of(label.synset) for label in labels]
        # The order of the result, except for the probabilities.
        self._synset_A = sorted(set().union(*above_K), key=lambda synset: (-depth_of(synset), name_of(synset), synset))
        self._depth_A = np.array([depth_of(synset) for synset in self._synset_A])
        place = {synset: a for a, synset in enumerate(self._synset_A)}
        pairs = [
            (k, place[synset])
            for k, (label, above) in enumerate(zip(labels, above_K, strict=True))
            for synset in (*above, label.synset)
            if synset in place
        ]
        self._class_M, self._ancestor_M = np.array(pairs, np.intp).T.copy()

    def above(self, probability_K: NDArray[np.float64], at: float) -> tuple[Ancestor, ...]:
        """The ancestors with a sum of `at` or more: the deepest first, then the most probable, then by name.

        "entity" is above every class, so it is always the last one.
        """
        sum_A = self._sums(probability_K)
        reached = np.flatnonzero(sum_A >= at)
        reached = reached[np.lexsort((-sum_A[reached], -self._depth_A[reached]))]
        return tuple(Ancestor(self._synset_A[a], name_of(self._synset_A[a]), float(sum_A[a])) for a in reached)

    def _sums(self, probability_K: NDArray[np.float64]) -> NDArray[np.float64]:
        """(A,): added in the order of the classes, so that no ancestor exceeds its own ancestors by rounding."""
        sum_A = np.bincount(self._ancestor_M, probability_K[self._class_M], len(self._synset_A))
        share_A: NDArray[np.float64] = sum_A / sum_A.max()  # entity has all classes: its share is exactly 1
        return share_A
