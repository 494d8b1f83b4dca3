"""The note on an image (gmixer.images), as each command tells it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gmixer
import gmixer.train.curves
import gmixer.train.report
from command import call
from gmixer.evaluate.validate import validate
from gmixer.images.transparency import HIDDEN
from gmixer.labels import imagenet_1k
from gmixer.train import RunOptions, read_recipe, train
from labelled import folders
from training import Watching

SMALL = "gmixer_8_64.distill_in1k"
SIX_PERCENT = "use 6 % of the range 0 to 65,535"
N = 5  # hidden images of each class


def hidden(number: int) -> Image.Image:
    """No pixel is visible."""
    return Image.merge("RGBA", [*Image.linear_gradient("L").convert("RGB").split(), Image.new("L", (256, 256))]).rotate(
        number
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a.png: no pixel is visible; b.png: plain; c.tif: 12 bits in 16."""
    folder = tmp_path_factory.mktemp("images")
    hidden(0).save(folder / "a.png")
    Image.linear_gradient("L").save(folder / "b.png")
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(folder / "c.tif")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes: N images without a visible pixel in each, and others."""
    root = folders(tmp_path_factory.mktemp("data"), {label.synset: 5 for label in imagenet_1k()[:2]})
    for folder in root.iterdir():
        for i in range(N):
            hidden(i).save(folder / f"hidden{i}.png")
    return root


def test_json_has_a_note_where_there_is_one_and_stderr_names_it_once(images: Path) -> None:
    finished = call("classify", images, "-m", SMALL, "--json")
    rows = [json.loads(line) for line in finished.stdout.splitlines()]
    assert finished.returncode == 0
    assert rows[0]["note"] == HIDDEN and "note" not in rows[1] and SIX_PERCENT in rows[2]["note"]
    noted = finished.stderr.splitlines()
    assert noted[0] == f"{images / 'a.png'}: {HIDDEN}" and noted[1].startswith(f"{images / 'c.tif'}: its values")
    assert len(noted) == 2


def test_csv_has_a_column_for_it(images: Path) -> None:
    finished = call("classify", images, "-m", SMALL, "--csv")
    rows = list(csv.DictReader(io.StringIO(finished.stdout)))
    assert [row["note"] for row in rows[:2]] == [HIDDEN, ""] and SIX_PERCENT in rows[2]["note"]
    assert len(finished.stderr.splitlines()) == 2


def test_lines_for_a_pipe_stay_as_they_are(images: Path) -> None:
    finished = call("classify", images, "-m", SMALL)
    assert len(finished.stdout.splitlines()) == 3 and HIDDEN not in finished.stdout
    assert finished.stderr.count(HIDDEN) == 1


@pytest.mark.parametrize("flags", [["--range", "used"], ["--range", "used", "--isolate"]])
def test_range_used_changes_the_answer_and_ends_the_note(images: Path, flags: list[str]) -> None:
    before, after = (call("classify", images / "c.tif", "-m", SMALL, "--json", *some) for some in ([], flags))
    assert "note" in json.loads(before.stdout) and "note" not in json.loads(after.stdout) and after.stderr == ""
    assert json.loads(before.stdout)["predictions"] != json.loads(after.stdout)["predictions"]


def test_embed_stores_it_beside_the_path(images: Path, tmp_path: Path) -> None:
    finished = call("embed", images, "-m", SMALL, "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as stored:
        notes = dict(zip((Path(path).name for path in stored["paths"]), stored["notes"], strict=True))
    assert notes["a.png"] == HIDDEN and notes["b.png"] == "" and SIX_PERCENT in notes["c.tif"]
    assert finished.stderr.count(HIDDEN) == 1 and finished.stderr.count(SIX_PERCENT) == 1


def test_in_python(images: Path, predictor: gmixer.Predictor) -> None:
    paths = [images / "a.png", images / "b.png"]
    assert [found.note for found in predictor.classify(paths)] == [HIDDEN, None]
    assert predictor.embed(paths[0]).note == HIDDEN and predictor.embed(paths[1]).note is None
    assert predictor.embed(paths[::-1]).note == f"image 1: {HIDDEN}"
    spread = gmixer.load(SMALL, range="used")
    assert spread.classify(images / "c.tif").note is None
    with pytest.raises(gmixer.InputError, match="range is 'all'"):
        gmixer.load(SMALL, range="all")  # type: ignore[arg-type]


def test_validate_counts_them_and_names_three(data: Path, predictor: gmixer.Predictor, tmp_path: Path) -> None:
    shown = call("validate", SMALL, data, "-o", tmp_path / "out.csv").stdout
    assert f"{2 * N} images have a note" in shown and shown.count(HIDDEN) == 3
    assert (tmp_path / "out.csv").read_text().count(HIDDEN) == 2 * N
    assert len(validate(predictor, data).to_dict()["image_notes"]) == 2 * N


@pytest.mark.parametrize("recipe", ["probe", "finetune"])
def test_training_counts_them_and_names_three(
    recipe: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (gmixer.train.curves, gmixer.train.report):  # a drawing takes a second
        monkeypatch.setattr(module, "curves", lambda *_, **__: b"a plot")
    small = {} if recipe == "probe" else {"schedule.epochs": 2, "schedule.batch_size": 8}
    watching = Watching()
    train(
        data,
        read_recipe(recipe).changed({"model.name": SMALL, **small}),
        tmp_path / "run",
        listener=watching,
        threads=1,
        run_options=RunOptions(workers=0, validate_every=0),
    )
    said = [message for message in watching.messages if "note" in message]
    assert sum(HIDDEN in message for message in said) == 3 and f"{2 * N} images have a note" in said
