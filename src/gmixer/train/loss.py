"""How far the answers are from the targets, one number a picture. K classes, B pictures."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gmixer.train.recipe import Loss


def losses(kind: Loss, logits_BK: Tensor, target_BK: Tensor) -> Tensor:
    """(B,). target_BK: distributions. "bce" asks of each class by itself whether it is there ("ResNet strikes back",
    arXiv 2110.00476), summed over the classes and divided by their number, as its mean reduction does."""
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits_BK.float(), target_BK, reduction="none").mean(dim=1)
    return F.cross_entropy(logits_BK.float(), target_BK, reduction="none")


def distillation(logits_BK: Tensor, teacher_BK: Tensor, temperature: float) -> Tensor:
    """(B,). Divergence of the answers from the teacher's, both softened (Hinton et al., arXiv 1503.02531, where the
    square of the temperature keeps the gradients' size)."""
    ours = F.log_softmax(logits_BK.float() / temperature, dim=1)
    theirs = F.log_softmax(teacher_BK.float() / temperature, dim=1)
    return F.kl_div(ours, theirs, reduction="none", log_target=True).sum(dim=1) * temperature**2
