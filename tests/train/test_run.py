"""run.py: each shipped recipe makes a model folder from images, in a small run with its own numbers."""

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
import gmixer.train.curves
import gmixer.train.report
from gmixer.errors import EngineError, InputError
from gmixer.train import Recipe, RunOptions, Trained, TrainRecipe, read_recipe, train
from gmixer.train.log import read_table
from labelled import folders
from training import Drawn, Watching

# These changes turn hours into seconds; all other numbers are the recipe's own.
SMALL: dict[str, dict[str, object]] = {
    "distill_embedded": {"schedule.epochs": 1, "schedule.batch_size": 8},
    "finetune": {"schedule.epochs": 1, "schedule.batch_size": 8},
    "probe": {},
    "ra3_family_in1k": {"schedule.epochs": 1, "schedule.batch_size": 8, "model.name": "gmixer_8_64"},  # 64 px, not 224
    "scratch": {"schedule.epochs": 1, "schedule.batch_size": 8},
    "smoke": {"schedule.batch_size": 8},
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
def test_a_shipped_recipe_trains(name: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != "smoke":  # one real drawing is enough: each takes a second
        for module in (gmixer.train.curves, gmixer.train.report):
            monkeypatch.setattr(module, "curves", lambda *_, **__: b"a plot")
    recipe, watching = read_recipe(name).changed(SMALL[name]), Watching()
    done = trained(table, recipe, tmp_path / "run", watching)
    assert len(done.outcomes.image) == N // 5 and done.report is not None and done.report.exists()
    assert gmixer.load(done.model_folder).model.num_classes == (recipe.model.num_classes or 3)

    ended = gmixer.create_model(f"local-dir:{done.model_folder}", pretrained=True).state_dict()
    assert all(tensor.isfinite().all() for tensor in ended.values()) and ended["head.weight"].any()
    if recipe.model.pretrained:
        initial = gmixer.create_model(recipe.model.name, pretrained=True).state_dict()
        learned = [name for name in ended if name.startswith("blocks.") and not torch.equal(initial[name], ended[name])]
        assert bool(learned) == isinstance(recipe, TrainRecipe)
    assert read_recipe(done.folder / "recipe.toml") == recipe
    assert json.loads((done.folder / "data.json").read_text())["train"]["images"] == N - N // 5
    rows = read_table(done.folder / "train.csv")
    assert (rows[-1]["step"] if rows else 0) == (recipe.schedule.epochs * 2 if isinstance(recipe, TrainRecipe) else 0)
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_the_heads_last_phase_belongs_to_the_run(table: Path, tmp_path: Path) -> None:
    """The saved model and the measured outcomes are those after the phase; a continued run comes to the same bits."""
    recipe = read_recipe("smoke").changed(SMALL["smoke"] | {"loss.teacher_share": 0.0})
    plain = trained(table, recipe, tmp_path / "plain")
    weights = []
    for folder in ("run", "run", "again"):
        done = trained(table, recipe.changed({"head.epochs": 2}), tmp_path / folder)
        weights.append(gmixer.create_model(f"local-dir:{done.model_folder}", pretrained=True).state_dict())
    before = gmixer.create_model(f"local-dir:{plain.model_folder}", pretrained=True).state_dict()
    for name, tensor in before.items():
        assert torch.equal(weights[0][name], tensor) != name.startswith("head."), name
        assert all(torch.equal(weights[0][name], other[name]) for other in weights[1:])
    assert not np.array_equal(done.outcomes.probability, plain.outcomes.probability)


def test_a_run_of_other_data_or_another_recipe_is_refused_and_stays(table: Path, tmp_path: Path) -> None:
    done = trained(table, read_recipe("probe"), tmp_path / "run")
    before = (done.model_folder / "model.safetensors").read_bytes()
    rows, moved = pq.read_table(table), tmp_path / table.name
    pq.write_table(rows.set_column(1, "label", pa.array([1, 0, *rows["label"].to_pylist()[2:]])), moved)
    with pytest.raises(InputError) as error:
        trained(moved, read_recipe("probe"), tmp_path / "run")
    assert "holds a run on other data (train: other images or labels)" in str(error.value)
    with pytest.raises(InputError) as error:
        trained(table, read_recipe("smoke").changed({"schedule.batch_size": 8}), tmp_path / "run")
    assert 'method = "probe"' in str(error.value) and "another folder" in str(error.value)
    assert not (tmp_path / "run" / "checkpoint").exists()
    assert (done.model_folder / "model.safetensors").read_bytes() == before


def test_what_is_held_out_is_a_line_of_the_recipe(table: Path, tmp_path: Path) -> None:
    rows = pq.read_table(table).drop_columns(["split"])
    pq.write_table(rows, tmp_path / "whole.parquet")
    recipe = read_recipe("probe").changed({"data.val_fraction": 0.5})
    done = trained(tmp_path / "whole.parquet", recipe, tmp_path / "run")
    assert 4 <= len(done.outcomes.image) <= 16
    assert read_recipe(done.folder / "recipe.toml").data.val_fraction == 0.5


def test_a_folder_inside_the_data_is_refused(tmp_path: Path) -> None:
    data = folders(tmp_path / "photos", {"cat": 3, "dog": 3})
    with pytest.raises(InputError, match=r"lies inside the data, .*photos; choose another folder"):
        trained(data, read_recipe("probe"), data / "run")
    assert not (data / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"), [({"threads": 100_000}, "1 to 1,024"), ({"device": "nowhere"}, "nowhere")]
)
def test_what_this_machine_has_not_is_told(options: dict[str, Any], said: str, table: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=said):
        train(table, read_recipe("probe"), tmp_path / "run", listener=Watching(), **options)
    assert not (tmp_path / "run").exists()


def test_images_of_which_none_can_be_read_are_refused(tmp_path: Path) -> None:
    columns = {"image": [b"\x89PNG\r\n\x1a\n"] * 12, "label": [0, 1] * 6, "split": ["train"] * 10 + ["val"] * 2}
    pq.write_table(pa.table(columns), tmp_path / "damaged.parquet")
    recipe = read_recipe("smoke").changed({"schedule.batch_size": 4})
    with pytest.raises(InputError, match=r"none of the images of .*damaged\.parquet could be read"):
        trained(tmp_path / "damaged.parquet", recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()
