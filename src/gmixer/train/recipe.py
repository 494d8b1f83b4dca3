"""Everything that decides how a model is trained, as one frozen object. recipe_file.py reads and writes it as TOML."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

from gmixer.checks import whole
from gmixer.errors import InputError
from gmixer.train.sections import (
    AugmentSection,
    ComputeSection,
    DataSection,
    HeadSection,
    LateSection,
    LossSection,
    ModelSection,
    OptimizerSection,
    ScheduleSection,
    Section,
    TrainDataSection,
    TrainModelSection,
    check_settings,
    setting,
    text,
)

# Keys of the flat recipes before there were tables, where the name has changed too, or is now in several tables.
RENAMED = {
    "way": "method",
    "model": "model.name",
    "balance": "data.balance",
    "batch": "schedule.batch_size",
    "epochs": "schedule.epochs",
    "schedule": "schedule.name",
    "optimizer": "optimizer.name",
    "ema": "optimizer.ema_decay",
    "lr": "optimizer.lr",
    "weight_decay": "optimizer.weight_decay",
    "loss": "loss.name",
    "smoothing": "loss.label_smoothing",
    "teacher_share": "loss.teacher_share",
    "crop_area": "augment.crop_area",
    "colour_jitter": "augment.color_jitter",
    "calm_from": "late.start",
    "calm_crop_area": "late.crop_area",
    "calm_colour_jitter": "late.color_jitter",
}


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    """about: what the recipe is for, what accuracy it reached, on which machine, in which time."""

    method: ClassVar[Literal["weights", "probe"]]
    about: str = setting("", text)
    seed: int = setting(0, whole, least=0, most=2**63 - 1)

    def __post_init__(self) -> None:
        check_settings(self)

    def settings(self) -> dict[str, Any]:
        """All values by their keys: {"about": …, "seed": 0, "model.name": …}."""
        return {key: getattr(*self._place(key)) for key in setting_keys(type(self))}

    def changed(self, changes: Mapping[str, object]) -> Self:
        """The recipe with other values: {"optimizer.lr": 1e-4}. A text is parsed as TOML, as in {"seed": "3"}.

        Raises InputError for an unknown key or a value that does not fit.
        """
        check_keys(type(self), changes, source="a change to the recipe")
        by_table: dict[str, dict[str, Any]] = {}
        for key, value in changes.items():
            owner, name = self._place(key)
            table = owner.table if isinstance(owner, Section) else ""
            by_table.setdefault(table, {})[name] = _parsed(owner, name, value)
        own = by_table.pop("", {})
        sections = {table: replace(getattr(self, table), **values) for table, values in by_table.items()}
        everything: dict[str, Any] = own | sections
        return replace(self, **everything)

    def _place(self, key: str) -> tuple[Any, str]:
        """The object that holds the value of this key, and its attribute."""
        table, dot, name = key.partition(".")
        return (getattr(self, table), name) if dot else (self, table)


@dataclass(frozen=True, kw_only=True)
class TrainRecipe(_Recipe):
    """How to train the weights of a model: fine-tuning, from scratch, distillation."""

    method = "weights"
    model: TrainModelSection = field(default_factory=TrainModelSection)
    data: TrainDataSection = field(default_factory=TrainDataSection)
    schedule: ScheduleSection = field(default_factory=ScheduleSection)
    optimizer: OptimizerSection = field(default_factory=OptimizerSection)
    loss: LossSection = field(default_factory=LossSection)
    augment: AugmentSection = field(default_factory=AugmentSection)
    late: LateSection = field(default_factory=LateSection)
    head: HeadSection = field(default_factory=HeadSection)
    compute: ComputeSection = field(default_factory=ComputeSection)

    def __post_init__(self) -> None:
        super().__post_init__()
        batch, parts = self.schedule.batch_size, self.compute.accumulate
        if batch % parts:
            raise InputError(
                f"schedule.batch_size {batch} cannot be computed in {parts} equal parts; change compute.accumulate"
            )
        if self.augment.mixes and batch // parts % 2:
            raise InputError(
                f"schedule.batch_size {batch} in {parts} parts leaves an image without a partner to be mixed with"
            )


@dataclass(frozen=True, kw_only=True)
class ProbeRecipe(_Recipe):
    """How to fit a linear head on embeddings that are computed once."""

    method = "probe"
    model: ModelSection = field(default_factory=ModelSection)
    data: DataSection = field(default_factory=DataSection)


Recipe: TypeAlias = TrainRecipe | ProbeRecipe
KINDS: dict[str, type[Recipe]] = {kind.method: kind for kind in (TrainRecipe, ProbeRecipe)}


def setting_keys(kind: type[_Recipe]) -> list[str]:
    """ "about", "seed", "model.name", … in the order of the fields."""
    keys = []
    for f in fields(kind):
        if "check" in f.metadata:
            keys.append(f.name)
        else:
            keys += [f"{f.name}.{of_section.name}" for of_section in fields(f.default_factory)]  # type: ignore[arg-type]
    return keys


def check_keys(kind: type[_Recipe], keys: Iterable[str], *, source: str) -> None:
    """Raises InputError for keys that this kind of recipe lacks; the message has the right key where one is near."""
    known = setting_keys(kind)
    unknown = [key for key in keys if key not in known]
    if not unknown:
        return
    if kind is ProbeRecipe and (idle := [key for key in unknown if key in setting_keys(TrainRecipe)]):
        raise InputError(f"{source} sets {', '.join(idle)}; a probe takes no training steps and has no such setting")
    key = unknown[0]
    raise InputError(f"{source} sets {key!r}, which no recipe has; {_near(key, setting_keys(TrainRecipe))}")


def _near(key: str, known: list[str]) -> str:
    """The way out of an unknown key."""
    by_last_part: dict[str, list[str]] = {}
    for full in known:
        by_last_part.setdefault(full.rpartition(".")[2], []).append(full)
    if key in RENAMED:
        return f"{key} is now {RENAMED[key]}"
    if "." not in key and len(by_last_part.get(key, ())) == 1:
        return f"{key} is now {by_last_part[key][0]}"
    if key == "method":
        return "choose a recipe with that method instead (--config)"
    if "." in key and (close := difflib.get_close_matches(key, known, 1)):
        return f"did you mean {close[0]}?"
    if close := difflib.get_close_matches(key.rpartition(".")[2], by_last_part, 1):
        return f"did you mean {' or '.join(by_last_part[close[0]])}?"
    return f"known are {', '.join(known)}"


def _parsed(owner: Any, name: str, value: object) -> object:
    """A text as TOML reads it, unless the setting itself is a text."""
    metadata = next(f.metadata for f in fields(owner) if f.name == name)
    if not isinstance(value, str) or metadata["is_text"]:
        return value
    try:
        return tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return value  # the check refuses it
