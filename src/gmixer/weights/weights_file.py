"""The base class of weights files: names, shapes and dtypes of the tensors, then the tensors one at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TensorHeader:
    shape: tuple[int, ...]
    dtype: str  # safetensors' name, such as "F16"


class WeightsFile(ABC):
    """Subclasses are in tensor_file.py and pickle_file.py."""

    path: Path
    headers: Mapping[str, TensorHeader]
    part: str | None = None  # the entry of a checkpoint that holds the tensors; None: the file has no entries

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: header.shape for name, header in self.headers.items()}

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes in the file, sorted."""
        return tuple(sorted({header.dtype for header in self.headers.values()}))

    @abstractmethod
    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Every tensor as float32, in file order. Each array is valid until the next one is read."""
