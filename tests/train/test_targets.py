"""targets.py: labels and a teacher's answers → distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmixer.datasets import SoftLabels
from gmixer.train.targets import Targets
from training import Drawn

# Four images of three classes, of which the teacher saw all but the second.
SOFT = SoftLabels(
    index=np.array([[2, 0], [-1, -1], [1, -1], [0, 1]], np.int32),
    probability=np.array([[0.6, 0.3], [0, 0], [0.5, 0], [0.7, 0.3]], np.float32),
)


def test_a_label_alone_is_smoothed() -> None:
    target = Targets(4, smoothing=0.2, teacher_share=0.0).of(Drawn(3, num_classes=4), 1)
    np.testing.assert_allclose(target, [0.05, 0.85, 0.05, 0.05], rtol=1e-6)


@pytest.mark.parametrize(
    ("i", "expected"),
    [
        # Label 0; the teacher says 2: 0.6, 0: 0.3, and leaves 0.1 unsaid.
        (0, [0.5 + 0.5 * 0.3 + 0.5 * 0.1 / 3, 0.5 * 0.1 / 3, 0.5 * 0.6 + 0.5 * 0.1 / 3]),
        (1, [0, 1, 0]),  # the teacher never saw it
        (2, [0.5 / 3, 0.5 + 0.5 / 3, 0.5 / 3]),  # no label: the teacher alone
        (3, [0.5 + 0.35, 0.15, 0]),
    ],
)
def test_a_teachers_answer_has_its_share_where_there_is_one(i: int, expected: list[float]) -> None:
    images = Drawn(4, unlabelled=[2], soft=SOFT)
    target = Targets(3, smoothing=0.0, teacher_share=0.5).of(images, i)
    np.testing.assert_allclose(target, expected, rtol=1e-6)


def test_a_share_of_0_leaves_the_teacher_out() -> None:
    images = Drawn(4, unlabelled=[2], soft=SOFT)
    targets = Targets(3, smoothing=0.0, teacher_share=0.0)
    assert targets.of(images, 0).tolist() == [1, 0, 0]
    assert targets.usable(images).tolist() == [0, 1, 3]


def test_images_without_label_and_answer_are_left_out() -> None:
    images = Drawn(4, unlabelled=[1, 2], soft=SOFT)
    assert Targets(3, smoothing=0.1, teacher_share=0.5).usable(images).tolist() == [0, 2, 3]


@given(
    said=st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3),
    label=st.integers(-1, 2),
    smoothing=st.floats(0, 0.9),
    share=st.floats(0.01, 1),
)
def test_a_target_sums_to_1(said: list[float], label: int, smoothing: float, share: float) -> None:
    probability = np.array(said, np.float32)
    probability /= max(float(probability.sum()), 1.0)
    soft = SoftLabels(np.array([[0, 2, 1]], np.int32), probability[None])
    if label < 0 and not probability.any():
        return
    images = Drawn(1, unlabelled=[0] if label < 0 else [], soft=soft)
    target = Targets(3, smoothing=smoothing, teacher_share=share).of(images, 0)
    assert float(target.sum()) == pytest.approx(1, abs=1e-6) and target.min() >= 0
