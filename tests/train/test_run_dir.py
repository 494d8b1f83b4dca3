"""folder.py: a run goes on with its own recipe and its own data, and with nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gmixer.datasets import LabeledImages, SoftLabels
from gmixer.errors import InputError
from gmixer.train import Recipe, read_recipe
from gmixer.train.run_dir import CHECKPOINT, DATA, MODEL, RECIPE, bind_run_dir
from training import Drawn

ITS_RECIPE = Recipe(model="drawn", lr=1e-3)
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
    """One picture is another, of the same class."""

    def key(self, i: int) -> str:
        return "other" if i == 0 else super().key(i)


@dataclass(frozen=True)
class Redrawn(Drawn):
    """One picture has other pixels, under the same name: the rows of another table."""

    def read(self, i: int) -> bytes:
        return super().read(i + 1)


def begun(folder: Path, what: str = CHECKPOINT, recipe: Recipe = ITS_RECIPE, train: LabeledImages = TRAIN) -> Path:
    """A folder with a run that came as far as this."""
    bind_run_dir(folder, recipe, train=train, val=VAL)
    (folder / what).parent.mkdir(exist_ok=True)
    (folder / what).touch()
    return folder


@pytest.mark.parametrize("what", [CHECKPOINT, MODEL])
def test_a_run_goes_on_where_all_is_the_same(what: str, tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", what)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    bind_run_dir(folder, replace(ITS_RECIPE, about="in other words"), train=TRAIN, val=VAL)
    bind_run_dir(folder, ITS_RECIPE, train=replace(TRAIN, source="moved/elsewhere", name_of="there"), val=VAL)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert read_recipe(folder / RECIPE) == ITS_RECIPE


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"recipe": replace(ITS_RECIPE, lr=5e-4)}, "a run with another recipe (lr = 0.001)"),
        ({"recipe": replace(ITS_RECIPE, lr=1, seed=3)}, "a run with another recipe (lr = 0.001; seed = 0)"),
        ({"train": Drawn(9)}, "a run on other data (train: 6 pictures, not 9)"),
        ({"train": Moved(6)}, "a run on other data (train: other pictures or labels)"),
        ({"train": Exchanged(6)}, "a run on other data (train: other pictures or labels)"),
        ({"train": Renamed(6)}, "a run on other data (train: other classes)"),
        ({"train": Drawn(6, soft=SOFT)}, "a run on other data (train: other pictures or labels)"),
        ({"train": Redrawn(6)}, "a run on other data (train: other pictures or labels)"),
        ({"val": Moved(4)}, "a run on other data (val: other pictures or labels)"),
    ],
)
@pytest.mark.parametrize("what", [CHECKPOINT, MODEL])
def test_another_run_is_refused_and_nothing_is_changed(
    changed: dict[str, object], said: str, what: str, tmp_path: Path
) -> None:
    folder = begun(tmp_path / "run", what)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(InputError) as error:
        bind_run_dir(folder, **{"recipe": ITS_RECIPE, "train": TRAIN, "val": VAL, **changed})  # type: ignore[arg-type]
    assert f"holds {said}; give the same to go on, or another folder" in str(error.value)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("name", [RECIPE, DATA])
@pytest.mark.parametrize("content", [None, b"{", b"{}", b"[]", b"\xff", b"lr = 1979-05-27"])
def test_what_cannot_tell_whose_it_is_belongs_to_nobody(name: str, content: bytes | None, tmp_path: Path) -> None:
    folder = begun(tmp_path / "run")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match="or another folder") as error:
        bind_run_dir(folder, ITS_RECIPE, train=TRAIN, val=VAL)
    assert name in str(error.value) or "another recipe" in str(error.value)


def test_a_run_that_had_not_begun_is_nobodys(tmp_path: Path) -> None:
    bind_run_dir(tmp_path / "run", ITS_RECIPE, train=TRAIN, val=VAL)
    bind_run_dir(tmp_path / "run", replace(ITS_RECIPE, lr=1), train=Drawn(9), val=VAL)
    assert read_recipe(tmp_path / "run" / RECIPE).lr == 1
    assert json.loads((tmp_path / "run" / DATA).read_text())["train"]["pictures"] == 9
