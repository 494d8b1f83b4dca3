"""tools/duplicate_threshold.py: which copies a threshold finds, and which distinct images it takes for copies."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import gmixer

TOOL = Path(__file__).parents[2] / "tools" / "duplicate_threshold.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("duplicate_threshold", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_copies_of_photos_are_found(tool: ModuleType, predictor: gmixer.Predictor, photos: list[Path]) -> None:
    found = dict(tool.copies_of(predictor, [str(photos[0].parent)]))
    assert found.keys() == tool.COPIES.keys() and all(cosines.shape == (6,) for cosines in found.values())
    assert found["JPEG, quality 90"].min() > 0.98 > found["cropped by 20 %"].min()


def test_a_crop_loses_what_it_says(tool: ModuleType) -> None:
    assert tool.cropped(Image.new("RGB", (100, 200)), 0.1).size == (90, 180)


def test_pairs_are_counted_once(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "BLOCK", 2)
    x_NC = tool.unit(np.array([[1, 0], [1, 0.1], [0, 1], [1, 0.45], [0, 1]], np.float32))
    every, same = tool.distinct_pairs(x_NC, np.array([7, 8, 7, 7, 7]))
    assert (every.count, same.count) == (10, 6)
    assert every.above[0] == 4 and same.above[0] == 2  # 0-1, 0-3, 1-3 and 2-4
    assert every.above[-1] == 2 and same.above[-1] == 1  # 0-1 and 2-4
    text = tool.table("m", {"JPEG": np.array([0.99, 0.5])}, every, same)
    assert "10 pairs" in text and "| 0.9 | 50.0% | 50.0% | 4 | 2 | 20.0% |" in text
