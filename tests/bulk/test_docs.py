"""The Python blocks of docs/bulk.md run, one after the other, beside the output of `gmixer embed`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import gmixer
from command import call

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bulk.md").read_text(encoding="utf-8")


def test_the_python_blocks_run(
    predictor: gmixer.Predictor, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    assert call("embed", "examples/photos", "absent.jpg", "-o", "out", "--model", predictor.name).returncode == 1
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "bulk.md", "exec"), names)
    assert dict(names["failed"]) == {None: len(photos), "missing": 1}
    assert names["near"][0][0] == "examples/photos/coffee.png" and names["near"][0][1] == pytest.approx(1)
    expected = predictor.embed([f"examples/photos/{path.name}" for path in photos]).vectors
    assert np.array_equal(names["vectors"], expected) and len(names["labels"]) == len(photos)
    assert names["good"]["vector"].to_numpy().tobytes() == np.asarray(expected).tobytes()
    assert names["model"] == predictor.name and names["table"].num_rows == len(photos)
    assert sum(names["sizes"].values()) == sum(path.stat().st_size for path in photos)
    assert len(pq.read_table("three.parquet")) == len(photos) == len(names["stored"].table())


def test_every_column_is_described(photos: list[Path], predictor: gmixer.Predictor) -> None:
    table = PAGE[PAGE.index("| column |") :].partition("\n\n")[0]
    described = re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines()))
    assert described == gmixer.bulk.embed(photos[:1], model=predictor).schema.names
