"""The tables of a recipe, as frozen objects that check their values.

A default asks for nothing: no augmentation, no averaging, no decay. A share is a fraction from 0 to 1. "Images" are
the images of the training part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar, get_args

from gmixer.checks import number, one_of, whole
from gmixer.errors import InputError
from gmixer.options import FP32, TorchPrecision

T = TypeVar("T")

OptimizerName = Literal["adamw", "sgd", "muon", "rmsprop_tf"]
ScheduleName = Literal["cosine", "step", "constant"]
LossName = Literal["cross_entropy", "bce"]


def text(name: str, value: Any) -> str:
    """The value, where it is a str."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}; wanted text")
    return value


def true_or_false(name: str, value: Any) -> bool:
    """The value, where it is True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} is {value!r}; wanted true or false")
    return value


def _share(name: str, value: Any) -> float:
    """The value, where it is a number from 0 to 1."""
    return number(name, value, least=0, most=1)


def _share_below_1(name: str, value: Any) -> float:
    """The value, where it is a number from 0 to 1, and not 1."""
    if _share(name, value) == 1:
        raise InputError(f"{name} is 1; wanted less: at 1 the model learns nothing")
    return float(value)


def _pair(name: str, value: Any) -> tuple[float, float]:
    """The value as two numbers above 0, the smaller one first."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InputError(f"{name} is {value!r}; wanted [number, number]")
    first, second = (number(name, entry, above=0) for entry in value)
    if first > second:
        raise InputError(f"{name} is {[first, second]}; wanted two numbers, the smaller one first")
    return first, second


def _area(name: str, value: Any) -> tuple[float, float]:
    """The value as two shares above 0, the smaller one first."""
    least, most = _pair(name, value)
    if most > 1:
        raise InputError(f"{name} is {[least, most]}; wanted two shares above 0, at most 1, the smaller one first")
    return least, most


