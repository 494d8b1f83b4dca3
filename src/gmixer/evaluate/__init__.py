"""How good a model is on pictures whose classes are known, without torch.

judge.py        judge: answers → Outcomes, one entry a picture
metrics.py      top-k, calibration, per class, with intervals
sets.py         ImageNet's test sets: which answers count, and which are right
subsets.py      the classes of ImageNet-A and ImageNet-R
published.py    what others measured
validate.py     validate: a model and a set → Validated, the sentence
predictions.py  every picture's answer, to a file
"""

from gmixer.evaluate.metrics import Share, calibration, confusion, per_class, top, wilson
from gmixer.evaluate.outcomes import Outcomes, score_images

__all__ = ["Outcomes", "Share", "calibration", "confusion", "per_class", "score_images", "top", "wilson"]
