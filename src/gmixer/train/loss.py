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


def taught_losses(
    kind: Loss, logits_BK: Tensor, target_BK: Tensor, teacher_BK: Tensor, teacher_share: float, temperature: float
) -> Tensor:
    """(B,). The distance from the targets and from a teacher's answers, as parts of 1.

    target_BK: rows sum to 1 with a label, to 0 without one, to something between where such a picture is mixed in;
    what they leave is the teacher's, and teacher_share of the rest.
    """
    said_B = target_BK.sum(dim=1)
    told_B = losses(kind, logits_BK, target_BK / said_B.clamp_min(1e-6)[:, None])
    taught_B = distillation(logits_BK, teacher_BK, temperature)
    label_share_B = (1 - teacher_share) * said_B
    return label_share_B * told_B + (1 - label_share_B) * taught_B


def distillation(logits_BK: Tensor, teacher_BK: Tensor, temperature: float) -> Tensor:
    """(B,). Divergence of the answers from the teacher's, both softened (Hinton et al., arXiv 1503.02531, where the
    square of the temperature keeps the gradients' size)."""
    ours = F.log_softmax(logits_BK.float() / temperature, dim=1)
    theirs = F.log_softmax(teacher_BK.float() / temperature, dim=1)
    return F.kl_div(ours, theirs, reduction="none", log_target=True).sum(dim=1) * temperature**2
