"""tools/make_embedded.py: the average of models takes the place of the weights that ship, once it is measured."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from gmixer.errors import InputError
from gmixer.weights.find import EMBEDDED_WEIGHTS
from training import Drawn

TOOL = Path(__file__).parents[2] / "tools" / "make_embedded.py"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """It writes to a folder of the test's, where the weights are that ship."""
    spec = importlib.util.spec_from_file_location("make_embedded", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "embedded"
    folder.mkdir()
    shutil.copy(EMBEDDED_WEIGHTS, folder)
    monkeypatch.setattr(module, "FOLDER", folder)
    return module


def moved(path: Path, by: float) -> Path:
    """The weights that ship, as fp32, each greater by so much."""
    save_file(
        {name: values.astype(np.float32) + np.float32(by) for name, values in load_file(EMBEDDED_WEIGHTS).items()}, path
    )
    return path


def test_the_average_is_measured_and_recorded(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = Drawn(6)
    data = tmp_path / "val-0.parquet"
    pq.write_table(pa.table({"image": [drawn.read(i) for i in range(6)], "label": [0, 1, 999, 3, 4, -1]}), data)
    held_out = tmp_path / "broad.parquet"
    pq.write_table(pa.table({"image": [drawn.read(i) for i in range(3)], "label": [7, 7, 8]}), held_out)
    models = [moved(tmp_path / "a.safetensors", 0.0), moved(tmp_path / "b.safetensors", 0.25)]
    monkeypatch.setattr(sys, "argv", ["make_embedded", *map(str, (data, held_out, *models))])
    tool.main()
    made, ships = load_file(tool.FOLDER / EMBEDDED_WEIGHTS.name), load_file(EMBEDDED_WEIGHTS)
    assert made.keys() == ships.keys()
    for name, values in made.items():
        assert values.dtype == np.float16
        np.testing.assert_allclose(values.astype(np.float32), ships[name].astype(np.float32) + 0.125, atol=2e-3)
    record = json.loads((tool.FOLDER / EMBEDDED_WEIGHTS.with_suffix(".json").name).read_text())
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (*models, tool.FOLDER / EMBEDDED_WEIGHTS.name)]
    assert record["training"]["average_of"] == digests[:2] and record["sha256"] == digests[2]
    assert [record[key]["n"] for key in ("accuracy", "held_out_accuracy")] == [5, 3]
    assert record["held_out_accuracy"]["classes"] == 2
    assert [line.rpartition("PyTorch: ")[2] for line in capsys.readouterr().out.splitlines()] == ["5 of 5", "3 of 3"]
    assert sorted(path.name for path in tool.FOLDER.iterdir()) == [
        EMBEDDED_WEIGHTS.with_suffix(".json").name,
        EMBEDDED_WEIGHTS.name,
    ]


def test_wrong_data_costs_nothing(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = moved(tmp_path / "a.safetensors", 0.25)
    monkeypatch.setattr(sys, "argv", ["make_embedded", str(tmp_path / "nothing"), str(tmp_path), str(model)])
    with pytest.raises(InputError, match="no such file"):
        tool.main()
    assert [path.name for path in tool.FOLDER.iterdir()] == [EMBEDDED_WEIGHTS.name]
    assert (tool.FOLDER / EMBEDDED_WEIGHTS.name).read_bytes() == EMBEDDED_WEIGHTS.read_bytes()
