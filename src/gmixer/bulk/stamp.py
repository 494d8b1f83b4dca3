"""What computed stored embeddings. Vectors compare only if their stamps are equal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import gmixer
from gmixer.bulk.row_options import RowOptions
from gmixer.checks import whole
from gmixer.errors import InputError
from gmixer.predictor import Predictor

KEY = b"gmixer"  # of the stamp in the metadata of a Parquet schema


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """model: its name. weights_sha256: of its weights file. channels: C, the length of a vector.

    preprocessing: the DataConfig, as JSON. reading: of Reading, what changes pixels or refuses images, as JSON.
    part_size: entries in a part; None: one file without parts. gmixer: the version.
    """

    model: str
    weights_sha256: str
    channels: int
    precision: str
    preprocessing: Mapping[str, Any]
    reading: Mapping[str, Any]
    rows: Mapping[str, Any]
    part_size: int | None
    gmixer: str

    @classmethod
    def of(cls, predictor: Predictor, rows: RowOptions, part_size: int | None) -> Self:
        reading = asdict(predictor.preprocess.reading)
        del reading["allow_urls"], reading["isolate"]  # a run that a file crashed may go on with isolate
        return cls(
            model=predictor.name,
            weights_sha256=predictor.checkpoint.file.sha256(),
            channels=predictor.model.channels,
            precision=predictor.precision,
            preprocessing=_as_json(asdict(predictor.preprocess.config)),
            reading=_as_json(reading),
            rows=_as_json(asdict(rows)),
            part_size=part_size,
            gmixer=gmixer.__version__,
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str) -> Self:
        """source: where it stands, in errors. Raises InputError if it is no stamp."""
        try:
            found = cls(**json.loads(text))
            RowOptions(**found.rows)
            if not all(isinstance(facts, Mapping) for facts in (found.preprocessing, found.reading)):
                raise TypeError
            whole("channels", found.channels, least=1)
        except (ValueError, TypeError):
            raise InputError(
                f"{source} holds no stamp of gmixer {gmixer.__version__}; wanted the output of gmixer embed by this "
                "version"
            ) from None
        return found

    def differences(self, other: Stamp) -> list[str]:
        """One phrase for each fact in which the other stamp differs: "precision fp32, not int8"."""
        mine, theirs = _flat(asdict(self)), _flat(asdict(other))
        return [f"{name} {mine.get(name)}, not {theirs.get(name)}" for name in mine if mine[name] != theirs.get(name)]


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, item in value.items():
        flat |= _flat(item, f"{prefix}{name}.") if isinstance(item, Mapping) else {prefix + name: item}
    return flat
