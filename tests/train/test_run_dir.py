"""run_dir.py: a run continues with its own recipe, data and reading only."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gmixer.datasets import SoftLabels
from gmixer.datasets.run_data import DATA, MODEL, RECIPE
from gmixer.errors import InputError
from gmixer.options import Limits, Reading
from gmixer.train import ProbeRecipe, TrainRecipe, read_recipe
from gmixer.train.run_dir import CHECKPOINT, bind_run_dir
from training import Drawn

ITS_RECIPE = TrainRecipe().changed({"model.name": "drawn", "optimizer.lr": 1e-3})
TRAIN, VAL = Drawn(6), Drawn(4, name_of="val")
SOFT = SoftLabels(np.zeros((6, 1), np.int32), np.full((6, 1), 0.5, np.float32))


@dataclass(frozen=True)
class Moved(Drawn):
    """One label is another."""

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        labels = np.arange(self.n) % self.num_classes
        labels[0] = 2
        return labels


@dataclass(frozen=True)
class Renamed(Drawn):
    @property
    def classes(self) -> list[str]:
        return ["a", "b", "c"]


@dataclass(frozen=True)
class Exchanged(Drawn):
    """One image is another, of the same class."""

    def key(self, i: int) -> str:
        return "other" if i == 0 else super().key(i)


@dataclass(frozen=True)
class Redrawn(Drawn):
    """One image has other pixels, under the same name: the rows of another table."""

    def read(self, i: int) -> bytes:
        return super().read(i + 1)


def bound(folder: Path, what: str = CHECKPOINT, reading: Reading = Reading()) -> Path:
    """A folder with a run that has got as far as this."""
    bind_run_dir(folder, ITS_RECIPE, train=TRAIN, val=VAL, reading=reading)
    (folder / what).parent.mkdir(exist_ok=True)
    (folder / what).touch()
    return folder


@pytest.mark.parametrize("what", [CHECKPOINT, MODEL])
def test_a_run_goes_on_where_all_is_the_same(what: str, tmp_path: Path) -> None:
    folder = bound(tmp_path / "run", what)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    bind_run_dir(folder, replace(ITS_RECIPE, about="in other words"), train=TRAIN, val=VAL)
    bind_run_dir(folder, ITS_RECIPE, train=replace(TRAIN, source="moved/elsewhere", name_of="there"), val=VAL)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert read_recipe(folder / RECIPE) == ITS_RECIPE


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"recipe": ITS_RECIPE.changed({"optimizer.lr": 5e-4})}, "a run with another recipe (optimizer.lr = 0.001)"),
        (
            {"recipe": ITS_RECIPE.changed({"optimizer.lr": 1, "seed": 3})},
            "a run with another recipe (optimizer.lr = 0.001; seed = 0)",
        ),
        ({"recipe": ProbeRecipe()}, 'a run with another recipe (method = "weights")'),
        ({"train": Drawn(9)}, "a run on other data (train: 6 images, not 9)"),
        ({"train": Moved(6)}, "a run on other data (train: other images or labels)"),
        ({"train": Exchanged(6)}, "a run on other data (train: other images or labels)"),
        ({"train": Renamed(6)}, "a run on other data (train: other classes)"),
        ({"train": Drawn(6, soft=SOFT)}, "a run on other data (train: other images or labels)"),
        ({"train": Redrawn(6)}, "a run on other data (train: other images or labels)"),
        ({"val": Moved(4)}, "a run on other data (val: other images or labels)"),
        (
            {"reading": Reading(orientation="ignore")},
            "a run that reads its images with other options (the defaults)",
        ),
    ],
)
@pytest.mark.parametrize("what", [CHECKPOINT, MODEL])
def test_another_run_is_refused_and_nothing_is_changed(
    changed: dict[str, object], said: str, what: str, tmp_path: Path
) -> None:
    folder = bound(tmp_path / "run", what)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(InputError) as error:
        bind_run_dir(folder, **{"recipe": ITS_RECIPE, "train": TRAIN, "val": VAL, **changed})  # type: ignore[arg-type]
    assert f"holds {said}; give the same to continue it, or choose another folder" in str(error.value)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("name", [RECIPE, DATA])
@pytest.mark.parametrize("content", [None, b"{", b"{}", b"[]", b"\xff", b"lr = 1979-05-27"])
def test_a_folder_that_does_not_identify_its_run_is_refused(name: str, content: bytes | None, tmp_path: Path) -> None:
    folder = bound(tmp_path / "run")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match="another folder") as error:
        bind_run_dir(folder, ITS_RECIPE, train=TRAIN, val=VAL)
    assert name in str(error.value) or "another recipe" in str(error.value)


@pytest.mark.parametrize("name", [RECIPE, DATA])
def test_a_run_of_an_older_gmixer_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    folder = bound(tmp_path / "run")
    if name == RECIPE:
        (folder / name).write_text('about = ""\nway = "weights"\nmodel = "drawn"\nlr = 0.001\n')
    else:
        old = {"format": 1, "train": {"pictures": 6, "sha256": "0", "classes": None}}
        (folder / name).write_text(json.dumps(old))
    with pytest.raises(InputError) as error:
        bind_run_dir(folder, ITS_RECIPE, train=TRAIN, val=VAL)
    assert str(error.value) == (
        f"{folder} holds a run of another version of gmixer (recipe.toml, data.json); finish it with the gmixer that "
        "began it, or choose another folder (-o)"
    )


def test_only_options_of_reading_that_are_not_the_default_identify_a_run(tmp_path: Path) -> None:
    assert json.loads((bound(tmp_path / "a") / DATA).read_text())["reading"] == {}
    reading = Reading(orientation="ignore", range="used", limits=Limits(max_pixels=1_000))
    folder = bound(tmp_path / "b", reading=reading)
    written = json.loads((folder / DATA).read_text())["reading"]
    assert written == {"orientation": "ignore", "range": "used", "limits": {"max_pixels": 1000}}
    bind_run_dir(folder, ITS_RECIPE, train=TRAIN, val=VAL, reading=reading)
    with pytest.raises(
        InputError, match=r"with other options \(orientation=ignore, range=used, max_pixels=1000\); give the same"
    ):
        bind_run_dir(folder, ITS_RECIPE, train=TRAIN, val=VAL)


def test_a_folder_without_checkpoint_and_model_takes_any_run(tmp_path: Path) -> None:
    bind_run_dir(tmp_path / "run", ITS_RECIPE, train=TRAIN, val=VAL)
    bind_run_dir(tmp_path / "run", ITS_RECIPE.changed({"optimizer.lr": 1}), train=Drawn(9), val=VAL)
    assert read_recipe(tmp_path / "run" / RECIPE).settings()["optimizer.lr"] == 1
    assert json.loads((tmp_path / "run" / DATA).read_text())["train"]["images"] == 9
