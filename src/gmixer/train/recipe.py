"""Everything that decides how a model is trained, as one frozen object; read from TOML, changed, written back."""

from __future__ import annotations

import difflib
import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gmixer.errors import InputError

Optimizer = Literal["adamw", "sgd", "muon", "rmsprop_tf"]
Schedule = Literal["cosine", "step", "constant"]
Loss = Literal["cross_entropy", "bce"]
TrainPrecision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train. A default asks for nothing: no augmentation, no averaging, no decay.

    A share is 0…1, a fraction of the run or of the data. "Pictures" are those of the training part.
    """

    about: str = ""  # what it is for, what it reached, on which machine, in which time

    # what is trained
    method: Literal["weights", "probe"] = "weights"  # "probe": a linear head on embeddings that are computed once
    model: str = ""  # variant, variant.tag, hf-hub:…, or a folder; what it starts from, too
    pretrained: bool = True  # False: from freshly drawn weights
    num_classes: int = 0  # where the data numbers its classes without names; 0: as many as the greatest number says
    frozen_blocks: int = 0  # this many blocks, and the stem, stay as they are
    drop_path: float = 0.0  # stochastic depth

    # how long
    epochs: float = 1.0
    batch: int = 256  # pictures a step, of all processes and all parts together
    accumulate: int = 1  # parts that a batch is computed in, where it does not fit the memory
    seed: int = 0
    val_fraction: float = 0.2  # held out to measure on, where the data has no part for it
    balance: float = 0.0  # a class of c pictures comes as if it had c^(1 - balance); 1: all classes alike

    # optimizer and schedule
    optimizer: Optimizer = "adamw"
    lr: float = 1e-3
    muon_lr: float = 0.0  # of the blocks' matrices, with optimizer "muon"; everything else is adamw's, at lr
    weight_decay: float = 0.0  # on matrices alone; with rmsprop_tf and sgd a part of the gradient
    betas: tuple[float, float] = (0.9, 0.999)  # adamw
    momentum: float = 0.9  # sgd, muon, rmsprop_tf
    eps: float = 1e-8
    layer_decay: float = 1.0  # each block from the head down learns this much slower than the one above it
    schedule: Schedule = "cosine"
    warmup_epochs: float = 0.0
    final_lr: float = 0.0  # share of lr that a cosine ends at
    decay_epochs: float = 1.0  # schedule "step": every so many epochs …
    decay_rate: float = 1.0  # … lr is multiplied by this
    clip_norm: float = 0.0  # of all gradients together; 0: not clipped
    ema: float = 0.0  # decay of the averaged weights, which then are the result; 0: none

    # loss
    loss: Loss = "cross_entropy"
    smoothing: float = 0.0
    teacher_share: float = 0.0  # of the loss, where a picture has both a label and a teacher's answer
    teacher: str = ""  # a model that answers while we train; "": only answers stored beside the pictures
    temperature: float = 1.0  # of that teacher

    # augmentation, in this order
    crop_area: tuple[float, float] = (1.0, 1.0)  # least and greatest share of the picture's area
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width over height
    flip: float = 0.0  # probability of a mirrored picture
    colour_jitter: float = 0.0  # strength for brightness, contrast and saturation
    rand_ops: int = 0  # RandAugment: how many operations
    rand_magnitude: float = 0.0  # 0…10
    rand_noise: float = 0.0  # standard deviation of the magnitude, drawn anew for each operation
    rand_probability: float = 1.0  # of each operation
    erase: float = 0.0  # probability that a rectangle is replaced by noise
    mixup: float = 0.0  # alpha of the Beta distribution; 0: never
    cutmix: float = 0.0
    mix_probability: float = 1.0  # of a pair of pictures, to be mixed at all
    late_from: float = 1.0  # share of the run after which nothing is mixed, and crops and colours follow the next two
    late_crop_area: tuple[float, float] = (1.0, 1.0)
    late_colour_jitter: float = 0.0

    # how it is computed
    precision: TrainPrecision = "fp32"
    grad_checkpointing: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Recipe).items():
            object.__setattr__(self, name, _checked(name, getattr(self, name), kind))
        for name in _SHARES:
            self._within(name, 0, 1)
        for name in ("crop_area", "late_crop_area"):
            least, greatest = getattr(self, name)
            if not 0 < least <= greatest <= 1:
                raise InputError(f"{name} is {[least, greatest]}; wanted two shares above 0, the smaller one first")
        if not 0 < self.crop_ratio[0] <= self.crop_ratio[1]:
            raise InputError(
                f"crop_ratio is {list(self.crop_ratio)}; wanted two numbers above 0, the smaller one first"
            )
        for name in ("epochs", "batch", "accumulate", "lr", "temperature", "decay_epochs"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)!r}; wanted more than 0")
        for name in _NOT_BELOW_0:
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)!r}; wanted 0 or more")
        self._within("rand_magnitude", 0, 10)
        self._within("val_fraction", 0.01, 0.9)
        self._within("seed", 0, 2**63 - 1)
        for name in ("ema", "smoothing", "drop_path"):
            if getattr(self, name) == 1:
                raise InputError(f"{name} is 1; wanted less: at 1 nothing is learnt")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"betas is {list(self.betas)}; wanted two numbers from 0 to below 1")
        if self.batch % self.accumulate:
            raise InputError(
                f"batch {self.batch} cannot be computed in {self.accumulate} equal parts; change accumulate"
            )
        if self.mixes and self.batch // self.accumulate % 2:
            raise InputError(
                f"batch {self.batch} in {self.accumulate} parts leaves a picture without one to be mixed with"
            )
        if (self.optimizer == "muon") != (self.muon_lr > 0):
            raise InputError(f"muon_lr is {self.muon_lr!r} with optimizer {self.optimizer!r}; they go together")

    @property
    def mixes(self) -> bool:
        return bool(self.mix_probability and (self.mixup or self.cutmix))

    def changed(self, changes: Mapping[str, object]) -> Recipe:
        """With other values, also as text from a command line: {"epochs": "3"}. Raises InputError for unknown names."""
        for name in changes:
            _check_name(name, source="a change to the recipe")
        return replace(self, **dict(changes))  # type: ignore[arg-type] # __post_init__ checks the types

    def to_toml(self) -> str:
        """Every field, one a line; `read_recipe` gives the same recipe back."""
        lines = (f"{f.name} = {_toml(getattr(self, f.name))}" for f in fields(self))
        return "\n".join(lines) + "\n"

    def differences(self, toml: str) -> list[str]:
        """Lines of another recipe's TOML that would train otherwise: ["lr = 0.001", "seed = 3"].

        A name that it lacks has its default: it was written before there was one. What it tells about itself is free.
        Raises ValueError for what is no TOML, TypeError for values that no recipe has.
        """
        ours, theirs = tomllib.loads(self.to_toml()), tomllib.loads(Recipe().to_toml()) | tomllib.loads(toml)
        free = {"about": ""}
        names = sorted(name for name, value in (theirs | free).items() if (ours | free).get(name) != value)
        return [f"{name} = {_toml(theirs[name])}" for name in names]

    def _within(self, name: str, least: float, greatest: float) -> None:
        if not least <= getattr(self, name) <= greatest:
            raise InputError(f"{name} is {getattr(self, name)!r}; wanted {least:g} to {greatest:g}")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run goes about it, which changes no weight. validate_every: epochs; 0: only at the end."""

    workers: int = 1
    checkpoint_every_s: float = 300.0
    validate_every: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (value >= 0 and math.isfinite(value)):
                raise InputError(f"{field.name} is {value!r}; wanted a number, 0 or more")


