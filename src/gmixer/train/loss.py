"""Losses of each image. K classes, B images."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gmixer.train.sections import LossName, LossSection


def losses(name: LossName, logits_BK: Tensor, target_BK: Tensor) -> Tensor:
    """(B,). target_BK: distributions.

    "bce" is a binary cross-entropy for each class ("ResNet strikes back", arXiv 2110.00476), averaged over the classes.
    """
    if name == "bce":
        return F.binary_cross_entropy_with_logits(logits_BK.float(), target_BK, reduction="none").mean(dim=1)
    return F.cross_entropy(logits_BK.float(), target_BK, reduction="none")


def taught_losses(settings: LossSection, logits_BK: Tensor, target_BK: Tensor, teacher_BK: Tensor) -> Tensor:
    """(B,). A mean of the loss against the targets and the divergence from a teacher's logits.

    target_BK: a row sums to 1 with a label and to 0 without one; a mixed pair may lie between. The teacher's weight is
    teacher_share where there is a label, and 1 where there is none.
    """
    labelled_B = target_BK.sum(dim=1)
    label_loss_B = losses(settings.name, logits_BK, target_BK / labelled_B.clamp_min(1e-6)[:, None])
    teacher_loss_B = distillation(logits_BK, teacher_BK, settings.temperature)
    label_share_B = (1 - settings.teacher_share) * labelled_B
    return label_share_B * label_loss_B + (1 - label_share_B) * teacher_loss_B


def distillation(logits_BK: Tensor, teacher_BK: Tensor, temperature: float) -> Tensor:
    """(B,). Divergence from the teacher's distribution, both softened by the temperature.

    Hinton et al., arXiv 1503.02531: the square of the temperature keeps the size of the gradients.
    """
    student_BK = F.log_softmax(logits_BK.float() / temperature, dim=1)
    target_BK = F.log_softmax(teacher_BK.float() / temperature, dim=1)
    return F.kl_div(student_BK, target_BK, reduction="none", log_target=True).sum(dim=1) * temperature**2
