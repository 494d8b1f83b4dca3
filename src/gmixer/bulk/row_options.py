"""What a row of stored embeddings holds, as the user chooses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from gmixer.checks import one_of, whole
from gmixer.errors import InputError

VectorType: TypeAlias = Literal["float32", "float16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowOptions:
    """dtype: of the vectors. normalize: scale each vector to length 1. classes: how many predictions a row holds.

    hash: store the SHA-256 of each file's bytes.

    Raises InputError for a dtype that does not exist, for classes below 0, and for flags that are no bool.
    """

    dtype: VectorType = "float32"
    normalize: bool = False
    classes: int = 5
    hash: bool = False

    def __post_init__(self) -> None:
        one_of("dtype", self.dtype, get_args(VectorType))
        whole("classes", self.classes, least=0)
        for name in ("normalize", "hash"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r}; wanted True or False")
