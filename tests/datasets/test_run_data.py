"""run_data.py: the data that a model learned from is known again."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from gmixer.datasets import RunData, open_held_out, open_split, run_data, run_of
from gmixer.datasets.run_data import DATA, FORMAT, MODEL, RECIPE, identity, sketch
from gmixer.errors import InputError
from gmixer.options import Reading
from labelled import folders, image, write

TOML = b"[model]\nnum_classes = 0\n[data]\nval_fraction = 0.2\n"


def run_on(data: Path, folder: Path, val_folder: str | None = None) -> RunData:
    """What a run on this data knows of it."""
    split = open_split(data, val_folder=val_folder)
    toml = TOML + b'val_folder = "%s"\n' % (val_folder or "").encode()
    write(folder, {f"{MODEL}/model.safetensors": b"", RECIPE: toml})
    known = {"format": FORMAT, "train": identity(split.train), "val": identity(split.val)}
    known["names"] = {"train": sketch(split.train), "val": sketch(split.val)}
    (folder / DATA).write_text(json.dumps(known))
    run = run_of(folder / MODEL / "model.safetensors")
    assert run_of(folder / "int8" / "model.safetensors") == run, "a conversion beside the model"
    assert run is not None
    return run


@pytest.mark.parametrize("root", ["", "train"])
def test_of_data_without_a_val_split_the_held_out_images_are_measured(root: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    folders(data / root, {"cat": 30, "dog": 30})
    run, split = run_on(data, tmp_path / "run"), open_split(data)
    images = open_held_out(data, run=run, classes=["dog", "cat"])
    assert [images.name(i) for i in range(len(images))] == [split.val.name(i) for i in range(len(split.val))]
    assert "held out" in " ".join(images.notes) and len(open_held_out(data)) == 60
    moved = data.rename(tmp_path / "moved")
    assert len(open_held_out(moved, run=run)) == len(split.val)


def test_numbers_that_became_names_are_known_again(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": image(i) for i in range(40)})
    rows = [f"{i}.png,{(90210, 10001)[i % 2]}" for i in range(40)]
    write(tmp_path, {"t.csv": "\n".join(["path,label", *rows]).encode()})
    run, held_out = run_on(tmp_path / "t.csv", tmp_path / "run"), open_split(tmp_path / "t.csv").val
    images = open_held_out(tmp_path / "t.csv", run=run, classes=held_out.classes)
    assert images.labels.tolist() == held_out.labels.tolist() and len(images) < 40


def test_data_with_a_val_split_is_measured_on_it_and_not_on_what_was_learned(tmp_path: Path) -> None:
    folders(tmp_path, {"data/train/cat": 3, "data/train/dog": 3, "data/val/cat": 1, "data/val/dog": 1})
    run = run_on(tmp_path / "data", tmp_path / "run")
    for source in (tmp_path / "data", tmp_path / "data/val"):
        assert len(open_held_out(source, run=run)) == 2
    with pytest.raises(InputError, match=r"learned from these images of .*/data/train .* --all"):
        open_held_out(tmp_path / "data/train", run=run)


def test_of_several_folds_only_the_held_out_one_is_measured(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {f"fold{i}/{c}": 2 for i in (1, 2, 3) for c in "xy"})
    run = run_on(data, tmp_path / "run", "fold3")
    assert len(open_held_out(data, val_folder="fold3", run=run)) == 4
    with pytest.raises(InputError, match=r"learned from these images .* wanted --val-folder fold3, or --all"):
        open_held_out(data, val_folder="fold2", run=run)
    write(data, {"fold1/x/new.png": image(999)})
    assert len(open_held_out(data, val_folder="fold2", run=run)) == 4  # other data


def test_other_data_is_measured_as_a_whole(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"cat": 30, "dog": 30})
    run = run_on(data, tmp_path / "run")
    for other in ({"cat/0.png": image(999)}, {"dog/new.png": image(998)}):
        write(data, other)
        assert len(open_held_out(data, run=run)) >= 60


def test_other_data_with_the_names_of_the_run_s_images_is_told(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"cat": 30, "dog": 30})
    run, learned = run_on(data, tmp_path / "run"), len(open_split(data).train)
    assert "learned from" not in " ".join(open_held_out(data, run=run).notes)
    write(data, {"dog/new.png": image(998)})
    images = open_held_out(data, run=run)
    told = f"{learned} of these 61 images have the names of images that the model learned from"
    assert len(images) == 61 and told in " ".join(images.notes)
    others = folders(tmp_path / "others", {"a": 40, "b": 40})
    write(others, {"cat/0.png": image(999)})
    assert not open_held_out(others, run=run).notes


def test_of_many_names_a_sample_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_data, "NAMES", 20)
    data = folders(tmp_path / "data", {"cat": 100, "dog": 100})
    run, learned = run_on(data, tmp_path / "run"), len(open_split(data).train)
    write(data, {"dog/new.png": image(998)})
    (note,) = open_held_out(data, run=run).notes
    assert note.startswith("about ") and abs(int(note.split()[1]) - learned) < 40


def test_a_val_split_with_the_names_of_the_train_split_is_not_told(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {f"{split}/{c}": 4 for split in ("train", "val") for c in "xy"})
    run = run_on(data, tmp_path / "run")
    write(data, {"val/x/new.png": image(999)})
    for source in (data, data / "val"):
        assert not any("learned from" in note for note in open_held_out(source, run=run).notes)


def test_another_range_of_values_than_the_run_s_is_told(tmp_path: Path) -> None:
    folders(tmp_path / "data", {"cat": 30, "dog": 30})
    folders(tmp_path / "other", {"cat": 3, "dog": 3})
    run_on(tmp_path / "data", tmp_path / "run")
    known = json.loads((tmp_path / "run" / DATA).read_text())
    (tmp_path / "run" / DATA).write_text(json.dumps(known | {"reading": {"range": "used"}}))
    run = run_of(tmp_path / "run" / MODEL / "model.safetensors")
    said = "the model learned from images read with --range used; these are read with full"
    for source in (tmp_path / "data", tmp_path / "other"):
        assert said in open_held_out(source, run=run).notes
        assert said not in open_held_out(source, Reading(range="used"), run=run).notes


def test_names_in_another_unicode_form_are_the_same_data(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "café")
    data = folders(tmp_path / "a", {"café": 20, "dog": 20})
    run, held_out = run_on(data, tmp_path / "run"), open_split(data).val
    (data / "café").rename(data / apart)
    assert len(open_held_out(data, run=run)) == len(held_out) < 40


@pytest.mark.parametrize(
    "files",
    [
        {},
        {DATA: b"{", RECIPE: TOML},
        {DATA: b'{"format": 1, "train": {}, "val": {}}', RECIPE: TOML},
        {DATA: b'{"format": 2, "train": {}, "val": 3}', RECIPE: TOML},
        {DATA: b'{"format": 2, "train": {}, "val": {}}', RECIPE: TOML},
    ],
)
def test_weights_outside_a_run_s_folder_know_no_data(files: dict[str, bytes], tmp_path: Path) -> None:
    write(tmp_path, files | {f"{MODEL}/model.safetensors": b""})
    assert run_of(tmp_path / MODEL / "model.safetensors") is None
    assert run_of(tmp_path / "elsewhere" / "model.safetensors") is None
