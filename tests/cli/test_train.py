"""gmixer train as a user runs it: images in folders → a model for the other commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gmixer
from command import call, run, run_in_terminal
from gmixer.train.log import read_table
from labelled import image, write
from training import Drawn


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three colours under noise, twelve images each, one of them damaged."""
    root, drawn = tmp_path_factory.mktemp("colours"), Drawn(36, unreadable=[7])
    for i in range(len(drawn)):
        path = root / drawn.classes[drawn.labels[i]] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        # A damaged image: a file that is no image at all would not be part of the data, only counted.
        path.write_bytes(drawn.read(i) if i not in drawn.unreadable else drawn.read(8)[:500])
    return root


def test_a_probe_classifies_by_the_names_of_the_folders(folder: Path, tmp_path: Path) -> None:
    finished = run("train", folder, "-o", tmp_path / "run", "--probe")
    assert finished.returncode == 0, finished.stderr
    assert "7.png" in finished.stderr and "cannot be read" in finished.stderr
    assert "images to learn from" in finished.stderr.splitlines()[0] and "3 classes" in finished.stderr
    words = [line.split(maxsplit=1) for line in finished.stdout.splitlines()]
    assert [word for word, _ in words] == ["top-1", "model", "report", "try"] and "95 % interval" in words[0][1]
    assert words[1][1] == str(tmp_path / "run" / "model") and Path(words[2][1]).read_text().startswith(
        "<!DOCTYPE html>"
    )
    assert words[3][1] == f"gmixer classify PHOTO --model {tmp_path / 'run' / 'model'}"
    classified = run("classify", folder / "class 2" / "2.png", "--model", tmp_path / "run" / "model", "-k", "1")
    assert classified.stdout.split("\t")[1].rstrip().endswith("class 2")


def test_a_run_leaves_all_there_is(folder: Path, tmp_path: Path) -> None:
    command = (
        "train",
        folder,
        "-o",
        tmp_path / "run",
        "--config",
        "smoke",
        "--batch",
        "8",
        "--set",
        "model.drop_path=0.2",
    )
    shown, status = run_in_terminal(*command)
    assert status == 0, shown
    assert re.search(r"100 % epoch 2\.\d+  loss [\d.]+  top-1 [\d.]+%  \d+ images/s", shown), shown
    assert re.search(r"epoch 1\.\d+  on \d+ held out: loss [\d.]+, top-1 [\d.]+%\s", shown), shown
    last = [line for line in shown.splitlines() if line.strip()][-4:]  # whole, so that they can be copied
    assert last[0].startswith("top-1   ") and last[3] == f"try     gmixer classify PHOTO --model {tmp_path}/run/model"
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert recipe["schedule"]["batch_size"] == 8 and recipe["schedule"]["epochs"] == 2.0
    assert recipe["model"]["drop_path"] == 0.2
    steps = [row["step"] for row in read_table(tmp_path / "run" / "train.csv")]
    assert steps[-1] == max(steps) > 0
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    predictor = gmixer.load(tmp_path / "run" / "model")
    assert [label.name for label in predictor.labels] == ["class 0", "class 1", "class 2"]


def test_the_run_s_own_data_is_measured_on_what_it_held_out(folder: Path, tmp_path: Path) -> None:
    data, model = tmp_path / "data", tmp_path / "run/model"
    for split in ("A", "B"):
        shutil.copytree(folder, data / split)
    run_folder = ("-o", tmp_path / "run", "--probe")
    refused = call("train", data, *run_folder)
    assert refused.returncode == 2 and "--val-folder" in refused.stderr and not (tmp_path / "run").exists()
    trained = call("train", data / "A", *run_folder)
    n = int(re.search(r"([\d]+) held out", trained.stderr)[1])  # type: ignore[index]
    said = json.loads(call("validate", model, data / "A", "--json", "--orientation", "apply").stdout)
    assert said["n"] == n and f"the {n} images of 36" in " ".join(said["notes"])
    assert f"{said['top1']:.1%}" in trained.stdout
    assert json.loads(call("validate", model, data / "A", "--json", "--all").stdout)["n"] == 35
    shutil.copy(data / "A/class 0/0.png", data / "A/class 0/copy.png")
    assert json.loads(call("validate", model, data / "A", "--json").stdout)["n"] == 36  # no longer the run's data


