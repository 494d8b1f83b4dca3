"""loss.py, written out."""

from __future__ import annotations

import pytest
import torch

from gmixer.train.loss import distillation, losses, taught_losses
from gmixer.train.sections import LossSection

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0]])
TARGET = torch.tensor([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])


def test_cross_entropy_is_of_distributions() -> None:
    expected = -(TARGET * LOGITS.log_softmax(dim=1)).sum(dim=1)
    torch.testing.assert_close(losses("cross_entropy", LOGITS, TARGET), expected)
    assert float(losses("cross_entropy", LOGITS, TARGET)[1]) == pytest.approx(torch.tensor(3.0).log().item())


def test_binary_cross_entropy_asks_of_each_class_by_itself() -> None:
    p = LOGITS.sigmoid()
    expected = -(TARGET * p.log() + (1 - TARGET) * (1 - p).log()).mean(dim=1)
    torch.testing.assert_close(losses("bce", LOGITS, TARGET), expected)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_the_divergence_from_the_teacher(temperature: float) -> None:
    teacher = torch.tensor([[1.0, 1.0, -3.0], [0.5, -0.5, 0.0]])
    ours, theirs = (LOGITS / temperature).softmax(dim=1), (teacher / temperature).softmax(dim=1)
    expected = temperature**2 * (theirs * (theirs / ours).log()).sum(dim=1)
    torch.testing.assert_close(distillation(LOGITS, teacher, temperature), expected)
    assert not distillation(LOGITS, LOGITS + 3, temperature).abs().gt(1e-6).any()


@pytest.mark.parametrize(("labelled", "by_label", "by_teacher"), [(1.0, 0.75, 0.25), (0.0, 0.0, 1.0), (0.4, 0.3, 0.7)])
def test_the_teacher_has_its_share_of_labelled_images_and_all_of_the_others(
    labelled: float, by_label: float, by_teacher: float
) -> None:
    """labelled: how much of the image has a label. The teacher has a quarter of that, and all of the rest."""
    teacher = torch.tensor([[1.0, 1.0, -3.0], [0.5, -0.5, 0.0]])
    expected = by_label * losses("bce", LOGITS, TARGET) + by_teacher * distillation(LOGITS, teacher, 2.0)
    settings = LossSection(name="bce", teacher_share=0.25, temperature=2.0)
    torch.testing.assert_close(taught_losses(settings, LOGITS, labelled * TARGET, teacher), expected)


def test_losses_of_half_precision_logits_are_float32() -> None:
    for kind in ("cross_entropy", "bce"):
        assert losses(kind, LOGITS.bfloat16(), TARGET).dtype == torch.float32
