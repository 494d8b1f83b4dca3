"""From freshly drawn weights to a model that reads digits: `gmixer train`, the recipe `scratch`, scikit-learn's digits.

A small version of what docs/training.md states.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

import gmixer
from gmixer.catalogue import VARIANTS, Variant
from gmixer.cli import app
from gmixer.config import ModelConfig

HELD_OUT = 360
NARROW = ModelConfig(image_px=64, patch_px=8, channels=128, blocks=2, token_hidden=64, channel_hidden=256, mlp="swiglu")


def png(digit: np.ndarray) -> bytes:
    """digit: 8×8, 0…16 → 64 px."""
    out = BytesIO()
    Image.fromarray(np.uint8(np.round(digit / 16 * 255))).resize((64, 64), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """1,437 to train on, 360 held out."""
    from sklearn.datasets import load_digits  # a second, for this test alone

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    folder = tmp_path / "digits"
    folder.mkdir()
    for part, rows in (("train", order[HELD_OUT:]), ("val", order[:HELD_OUT])):
        columns = {
            "image": [png(images[i].reshape(8, 8)) for i in rows],
            "label": [int(labels[i]) for i in rows],
        }
        pq.write_table(pa.table(columns), folder / f"{part}.parquet")
    return folder


@pytest.mark.slow
def test_digits_are_learned_from_scratch(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a tenth of the network in a third of the time."""
    monkeypatch.setitem(VARIANTS, "gmixer_2_64", Variant(model=NARROW, data=VARIANTS["gmixer_8_64"].data))
    run = tmp_path / "run"
    options = [
        "--model",
        "gmixer_2_64",
        "--epochs",
        "3",
        "--batch",
        "32",
        "--set",
        "optimizer.ema_decay=0.9",
        "--threads",
        "1",
    ]
    options += ["--validate-every", "0", "-o", str(run)]
    ran = CliRunner().invoke(app, ["train", str(digits), "--config", "scratch", *options])
    assert ran.exit_code == 0, ran.output
    top1 = re.search(rf"^top-1 +([\d.]+)% of {HELD_OUT} held-out images", ran.output, re.MULTILINE)
    assert top1 and float(top1[1]) >= 80, ran.output  # measured: 89.2
    rows = pq.read_table(digits / "val.parquet").to_pylist()[:50]
    said = gmixer.load(run / "model").classify([row["image"] for row in rows])
    assert np.mean([row["label"] == one[0].index for row, one in zip(rows, said, strict=True)]) >= 0.7
