"""plot.py: the drawing of an agreement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gmixer
from gmixer.agreement import Agreement, compare, summarise
from gmixer.agreement.plot import plot_agreement
from gmixer.bench.machine import Machine, this_machine


@pytest.fixture(scope="module")
def machine() -> Machine:
    return this_machine()


@pytest.fixture(scope="module")
def found(int8: gmixer.Predictor, predictor: gmixer.Predictor, photos: list[Path]) -> Agreement:
    return summarise(zip(map(str, photos), compare(int8, predictor, photos), strict=True))


def width(found: Agreement, int8: gmixer.Predictor, predictor: gmixer.Predictor, machine: Machine, path: Path) -> int:
    plot_agreement(found, int8, predictor, machine, path)
    with Image.open(path) as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 50, "text and lines have many greys"
        return image.width


def test_a_model_without_classes_has_one_panel_of_three(
    found: Agreement, int8: gmixer.Predictor, predictor: gmixer.Predictor, machine: Machine, tmp_path: Path
) -> None:
    three = width(found, int8, predictor, machine, tmp_path / "three.png")
    one = width(replace(found, answers=None), int8, predictor, machine, tmp_path / "one.png")
    assert three == 3 * one and sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "three.png"]


def test_equal_outputs_can_be_drawn(
    predictor: gmixer.Predictor, photos: list[Path], machine: Machine, tmp_path: Path
) -> None:
    """All distances and all changes are 0, which a logarithmic axis does not have."""
    equal = summarise(zip(map(str, photos), compare(predictor, predictor, photos), strict=True))
    assert equal.answers is not None and not equal.answers.largest_change
    assert width(equal, predictor, predictor, machine, tmp_path / "equal.png") > 1000


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_formats_are_by_the_name(
    suffix: str, found: Agreement, int8: gmixer.Predictor, predictor: gmixer.Predictor, machine: Machine, tmp_path: Path
) -> None:
    plot_agreement(found, int8, predictor, machine, tmp_path / f"plot{suffix}")
    data = (tmp_path / f"plot{suffix}").read_bytes()
    assert data.startswith(b"%PDF") if suffix == ".pdf" else b"<svg" in data[:1000]
