"""Labels and a teacher's answers → what the model should say of each picture, a distribution over its classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages


@dataclass(frozen=True)
class Targets:
    """K classes. smoothing: share of a label that is spread over all classes. teacher_share: weight of the teacher's
    answer where there is a label too."""

    num_classes: int
    smoothing: float
    teacher_share: float

    def usable(self, pictures: LabeledImages) -> NDArray[np.int64]:
        """The numbers of the pictures that say anything: a label or, where it counts, a teacher's answer."""
        message = pictures.labels != UNKNOWN
        if pictures.soft is not None and self.teacher_share:
            message = message | pictures.soft.probability.any(axis=1)
        return np.flatnonzero(message)

    def of(self, pictures: LabeledImages, i: int) -> NDArray[np.float32]:
        """float32 (K,), sums to 1. What the teacher left unsaid, beyond its best answers, is spread over all."""
        label, soft = int(pictures.labels[i]), pictures.soft
        answered = soft is not None and self.teacher_share > 0 and bool(soft.probability[i].any())
        target_K = np.zeros(self.num_classes, np.float32)
        share = 0.0 if not answered else 1.0 if label == UNKNOWN else self.teacher_share
        if share:
            assert soft is not None
            known = soft.index[i] >= 0
            said = soft.probability[i][known]
            target_K[soft.index[i][known]] = share * said
            target_K += share * max(1.0 - float(said.sum()), 0.0) / self.num_classes
        if label != UNKNOWN:
            target_K += (1 - share) * self.smoothing / self.num_classes
            target_K[label] += (1 - share) * (1 - self.smoothing)
        return target_K
