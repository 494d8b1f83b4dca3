"""Labels and a teacher's answers → the target of each image, a distribution over the classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages


@dataclass(frozen=True)
class Targets:
    """K classes.

    smoothing: share of a label that is spread over all classes.
    teacher_share: weight of the teacher's answer where there is also a label.
    """

    num_classes: int
    smoothing: float
    teacher_share: float

    def usable(self, images: LabeledImages) -> NDArray[np.int64]:
        """The numbers of the images with a label or, where it has a weight, a teacher's answer."""
        has_target = images.labels != UNKNOWN
        if images.soft is not None and self.teacher_share:
            has_target = has_target | images.soft.probability.any(axis=1)
        return np.flatnonzero(has_target)

    def of(self, images: LabeledImages, i: int) -> NDArray[np.float32]:
        """float32 (K,), sums to 1. The probability that the teacher's best answers lack is spread over all classes."""
        label, soft = int(images.labels[i]), images.soft
        answered = soft is not None and self.teacher_share > 0 and bool(soft.probability[i].any())
        target_K = np.zeros(self.num_classes, np.float32)
        share = 0.0 if not answered else 1.0 if label == UNKNOWN else self.teacher_share
        if share:
            assert soft is not None
            known = soft.index[i] >= 0
            probability = soft.probability[i][known]
            target_K[soft.index[i][known]] = share * probability
            target_K += share * max(1.0 - float(probability.sum()), 0.0) / self.num_classes
        if label != UNKNOWN:
            target_K += (1 - share) * self.smoothing / self.num_classes
            target_K[label] += (1 - share) * (1 - self.smoothing)
        return target_K