_SHARES = (
    "drop_path", "layer_decay", "final_lr", "decay_rate", "ema", "smoothing", "teacher_share", "flip", "erase",
    "mix_probability", "rand_probability", "late_from", "momentum", "balance",
)  # fmt: skip

_NOT_BELOW_0 = (
    "muon_lr", "weight_decay", "warmup_epochs", "clip_norm", "mixup", "cutmix", "rand_ops", "rand_noise",
    "frozen_blocks", "num_classes", "colour_jitter", "late_colour_jitter", "eps",
)  # fmt: skip


def recipe_names() -> list[str]:
    """Of the recipes that ship."""
    return sorted(file.name.removesuffix(".toml") for file in _shipped().iterdir() if file.name.endswith(".toml"))


def read_recipe(name: str | os.PathLike[str]) -> Recipe:
    """A recipe that ships, by its name, or a .toml file's. Raises InputError: no such recipe, no TOML, unknown name."""
    text, source = _text_of(name)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is no TOML: {error}") from error
    for key in table:
        _check_name(key, source=source)
    try:
        return Recipe(**table)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _text_of(name: str | os.PathLike[str]) -> tuple[str, str]:
    path = Path(name)
    if path.suffix == ".toml":
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as a recipe: {error}") from error
    if str(name) not in recipe_names():
        raise InputError(
            f"no recipe is called {str(name)!r}; there are {', '.join(recipe_names())}, or pass a .toml file"
        )
    return (_shipped() / f"{name}.toml").read_text(encoding="utf-8"), f"recipe {name}"


def _shipped() -> resources.abc.Traversable:
    return resources.files("gmixer.train") / "recipes"


def _check_name(name: str, *, source: str) -> None:
    known = [field.name for field in fields(Recipe)]
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
        raise InputError(f"{source} sets {name!r}, which no recipe has{hint}")


def _checked(name: str, value: Any, kind: Any) -> Any:
    """The value as this type; a text is read as TOML would, so that a command line can set everything."""
    if isinstance(value, str) and kind is not str and get_origin(kind) is not Literal:
        try:
            value = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            raise InputError(f"{name} is {value!r}; wanted {_named(kind)}") from None
    origin, wanted = get_origin(kind), get_args(kind)
    if origin is Literal:
        fits = value in wanted
    elif origin is tuple:
        fits = isinstance(value, list | tuple) and len(value) == len(wanted) and all(map(_is_number, value))
        value = tuple(map(float, value)) if fits else value
    elif kind is float:
        fits = _is_number(value)
        value = float(value) if fits else value
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, kind)
    if not fits:
        raise InputError(f"{name} is {value!r}; wanted {_named(kind)}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _named(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if get_origin(kind) is tuple:
        return "[number, number]"
    return {float: "a number", int: "a whole number", bool: "true or false", str: "text"}[kind]


def _toml(value: object) -> str:
    """JSON's numbers, lists and truths are TOML's too, and its texts but for one character."""
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
