"""gmixer train on the output of gmixer embed: a head, and the nearest neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gmixer
from command import call
from gmixer.bulk.row_options import RowOptions
from labelled import write
from stored_vectors import Labelled, write_stored
from training import Drawn


@pytest.fixture(scope="module")
def photos_of_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, drawn = tmp_path_factory.mktemp("colours") / "photos", Drawn(30, unreadable=[7])
    return write(root, {f"{drawn.classes[drawn.labels[i]]}/{i}.png": drawn.read(i) for i in range(30)})


@pytest.fixture(scope="module")
def labelled(photos_of_classes: Path) -> Labelled:
    return [(file, file.parent.name) for file in sorted(photos_of_classes.rglob("*.png"), key=str)]


@pytest.fixture(scope="module")
def stored(labelled: Labelled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At another size than the model was trained at, which the new model must have, too."""
    predictor = gmixer.load("gmixer_8_64.distill_in1k", image_px=32)
    return write_stored(tmp_path_factory.mktemp("stored") / "out", predictor, labelled, parts=2)


def test_a_probe_of_stored_vectors_is_a_model_for_all_commands(
    photos_of_classes: Path, stored: Path, tmp_path: Path
) -> None:
    finished = call("train", stored, "-o", tmp_path / "run", "--probe")
    assert finished.returncode == 0, finished.stderr
    assert "1 row without a vector left out: not_image 1" in finished.stderr
    assert "starts from gmixer_8_64.distill_in1k, a new head for 3 classes" in finished.stderr
    assert [line.split()[0] for line in finished.stdout.splitlines()] == ["top-1", "model", "report", "try"]
    model = tmp_path / "run" / "model"
    classified = call("classify", photos_of_classes / "class 2/2.png", "--model", model, "-k", "1")
    assert classified.stdout.split("\t")[1].rstrip().endswith("class 2")
    measured = call("validate", model, photos_of_classes, "--json", "--orientation", "apply")
    notes = " ".join(json.loads(measured.stdout)["notes"])
    assert "have the names of images that the model learned from" in notes, measured.stderr
    assert call("info", model).stdout.count("32") > 0


def test_the_nearest_rows_are_measured_and_nothing_is_written(
    labelled: Labelled, stored: Path, predictor: gmixer.Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = call("train", stored, "--knn", "3", "--val", "0.4")
    assert finished.returncode == 0, finished.stderr
    first, by, *classes = finished.stdout.splitlines()
    assert first.startswith("top-1  ") and by.startswith("  by the 3 nearest of ") and by.endswith(" rows (cosine)")
    assert len(classes) == 3 and all(" of " in line and "class " in line for line in classes)
    assert "images to learn from" in finished.stderr and not list(tmp_path.iterdir())
    scaled = write_stored(tmp_path / "scaled.parquet", predictor, labelled, RowOptions(normalize=True))
    assert call("train", scaled, "--knn", "3").returncode == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--knn", "3", "--probe", "--lr", "1"), "trains nothing; leave out --probe, --lr"),
        ((), "stored embeddings, on which only a head can be fitted (--probe)"),
        (("--probe", "--from-scratch"), "only for the model that computed them"),
        (("--probe", "--orientation", "ignore"), "orientation cannot be chosen here"),
        (("--probe", "--val-folder", "later"), "no row in a folder later"),
    ],
)
def test_what_stored_vectors_cannot_give_is_refused(
    options: tuple[str, ...], said: str, stored: Path, tmp_path: Path
) -> None:
    output = () if "--knn" in options else ("-o", tmp_path / "run")
    finished = call("train", stored, *output, *options)
    assert finished.returncode == 2 and said in " ".join(finished.stderr.split()), finished.stderr
    assert not (tmp_path / "run").exists()


def test_neighbours_of_images_are_refused(photos_of_classes: Path) -> None:
    refused = call("train", photos_of_classes, "--knn", "3")
    assert refused.returncode == 2 and "holds no stored embeddings; wanted the output of gmixer embed" in refused.stderr
