"""The progress of a run: CSV files and TensorBoard in its folder, and the Listener."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from gmixer.files import atomic_write
from gmixer.train.run_dir import TENSORBOARD, TRAIN_TABLE, VAL_TABLE


@dataclass(frozen=True)
class Progress:
    """The mean over the steps since the last row.

    top1: share of the images where the model and the target have the same most probable class. Augmented and mixed
    images are harder, so it is lower than on plain images.
    """

    step: int  # number of steps that are done
    epoch: float
    lr: float
    loss: float
    top1: float
    images_per_s: float


@dataclass(frozen=True)
class Validation:
    """On the validation part, by the averaged weights where there are any. top5: None with five classes or fewer."""

    step: int
    epoch: float
    loss: float
    top1: float
    top5: float | None
    n: int


class Window:
    """The steps since the last row of the log. sums: (loss, right, weight) over these steps."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self.sums = torch.zeros(3, dtype=torch.float64)
        self.steps = 0

    def add(self, sums: Tensor) -> None:
        self.sums += sums
        self.steps += 1

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin


class Listener(Protocol):
    """Receives the progress of a run: a terminal, a test."""

    def begins(self, *, step: int, steps: int) -> None: ...
    def progress(self, row: Progress) -> None: ...
    def validated(self, row: Validation) -> None: ...
    def embedded(self, images: int) -> None: ...  # of a probe: how many images have their embedding
    def message(self, text: str) -> None: ...


class Log:
    """train.csv, val.csv and tensorboard/ of a run's folder. A resumed run drops the rows after its checkpoint."""

    def __init__(self, folder: Path, *, from_step: int) -> None:
        self._tables: dict[type, _Table] = {
            Progress: _Table(folder / TRAIN_TABLE, Progress, from_step),
            Validation: _Table(folder / VAL_TABLE, Validation, from_step),
        }
        from torch.utils.tensorboard import SummaryWriter  # imported here, since a probe has no log

        self._board = SummaryWriter(str(folder / TENSORBOARD), purge_step=from_step or None)

    def write(self, row: Progress | Validation) -> None:
        self._tables[type(row)].write(row)
        part = "train" if isinstance(row, Progress) else "val"
        for name, value in asdict(row).items():
            if name not in ("step", "n") and value is not None:
                self._board.add_scalar(f"{part}/{name}", value, row.step)

    def close(self) -> None:
        with suppress(OSError):  # of a full disk, reported when the row was written
            self._board.close()


class _Table:
    def __init__(self, path: Path, row: type[Progress] | type[Validation], from_step: int) -> None:
        self._path = path
        self._names = [field.name for field in fields(row)]
        kept = [r for r in read_table(path) if r["step"] <= from_step]
        self._steps = {r["step"] for r in kept}
        with atomic_write(path) as unfinished:
            _append(unfinished, [self._names, *([r.get(name) for name in self._names] for r in kept)], mode="w")

    def write(self, row: Any) -> None:
        """A finished run that is started again measures its result again: that row is in the table already."""
        if row.step not in self._steps:
            _append(self._path, [[getattr(row, name) for name in self._names]], mode="a")


def _append(path: Path, rows: list[list[Any]], *, mode: str) -> None:
    with path.open(mode, newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)


def read_table(path: Path) -> list[dict[str, float]]:
    """The rows of train.csv or val.csv, without their empty cells; [] where there is no file.

    A last row without its end is left out.
    """
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if line.endswith("\n")))
    whole = [row for row in rows if None not in row.values()]
    number: Callable[[str], float] = lambda text: int(text) if text.isdigit() else float(text)  # noqa: E731
    return [{name: number(text) for name, text in row.items() if text} for row in whole]


def _cell(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else value