def _betas(name: str, value: Any) -> tuple[float, float]:
    """The value as two numbers from 0 to below 1."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InputError(f"{name} is {value!r}; wanted [number, number]")
    first, second = (number(name, entry) for entry in value)
    if not (0 <= first < 1 and 0 <= second < 1):
        raise InputError(f"{name} is {[first, second]}; wanted two numbers from 0 to below 1")
    return first, second


def setting(default: T, check: Callable[..., Any], **limits: Any) -> T:
    """A field with its check. text and one_of take the text of a command line as it is; all others parse it first."""
    metadata = {"check": partial(check, **limits), "is_text": check in (text, one_of)}
    return field(default=default, metadata=metadata)


def check_settings(settings: Any, prefix: str = "") -> None:
    """Replaces each field made by `setting` by its checked value. Raises InputError."""
    for f in fields(settings):
        if "check" in f.metadata:
            checked = f.metadata["check"](prefix + f.name, getattr(settings, f.name))
            object.__setattr__(settings, f.name, checked)


@dataclass(frozen=True, kw_only=True)
class Section:
    """table: its name in TOML."""

    table: ClassVar[str]

    def __post_init__(self) -> None:
        check_settings(self, f"{self.table}.")


@dataclass(frozen=True, kw_only=True)
class ModelSection(Section):
    """The model that a run starts from."""

    table = "model"
    name: str = setting("", text)  # variant, variant.tag, hf-hub:…, or a folder
    pretrained: bool = setting(True, true_or_false)  # false: start from random weights
    # For labels that are class indices; 0: as the data says. A million rows of the head take 1.5 GB in gmixer_24_224.
    num_classes: int = setting(0, whole, least=0, most=1_000_000)


@dataclass(frozen=True, kw_only=True)
class TrainModelSection(ModelSection):
    frozen_blocks: int = setting(0, whole, least=0)  # the stem and this many blocks do not learn
    drop_path: float = setting(0.0, _share_below_1)  # stochastic depth


@dataclass(frozen=True, kw_only=True)
class DataSection(Section):
    table = "data"
    val_fraction: float = setting(0.2, number, least=0.01, most=0.9)  # held out, where the data has no val part
    val_folder: str = setting("", text)  # the folder in the data that is held out; "": the names of the folders tell


@dataclass(frozen=True, kw_only=True)
class TrainDataSection(DataSection):
    balance: float = setting(0.0, _share)  # a class of c images is drawn as if it had c^(1 - balance); 1: all alike


@dataclass(frozen=True, kw_only=True)
class ScheduleSection(Section):
    """How long a run takes, and how its learning rate changes."""

    table = "schedule"
    epochs: float = setting(1.0, number, above=0)
    batch_size: int = setting(256, whole, least=1)  # images a step, of all processes together
    name: ScheduleName = setting("cosine", one_of, allowed=get_args(ScheduleName))
    warmup_epochs: float = setting(0.0, number, least=0)
    final_lr: float = setting(0.0, _share)  # a cosine ends at this share of lr
    decay_epochs: float = setting(1.0, number, above=0)  # "step" multiplies lr after this many epochs …
    decay_rate: float = setting(1.0, _share)  # … by this


@dataclass(frozen=True, kw_only=True)
class OptimizerSection(Section):
    table = "optimizer"
    name: OptimizerName = setting("adamw", one_of, allowed=get_args(OptimizerName))
    lr: float = setting(1e-3, number, above=0)
    muon_lr: float = setting(0.0, number, least=0)  # "muon" only: of the blocks' matrices; AdamW trains the rest at lr
    weight_decay: float = setting(0.0, number, least=0)  # of matrices only; rmsprop_tf and sgd add it to the gradient
    betas: tuple[float, float] = setting((0.9, 0.999), _betas)  # adamw
    momentum: float = setting(0.9, _share)  # sgd, muon, rmsprop_tf
    eps: float = setting(1e-8, number, least=0)
    layer_decay: float = setting(1.0, _share)  # lr shrinks by this factor with each block below the head
    clip_norm: float = setting(0.0, number, least=0)  # of all gradients together; 0: no clipping
    ema_decay: float = setting(0.0, _share_below_1)  # of the averaged weights, which are then the result; 0: none

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.name == "muon") != (self.muon_lr > 0):
            raise InputError(
                f"optimizer.muon_lr is {self.muon_lr!r} with optimizer.name {self.name!r}; wanted both of muon or none"
            )


@dataclass(frozen=True, kw_only=True)
class LossSection(Section):
    table = "loss"
    name: LossName = setting("cross_entropy", one_of, allowed=get_args(LossName))
    label_smoothing: float = setting(0.0, _share_below_1)
    teacher_share: float = setting(0.0, _share)  # of the loss, where an image has both a label and a teacher's answer
    teacher: str = setting("", text)  # a model that answers during the run; "": only answers stored with the images
    temperature: float = setting(1.0, number, above=0)  # of that teacher


@dataclass(frozen=True, kw_only=True)
class AugmentSection(Section):
    """Applied in this order."""

    table = "augment"
    crop_area: tuple[float, float] = setting((1.0, 1.0), _area)  # smallest and largest share of the image's area
    crop_ratio: tuple[float, float] = setting((3 / 4, 4 / 3), _pair)  # width over height
    flip: float = setting(0.0, _share)  # probability of a mirrored image
    color_jitter: float = setting(0.0, number, least=0)  # strength for brightness, contrast and saturation
    rand_ops: int = setting(0, whole, least=0)  # RandAugment: number of operations
    rand_magnitude: float = setting(0.0, number, least=0, most=10)
    rand_noise: float = setting(0.0, number, least=0)  # standard deviation of the magnitude, drawn for each operation
    rand_probability: float = setting(1.0, _share)  # of each operation
    erase: float = setting(0.0, _share)  # probability that noise replaces a rectangle
    mixup: float = setting(0.0, number, least=0)  # alpha of the Beta distribution; 0: never
    cutmix: float = setting(0.0, number, least=0)
    mix_probability: float = setting(1.0, _share)  # that a pair of images is mixed

    @property
    def mixes(self) -> bool:
        return bool(self.mix_probability and (self.mixup or self.cutmix))


@dataclass(frozen=True, kw_only=True)
class LateSection(Section):
    """The last part of a run: no images are mixed, and crops and colors have their own values."""

    table = "late"
    start: float = setting(1.0, _share)  # share of the run after which it begins; 1: never
    crop_area: tuple[float, float] = setting((1.0, 1.0), _area)
    color_jitter: float = setting(0.0, number, least=0)


@dataclass(frozen=True, kw_only=True)
class HeadSection(Section):
    """After the run, the head alone learns once more, by AdamW, on embeddings of images that are not augmented."""

    table = "head"
    epochs: int = setting(0, whole, least=0)  # passes over the embeddings; 0: the head stays as it is
    batch_size: int = setting(1024, whole, least=1)
    lr: float = setting(1e-3, number, above=0)  # a cosine ends at 0
    weight_decay: float = setting(0.0, number, least=0)  # of the matrix
    teacher_share: float = setting(0.0, _share)  # as loss.teacher_share, of the answers stored with the images
    balance: float = setting(0.0, _share)  # as data.balance


@dataclass(frozen=True, kw_only=True)
class ComputeSection(Section):
    table = "compute"
    precision: TorchPrecision = setting(FP32, one_of, allowed=get_args(TorchPrecision))
    accumulate: int = setting(1, whole, least=1)  # compute a batch in this many parts, where memory is short
    grad_checkpointing: bool = setting(False, true_or_false)
    compile: bool = setting(False, true_or_false)