def test_images_that_a_model_learned_from_measure_nothing(folder: Path, tmp_path: Path) -> None:
    data, model = tmp_path / "data", tmp_path / "run/model"
    for split in ("A", "B"):
        shutil.copytree(folder, data / split)
    assert call("train", data, "-o", tmp_path / "run", "--probe", "--val-folder", "B").returncode == 0
    assert tomllib.loads((tmp_path / "run/recipe.toml").read_text())["data"]["val_folder"] == "B"
    for learned in ((data / "A",), (data, "--val-folder", "A")):
        refused = call("validate", model, *learned)
        assert refused.returncode == 2 and "learned from these images" in refused.stderr and "--all" in refused.stderr
        assert json.loads(call("validate", model, *learned, "--all", "--json").stdout)["n"] == 35
    write(data / "B", {"class 0/new.png": image(7)})
    assert json.loads(call("validate", model, data, "--val-folder", "B", "--json").stdout)["n"] == 36


@pytest.mark.slow
def test_under_torchrun_two_processes_train_one_model_and_one_speaks(folder: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "gmixer", "train"]
    options = ["--config", "smoke", "--batch", "8", "--epochs", "1", "--workers", "0", "--validate-every", "0"]
    command = [*torchrun, str(folder), "-o", str(tmp_path / "run"), *options]
    finished = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert finished.returncode == 0, finished.stderr
    assert [line.split()[0] for line in finished.stdout.splitlines()] == ["top-1", "model", "report", "try"]
    assert finished.stderr.count("7.png") == 1 and finished.stderr.count("images to learn from") == 1
    assert "7.png" in (tmp_path / "run" / "report.html").read_text()
    assert [label.name for label in gmixer.load(tmp_path / "run" / "model").labels] == ["class 0", "class 1", "class 2"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "drop_pth=0.2"), "did you mean model.drop_path?"),
        (("--set", "drop_path=0.2"), "drop_path is now model.drop_path"),
        (("--set", "model.drop_path"), "NAME=VALUE"),
        (("--probe", "--config", "smoke"), "not both"),
        (
            ("--probe", "--epochs", "3", "--set", "augment.flip=0.5"),
            "sets schedule.epochs, augment.flip; a probe takes no",
        ),
        (("--validate-every", "nan"), "validate_every is nan"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    options: tuple[str, ...], said: str, folder: Path, tmp_path: Path
) -> None:
    finished = run("train", folder, "-o", tmp_path / "run", *options)
    assert finished.returncode == 2 and said in finished.stderr, finished.stderr
    assert not (tmp_path / "run").exists()


def test_sparse_numbers_are_the_names_of_classes_for_every_command(folder: Path, tmp_path: Path) -> None:
    """90,211 classes made a probe that did not end."""
    data = tmp_path / "set [2024]"
    data.mkdir()
    rows = [f"{path},{10_001 * (1 + int(path.parent.name[-1]))}.0" for path in sorted(folder.glob("*/*.png"))]
    (data / "a {1..2}.csv").write_text("\n".join(["path,label", *rows]) + "\n", encoding="utf-16")
    finished = run("train", data / "a {1..2}.csv", "-o", tmp_path / "run", "--probe")
    assert finished.returncode == 0, finished.stderr
    assert "3 numbers from 10001 to 30003, so each is the name of a class" in finished.stderr
    measured = run("validate", tmp_path / "run" / "model", data / "a {1..2}.csv", "--all")
    assert measured.stdout.count(" of 12") + measured.stdout.count(" of 11") == 3
    assert all(name in measured.stdout for name in ("10001", "20002", "30003"))
