"""stored_rows.py and stored_model.py: the output of gmixer embed as data of a run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import gmixer
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.stored import open_stored
from gmixer.datasets import UNKNOWN, Subset, open_split
from gmixer.errors import InputError
from gmixer.options import Limits, Reading, WeightsSource
from gmixer.train import Trained, measure_neighbours, read_recipe, train
from gmixer.train.stored_model import checkpoint_of, reading_of
from gmixer.train.stored_rows import StoredSplit, holds_embeddings, open_rows
from labelled import write
from stored_vectors import Labelled, write_stored
from training import Drawn, Watching

RECIPE = read_recipe("probe").changed({"model.name": ""})


@pytest.fixture(scope="module")
def photos_of_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of ten images; one image is damaged."""
    root, drawn = tmp_path_factory.mktemp("colours") / "photos", Drawn(30, unreadable=[7])
    return write(root, {f"{drawn.classes[drawn.labels[i]]}/{i}.png": drawn.read(i) for i in range(30)})


@pytest.fixture(scope="module")
def labelled(photos_of_classes: Path) -> Labelled:
    """As a listing has them."""
    return [(file, file.parent.name) for file in sorted(photos_of_classes.rglob("*.png"), key=str)]


@pytest.fixture(scope="module")
def stored(labelled: Labelled, predictor: gmixer.Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stored(tmp_path_factory.mktemp("stored") / "out", predictor, labelled, parts=3)


def trained(data: Path, folder: Path, changes: dict[str, Any] | None = None) -> tuple[Trained, list[str]]:
    watching, recipe = Watching(), RECIPE.changed(changes or {})
    return train(data, recipe, folder, listener=watching, threads=1), watching.messages


def head_of(folder: Path) -> torch.Tensor:
    weight: torch.Tensor = gmixer.create_model(f"local-dir:{folder}", pretrained=True).state_dict()["head.weight"]
    return weight


def split_of(path: Path, **options: Any) -> StoredSplit:
    return open_rows(open_stored(str(path)), **{"val_fraction": 0.2, **options})


def test_the_head_is_that_of_the_images_bit_for_bit(photos_of_classes: Path, stored: Path, tmp_path: Path) -> None:
    """The same split by name, the same order and the same features; so the same weights."""
    from_images = train(photos_of_classes, read_recipe("probe"), tmp_path / "images", listener=Watching(), threads=1)
    done, messages = trained(stored, tmp_path / "stored")
    assert torch.equal(head_of(done.model_folder), head_of(from_images.model_folder))
    weights = [(folder / "model.safetensors").read_bytes() for folder in (done.model_folder, from_images.model_folder)]
    assert weights[0] == weights[1]
    assert (done.outcomes.image == from_images.outcomes.image).all()
    assert (done.outcomes.predicted == from_images.outcomes.predicted).all()
    np.testing.assert_allclose(done.outcomes.probability, from_images.outcomes.probability, rtol=1e-4)
    damaged = "class 1/7.png"
    assert any(m.startswith("1 row without a vector left out: not_image 1 (") and damaged in m for m in messages)
    assert list(done.unreadable) == [str(photos_of_classes / damaged)] and done.class_names == from_images.class_names
    assert read_recipe(done.folder / "recipe.toml").model.name == "gmixer_8_64.distill_in1k"
    page = (done.folder / "report.html").read_text()
    assert "a linear head on stored embeddings of gmixer_8_64.distill_in1k" in page


def test_the_order_of_the_parts_changes_nothing(
    labelled: Labelled, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    """After an update, new images stand in the last part."""
    heads = []
    for name, images in (("one", labelled), ("other", [*labelled[11:], *labelled[:11]])):
        done, _ = trained(write_stored(tmp_path / name, predictor, images, parts=2), tmp_path / f"{name}-run")
        heads.append(head_of(done.model_folder))
    assert torch.equal(*heads)


def test_no_image_is_read(labelled: Labelled, predictor: gmixer.Predictor, tmp_path: Path) -> None:
    gone = [(Path("s3://bucket/photos") / file.relative_to(file.parents[1]), label) for file, label in labelled]
    path = write_stored(tmp_path / "out.parquet", predictor, labelled)
    table = pq.read_table(path)
    paths = pa.array([str(file) for file, _ in gone])
    pq.write_table(table.set_column(0, "path", paths), path)
    done, _ = trained(path, tmp_path / "run")
    measured = gmixer.load(done.model_folder).classify([str(file) for file, _ in labelled[:1]])
    assert measured[0][0].label == labelled[0][1]


def test_another_run_in_the_folder_needs_the_same_vectors(
    labelled: Labelled, stored: Path, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    trained(stored, tmp_path / "run")
    trained(stored, tmp_path / "run")
    other = write_stored(tmp_path / "half.parquet", predictor, labelled, RowOptions(dtype="float16"))
    with pytest.raises(InputError, match="holds a run on other data"):
        trained(other, tmp_path / "run")


def test_the_rows_divide_as_the_images_do(photos_of_classes: Path, stored: Path) -> None:
    images, rows = open_split(photos_of_classes), split_of(stored)
    assert isinstance(images.val, Subset)
    assert [rows.val.key(i) for i in range(len(rows.val))] == [
        key for i in range(len(images.val)) if (key := images.val.key(i)) != "class 1/7.png"
    ]
    assert rows.is_drawn and len(rows.train) + len(rows.val) == 29
    assert rows.val.name(0) == str(photos_of_classes / rows.val.key(0))


def test_folders_of_splits_are_the_splits(labelled: Labelled, predictor: gmixer.Predictor, tmp_path: Path) -> None:
    moved = [(tmp_path / ("val" if i % 5 else "train") / file.name, label) for i, (file, label) in enumerate(labelled)]
    for (old, _), (new, _) in zip(labelled, moved, strict=True):
        write(new.parent, {new.name: old.read_bytes()})
    path = write_stored(tmp_path / "out.parquet", predictor, moved)
    rows = split_of(path)
    assert not rows.is_drawn and all("/val/" in rows.val.name(i) for i in range(len(rows.val)))
    chosen = split_of(path, val_folder="train")
    assert not chosen.is_drawn and all("/train/" in chosen.val.name(i) for i in range(len(chosen.val)))
    with pytest.raises(InputError, match="no row in a folder test; wanted some rows there"):
        split_of(path, val_folder="test")


def test_rows_without_a_label_are_counted_and_not_learned_from(
    labelled: Labelled, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    some = [(file, None if i % 4 == 0 else label) for i, (file, label) in enumerate(labelled)]
    done, messages = trained(write_stored(tmp_path / "out.parquet", predictor, some), tmp_path / "run")
    assert any(line.startswith("without a label: ") for line in messages)
    rows = split_of(tmp_path / "out.parquet")
    unlabelled = int((rows.train.labels == UNKNOWN).sum())
    assert unlabelled + (rows.val.labels == UNKNOWN).sum() == 8 and len(done.outcomes.image) == len(rows.val)


@pytest.mark.parametrize("labels", [[None] * 6, ["cat"] * 6])
def test_labels_that_tell_nothing_apart_are_refused(
    labels: list[str | None], labelled: Labelled, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    images = [(file, label) for (file, _), label in zip(labelled, labels, strict=False)]
    path = write_stored(tmp_path / "out.parquet", predictor, images)
    with pytest.raises(InputError, match=r"wanted at least two classes.*embed a folder of class folders"):
        split_of(path)


def test_a_vector_that_is_not_finite_is_refused(stored: Path, tmp_path: Path) -> None:
    table = open_stored(str(stored)).table()
    vectors = table["vector"].to_pylist()
    vectors[3][5] = float("nan")
    column = pa.array(vectors, table.schema.field("vector").type)
    at = table.schema.get_field_index("vector")
    pq.write_table(table.set_column(at, table.schema.field(at), column), tmp_path / "nan.parquet")
    with pytest.raises(InputError, match=r"nan\.parquet has a vector that is not finite, of .*\.png"):
        split_of(tmp_path / "nan.parquet")


def test_stored_embeddings_are_known_by_their_content(stored: Path, photos_of_classes: Path, tmp_path: Path) -> None:
    part = stored / "part-000000.parquet"
    plain = tmp_path / "plain.parquet"
    pq.write_table(pq.read_table(part).replace_schema_metadata({}), plain)
    known = [str(stored), str(part), "s3://bucket/out"]
    others = [str(photos_of_classes), str(plain), str(tmp_path), str(tmp_path / "none"), "hf:a/b", "foo://a/b"]
    assert [holds_embeddings(place) for place in known + others] == [True] * 3 + [False] * 6


# ---- the model


def test_the_model_is_that_of_the_stamp(labelled: Labelled, tmp_path: Path) -> None:
    """Another image size, the model's own folder, and options of reading: the new model has them all."""
    predictor = gmixer.load("gmixer_8_64.distill_in1k", image_px=72, range="used")
    path = write_stored(tmp_path / "out.parquet", predictor, labelled)
    done, _ = trained(path, tmp_path / "run")
    model = gmixer.load(done.model_folder)
    assert model.model.image_px == 72 == model.data.image_px
    ours, theirs = (p.embed(str(labelled[0][0])).vectors for p in (model, predictor))
    np.testing.assert_array_equal(ours, theirs)
    assert '"range": "used"' in (done.folder / "data.json").read_text()
    again = write_stored(tmp_path / "again.parquet", model, labelled)
    with pytest.raises(InputError, match=r"its name does not say where its weights are; pass its folder .*--model"):
        trained(again, tmp_path / "second")
    second, _ = trained(again, tmp_path / "second", {"model.name": str(done.model_folder)})
    assert torch.equal(head_of(second.model_folder), head_of(done.model_folder))


def test_other_weights_are_refused(stored: Path, tmp_path: Path) -> None:
    stamp = open_stored(str(stored)).stamp
    other = replace(stamp, weights_sha256="0" * 64)
    with pytest.raises(InputError, match=r"with the weights 000000000000… \(SHA-256\), but .* has [0-9a-f]{12}…; pass"):
        checkpoint_of(other, "", WeightsSource())
    with pytest.raises(InputError, match=r"prepared in another way than .*crop_fraction 0\.5, not"):
        checkpoint_of(replace(stamp, preprocessing={**stamp.preprocessing, "crop_fraction": 0.5}), "", WeightsSource())


def test_normalized_vectors_fit_no_head(labelled: Labelled, predictor: gmixer.Predictor, tmp_path: Path) -> None:
    path = write_stored(tmp_path / "out.parquet", predictor, labelled, RowOptions(normalize=True))
    with pytest.raises(InputError, match=r"does not fit the model; embed .* without that, or .*--knn"):
        trained(path, tmp_path / "run")
    assert measure_neighbours(path, 3).top1.value > 0.9 and not (tmp_path / "run").exists()


def test_what_differs_from_the_models_own_vectors_is_told(
    labelled: Labelled, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    path = write_stored(
        tmp_path / "out.parquet", predictor, labelled, RowOptions(dtype="float16"), changes={"precision": "int8"}
    )
    done, messages = trained(path, tmp_path / "run")
    assert sum("computed in int8" in line or "stored as float16" in line for line in messages) == 2
    correct = gmixer.load(done.model_folder).classify([str(file) for file, _ in labelled if file.name != "7.png"])
    assert [p[0].label for p in correct] == [label for file, label in labelled if file.name != "7.png"]


def test_the_options_of_reading_are_those_of_the_stamp(stored: Path) -> None:
    stamp = open_stored(str(stored)).stamp
    assert reading_of(stamp, Reading(isolate=True)) == Reading()
    with pytest.raises(InputError, match="limits, orientation cannot be chosen here"):
        reading_of(stamp, Reading(orientation="ignore", limits=Limits(max_pixels=10)))
    with pytest.raises(InputError, match="with other options of reading than this version has"):
        reading_of(replace(stamp, reading={"turn": True}), Reading())


def test_only_a_head_can_be_fitted(stored: Path, tmp_path: Path) -> None:
    for recipe in (read_recipe("finetune"), RECIPE.changed({"model.pretrained": False})):
        with pytest.raises(InputError, match="on which only a head can be fitted"):
            train(stored, recipe, tmp_path / "run", listener=Watching())


# ---- the nearest neighbours


def test_the_nearest_rows_vote(stored: Path) -> None:
    """Against each row compared with each other row, in float64."""
    rows, measured = split_of(stored), measure_neighbours(stored, 5)
    x, q = (r.features_NC.astype(np.float64) for r in (rows.train, rows.val))
    cosine = (q @ x.T) / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(x, axis=1)
    for n, row in enumerate(cosine):
        nearest = np.argsort(-row)[:5]
        votes = [np.exp(row[nearest][rows.train.labels[nearest] == c] / 0.07).sum() for c in range(3)]
        assert measured.outcomes.predicted[n] == np.argmax(votes)
        assert measured.outcomes.probability[n] == pytest.approx(max(votes) / sum(votes), rel=1e-3)
    assert measured.learned == len(rows.train) and measured.class_names == ("class 0", "class 1", "class 2")
    assert sum(share.n for share in measured.classes) == measured.top1.n == len(rows.val)
    with pytest.raises(InputError, match=r"k is 1000, and .* rows to learn from"):
        measure_neighbours(stored, 1000)
    with pytest.raises(InputError, match="holds no stored embeddings"):
        measure_neighbours(os.devnull)


def test_no_row_with_a_vector(predictor: gmixer.Predictor, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    for images in ([], [(bad, "a")]):
        write_stored(tmp_path / "e.parquet", predictor, images)
        with pytest.raises(InputError, match="has no row with a vector"):
            measure_neighbours(tmp_path / "e.parquet", 1)
