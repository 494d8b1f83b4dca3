"""What the parts of a run share: its data, and where and how it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gmixer.config import DataConfig
from gmixer.data import Preprocess
from gmixer.datasets import LabeledImages
from gmixer.options import Reading
from gmixer.train.distributed import World
from gmixer.train.log import Listener
from gmixer.train.run_options import RunOptions


@dataclass(frozen=True, kw_only=True)
class TrainData:
    """config: how the model wants its images. reading: how files are read and decoded."""

    train: LabeledImages
    val: LabeledImages
    config: DataConfig
    reading: Reading = Reading()

    def preprocess(self) -> Preprocess:
        """The evaluation transform, for images that are not augmented."""
        return Preprocess(self.config, self.reading)


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """folder: of the run, which belongs to it (run_dir.py)."""

    folder: Path
    world: World
    listener: Listener
    options: RunOptions
