"""run.py: every recipe that ships goes from pictures to a model folder, in a small run of its own numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import gmixer
from gmixer.errors import EngineError, InputError
from gmixer.train import Recipe, RunOptions, Trained, read_recipe, train
from gmixer.train.log import read_table
from labelled import folders
from training import Drawn, Watching

# What makes a run of hours one of seconds; all other numbers are the recipe's own.
SMALL: dict[str, dict[str, object]] = {
    "distill_embedded": {"epochs": 1, "batch": 8},
    "finetune": {"epochs": 1, "batch": 8},
    "probe": {},
    "ra3_family_in1k": {"epochs": 1, "batch": 8, "model": "gmixer_8_64"},  # of 64 px instead of 224
    "scratch": {"epochs": 1, "batch": 8},
    "smoke": {"batch": 8},
}
N = 20


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three colours, which a teacher holds to be one of ImageNet's first ten classes; every fifth is to measure on."""
    drawn, rng = Drawn(N), np.random.default_rng(0)
    columns: dict[str, list[Any]] = {
        "image": [drawn.read(i) for i in range(N)],
        "label": drawn.labels.tolist(),
        "teacher_index": [rng.permutation(10)[:2].tolist() for _ in range(N)],
        "teacher_probability": [[0.6, 0.3]] * N,
        "split": ["val" if i % 5 == 4 else "train" for i in range(N)],
    }
    path = tmp_path_factory.mktemp("data") / "colours.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def trained(data: Path, recipe: Recipe, folder: Path, listener: Watching | None = None) -> Trained:
    run_options = RunOptions(workers=0, validate_every=0)
    return train(data, recipe, folder, listener=listener or Watching(), threads=1, run_options=run_options)


@pytest.mark.parametrize("name", SMALL)
def test_a_shipped_recipe_trains(name: str, table: Path, tmp_path: Path) -> None:
    recipe, watching = read_recipe(name).changed(SMALL[name]), Watching()
    done = trained(table, recipe, tmp_path / "run", watching)
    assert len(done.outcomes.image) == N // 5 and done.report is not None and done.report.exists()
    assert gmixer.load(done.model_folder).model.num_classes == (recipe.num_classes or 3)

    ended = gmixer.create_model(f"local-dir:{done.model_folder}", pretrained=True).state_dict()
    assert all(tensor.isfinite().all() for tensor in ended.values()) and ended["head.weight"].any()
    if recipe.pretrained:
        begun = gmixer.create_model(recipe.model, pretrained=True).state_dict()
        learnt = [name for name in ended if name.startswith("blocks.") and not torch.equal(begun[name], ended[name])]
        assert bool(learnt) == (recipe.method == "weights")
    assert read_recipe(done.folder / "recipe.toml") == recipe
    assert json.loads((done.folder / "data.json").read_text())["train"]["pictures"] == N - N // 5
    rows = read_table(done.folder / "train.csv")
    assert (rows[-1]["step"] if rows else 0) == (0 if recipe.method == "probe" else recipe.epochs * 2)
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_a_run_of_other_data_is_refused_and_stays(table: Path, tmp_path: Path) -> None:
    done = trained(table, read_recipe("probe"), tmp_path / "run")
    before = (done.model_folder / "model.safetensors").read_bytes()
    rows, moved = pq.read_table(table), tmp_path / table.name
    pq.write_table(rows.set_column(1, "label", pa.array([1, 0, *rows["label"].to_pylist()[2:]])), moved)
    with pytest.raises(InputError) as error:
        trained(moved, read_recipe("probe"), tmp_path / "run")
    assert "holds a run on other data (train: other pictures or labels)" in str(error.value)
    assert (done.model_folder / "model.safetensors").read_bytes() == before


def test_what_is_held_out_is_a_line_of_the_recipe(table: Path, tmp_path: Path) -> None:
    rows = pq.read_table(table).drop_columns(["split"])
    pq.write_table(rows, tmp_path / "whole.parquet")
    done = trained(tmp_path / "whole.parquet", read_recipe("probe").changed({"val_fraction": 0.5}), tmp_path / "run")
    assert 4 <= len(done.outcomes.image) <= 16
    assert read_recipe(done.folder / "recipe.toml").val_fraction == 0.5


def test_a_folder_inside_the_data_is_refused(tmp_path: Path) -> None:
    data = folders(tmp_path / "photos", {"cat": 3, "dog": 3})
    with pytest.raises(InputError, match=r"lies in .*photos, of which it would become a part; wanted"):
        trained(data, read_recipe("probe"), data / "run")
    assert not (data / "run").exists()


@pytest.mark.parametrize(("options", "said"), [({"threads": 100_000}, "1 to 1024"), ({"device": "nowhere"}, "nowhere")])
def test_what_this_machine_has_not_is_told(options: dict[str, Any], said: str, table: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=said):
        train(table, read_recipe("probe"), tmp_path / "run", listener=Watching(), **options)
    assert not (tmp_path / "run").exists()


def test_pictures_of_which_none_can_be_read_teach_nothing(tmp_path: Path) -> None:
    columns = {"image": [b"\x89PNG\r\n\x1a\n"] * 12, "label": [0, 1] * 6, "split": ["train"] * 10 + ["val"] * 2}
    pq.write_table(pa.table(columns), tmp_path / "damaged.parquet")
    watching = Watching()
    with pytest.raises(InputError, match=r"none of the pictures of .*damaged\.parquet could be read"):
        trained(tmp_path / "damaged.parquet", read_recipe("smoke").changed({"batch": 4}), tmp_path / "run", watching)
    assert not (tmp_path / "run" / "model").exists()
