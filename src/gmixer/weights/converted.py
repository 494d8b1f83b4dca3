"""A folder that `gmixer convert` made: what its config.json says beside timm's keys, and the check of its weights.

bf16: the MLPs' weights are stored as BF16. Otherwise the folder is an ordinary one.
int8: each weight of an MLP is NAME as I8 (1, O, I), and NAME_scale as F32 (O,). weight[o, i] is NAME[0, o, i] times
NAME_scale[o]. The first axis keeps other programs from taking the integers for weights: torch copies integers of the
right shape, without an error. For the same reason config.json names no architecture that timm knows.

O outputs, I inputs of a layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from gmixer.errors import InputError, WeightsError
from gmixer.options import FP32, NativePrecision

KEY = "conversion"  # of config.json
STORED_AS = {"bf16": "BF16", "int8": "I8"}  # safetensors' name, by precision
SCALE = "_scale"  # ends the name of an int8 weight's scales

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """What a conversion made of which weights.

    architecture: the variant's name. timm reads another key, which names none in int8.
    sha256, crc32: of model.safetensors. Loading compares the CRC-32, which takes half the time of a SHA-256.
    source: the model's name. source_file: the name of its weights file.
    """

    precision: NativePrecision
    architecture: str
    sha256: str
    crc32: int
    source: str
    source_file: str
    source_sha256: str

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Conversion | None:
        """From a config.json; None if it has no such key. Raises InputError for a damaged one."""
        if (said := config.get(KEY)) is None:
            return None
        try:
            found = cls(**said)
        except TypeError as error:
            raise InputError(f"{KEY} holds other keys than gmixer convert writes; convert the model again") from error
        texts = (found.architecture, found.source, found.source_file)
        sums = (found.sha256, found.source_sha256)
        if (
            found.precision not in get_args(NativePrecision)
            or found.precision == FP32
            or not isinstance(found.crc32, int)
            or not all(isinstance(text, str) for text in (*texts, *sums))
            or not all(_SHA256.fullmatch(text) for text in sums)
        ):
            raise InputError(f"{KEY} is damaged, or of a newer gmixer; convert the model again")
        return found

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def architecture_for_timm(self) -> str:
        """timm says "Unknown model (…)" with this text inside."""
        if self.precision == "int8":
            return f"{self.architecture} in int8, which only gmixer runs: gmixer.load(FOLDER)"
        return self.architecture

    def check(self, weights: Path) -> None:
        """Raises WeightsError if the file has another checksum."""
        if crc32_of(weights) != self.crc32:
            raise WeightsError(
                f"{weights}: its checksum is not the one in config.json: the file is damaged, or belongs to another "
                f"conversion; copy both files again, or convert {self.source} again (gmixer convert)"
            )

    def __str__(self) -> str:
        return f"{self.precision}, converted from {self.source}"


def is_mlp_weight(name: str) -> bool:
    """Whether a precision is about this tensor. Stem, head, norms and biases are float32 in every precision."""
    return name.endswith((".fc1.weight", ".fc2.weight"))


def crc32_of(path: Path) -> int:
    import zlib

    crc = 0
    with open(path, "rb", buffering=0) as file:
        while part := file.read(2**20):
            crc = zlib.crc32(part, crc)
    return crc
