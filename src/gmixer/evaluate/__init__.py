"""How good a model is on labelled images, without torch.

outcomes.py      score_images: a runtime's answers → Outcomes, one entry for each image
noted_images.py  NotedImages: counts the images with a note, and names a few
metrics.py       top-k, calibration, per class, with intervals
paired.py        Paired: the accuracy of two predictors on the same images
sets.py          ImageNet's test sets: which images count, and which classes are correct
subsets.py       the classes of ImageNet-A and ImageNet-R
published.py     published figures
validate.py      validate: a model and a set → Validated
predictions.py   every image's answer, to a file
"""

from gmixer.evaluate.metrics import Share, calibration, confusion, per_class, top, wilson
from gmixer.evaluate.outcomes import Outcomes, Scored, score_images

__all__ = ["Outcomes", "Scored", "Share", "calibration", "confusion", "per_class", "score_images", "top", "wilson"]
