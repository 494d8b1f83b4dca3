"""What a model is and how pictures are fed to it, and the table of every variant and pretrained tag, as data.

N patches (tokens), C channels; `hidden` widths are those between fc1 and fc2, after the gate.
"""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import Any, Literal

from gmixer.errors import InputError, UnknownModelError

Mlp = Literal["gelu", "swiglu"]
Interpolation = Literal["bicubic", "bilinear"]
CropMode = Literal["center", "squash", "border"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _at_least(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} is {value!r}; wanted a whole number, {least} or more")


def _numbers(name: str, values: tuple[float, ...]) -> None:
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        raise InputError(f"{name} is {values!r}; wanted finite numbers")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; wanted one of {', '.join(allowed)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The architecture of one MLP-Mixer.

    A swiglu MLP's fc1 is twice as wide as its hidden width: the first half are values, the second half gates.
    Source of the meaning: timm mlp_mixer.py (`MlpMixer`, `MixerBlock`) and mlp.py (`Mlp`, `GluMlp`).
    """

    image_px: int  # height and width of the input
    patch_px: int  # height and width of a patch
    channels: int  # C, timm's embed_dim
    blocks: int
    token_hidden: int
    channel_hidden: int
    mlp: Mlp
    in_chans: int = 3
    num_classes: int = 1000  # 0: no head, the features are the output

    def __post_init__(self) -> None:
        for name in ("image_px", "patch_px", "channels", "blocks", "token_hidden", "channel_hidden", "in_chans"):
            _at_least(name, getattr(self, name), 1)
        _at_least("num_classes", self.num_classes, 0)
        _one_of("mlp", self.mlp, ("gelu", "swiglu"))
        if self.image_px % self.patch_px:
            raise InputError(
                f"image_px {self.image_px} is not a multiple of patch_px {self.patch_px}; "
                f"take {self.image_px // self.patch_px * self.patch_px or self.patch_px}"
            )

    @property
    def patches(self) -> int:
        """N: 196 for 224 px in patches of 16."""
        return (self.image_px // self.patch_px) ** 2

    @property
    def token_fc1(self) -> int:
        """Outputs of the token MLP's fc1: values and gates together."""
        return self.token_hidden * (2 if self.mlp == "swiglu" else 1)

    @property
    def channel_fc1(self) -> int:
        """Outputs of the channel MLP's fc1: values and gates together."""
        return self.channel_hidden * (2 if self.mlp == "swiglu" else 1)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the state dict with its shape, in timm's names and order."""
        N, C = self.patches, self.channels
        shapes: dict[str, tuple[int, ...]] = {
            "stem.proj.weight": (C, self.in_chans, self.patch_px, self.patch_px),
            "stem.proj.bias": (C,),
        }
        for i in range(self.blocks):
            block = f"blocks.{i}"
            shapes |= {
                f"{block}.norm1.weight": (C,),
                f"{block}.norm1.bias": (C,),
                f"{block}.mlp_tokens.fc1.weight": (self.token_fc1, N),
                f"{block}.mlp_tokens.fc1.bias": (self.token_fc1,),
                f"{block}.mlp_tokens.fc2.weight": (N, self.token_hidden),
                f"{block}.mlp_tokens.fc2.bias": (N,),
                f"{block}.norm2.weight": (C,),
                f"{block}.norm2.bias": (C,),
                f"{block}.mlp_channels.fc1.weight": (self.channel_fc1, C),
                f"{block}.mlp_channels.fc1.bias": (self.channel_fc1,),
                f"{block}.mlp_channels.fc2.weight": (C, self.channel_hidden),
                f"{block}.mlp_channels.fc2.bias": (C,),
            }
        shapes |= {"norm.weight": (C,), "norm.bias": (C,)}
        if self.num_classes:
            shapes |= {"head.weight": (self.num_classes, C), "head.bias": (self.num_classes,)}
        return shapes

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.tensor_shapes().values())

    @property
    def stage_macs(self) -> dict[str, int]:
        """Multiply-accumulates of the products alone, for one image, stage by stage; all blocks together."""
        N, C = self.patches, self.channels
        return {
            "stem": N * C * self.in_chans * self.patch_px**2,
            "token MLP": self.blocks * C * N * (self.token_fc1 + self.token_hidden),
            "channel MLP": self.blocks * N * C * (self.channel_fc1 + self.channel_hidden),
            "head": C * self.num_classes,
        }

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the products alone, for one image."""
        return sum(self.stage_macs.values())

    @property
    def macs_with_norms(self) -> int:
        """The published count (5.28 G for gmixer_24_224): each LayerNorm element adds 5 operations."""
        norms = 2 * self.blocks + 1
        return self.macs + 5 * norms * self.patches * self.channels

    @property
    def activations(self) -> int:
        """Outputs of the convolution and the linear layers for one image, as timm counts them."""
        N, C = self.patches, self.channels
        token = C * (self.token_fc1 + N)
        channel = N * (self.channel_fc1 + C)
        return N * C + self.blocks * (token + channel) + self.num_classes


def for_channels(numbers: Sequence[float], in_chans: int) -> tuple[float, ...]:
    """mean or std for other channels: one takes the mean over those there were, n take them in turn (R, G, B, R …)."""
    return (math.fsum(numbers) / len(numbers),) if in_chans == 1 else tuple(islice(cycle(numbers), in_chans))


SMALLEST_CROP = 1 / 16  # guessed: published configs keep 0.8 and more


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """How a picture becomes a tensor: resize, crop, scale to 0…1, normalise."""

    image_px: int
    crop_fraction: float  # timm's crop_pct: the crop's side over the resized picture's shorter side
    mean: tuple[float, ...]  # one a channel, after division by 255
    std: tuple[float, ...]
    interpolation: Interpolation = "bicubic"
    crop_mode: CropMode = "center"
    in_chans: int = 3

    def __post_init__(self) -> None:
        _at_least("image_px", self.image_px, 1)
        _at_least("in_chans", self.in_chans, 1)
        _one_of("interpolation", self.interpolation, ("bicubic", "bilinear"))
        _one_of("crop_mode", self.crop_mode, ("center", "squash", "border"))
        _numbers("crop_fraction", (self.crop_fraction,))
        _numbers("mean", self.mean)
        _numbers("std", self.std)
        if not SMALLEST_CROP <= self.crop_fraction <= 1:  # the picture is resized to image_px / crop_fraction
            raise InputError(f"crop_fraction is {self.crop_fraction!r}; wanted {SMALLEST_CROP:g} to 1")
        if {len(self.mean), len(self.std)} - {self.in_chans} or min(self.std) <= 0:
            raise InputError(
                f"mean is {self.mean!r} and std {self.std!r}; wanted {self.in_chans} numbers each, one a channel, "
                f"and std above 0"
            )

    @property
    def resize_px(self) -> int:
        """Side before the crop: 224 / 0.875 = 256."""
        return math.floor(self.image_px / self.crop_fraction)

    def adapted(self, *, image_px: int | None = None, in_chans: int | None = None) -> DataConfig:
        """The same way to feed pictures, at another size or with other channels (see for_channels)."""
        image_px = self.image_px if image_px is None else image_px
        if in_chans is None or in_chans == self.in_chans:
            return replace(self, image_px=image_px)
        _at_least("in_chans", in_chans, 1)
        mean, std = (for_channels(numbers, in_chans) for numbers in (self.mean, self.std))
        return replace(self, image_px=image_px, in_chans=in_chans, mean=mean, std=std)

    def to_timm(self) -> dict[str, Any]:
        """The same in timm's words and order, as its `resolve_model_data_config` gives it."""
        return {
            "input_size": (self.in_chans, self.image_px, self.image_px),
            "interpolation": self.interpolation,
            "mean": self.mean,
            "std": self.std,
            "crop_pct": self.crop_fraction,
            "crop_mode": self.crop_mode,
        }

    @classmethod
    def from_timm(cls, timm_config: Mapping[str, Any]) -> DataConfig:
        """From a `pretrained_cfg` as timm writes it to config.json. Raises InputError for what gmixer cannot do."""
        said = {key: value for key, value in timm_config.items() if value is not None}
        try:
            in_chans, height, width = said["input_size"]
            mean, std = tuple(said["mean"]), tuple(said["std"])
        except (KeyError, TypeError, ValueError) as error:
            wanted = "a data config needs input_size (channels, height, width), mean and std"
            raise InputError(f"{wanted}; got {dict(timm_config)!r}") from error
        if height != width:
            raise InputError(f"input_size is {height}x{width}; gmixer reads square inputs only")
        return cls(
            image_px=height,
            crop_fraction=said.get("crop_pct", 0.875),
            mean=mean,
            std=std,
            interpolation=said.get("interpolation", "bicubic"),
            crop_mode=said.get("crop_mode", "center"),
            in_chans=in_chans,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretrained:
    """One set of published weights of a variant."""

    data: DataConfig
    num_classes: int = 1000
    license: str = "apache-2.0"
    trained: str  # by whom, on what
    top1: float | None = None  # per cent, where published
    top1_on: str = "ImageNet-1k val"


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """An architecture and its pretrained tags; the first tag is the default."""

    model: ModelConfig
    data: DataConfig  # of the untrained model
    pretrained: Mapping[str, Pretrained] = field(default_factory=dict)

    def of(self, pretrained: Pretrained | None) -> ModelConfig:
        """The model with the class count of these weights."""
        return replace(self.model, num_classes=pretrained.num_classes) if pretrained else self.model


_GOOGLE = DataConfig(image_px=224, crop_fraction=0.875, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_IMAGENET = DataConfig(image_px=224, crop_fraction=0.875, mean=IMAGENET_MEAN, std=IMAGENET_STD)
_MIIL = DataConfig(
    image_px=224, crop_fraction=0.875, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), interpolation="bilinear"
)
_SMALL = DataConfig(image_px=64, crop_fraction=0.888, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _mixer(patch_px: int, *, channels: int, blocks: int) -> ModelConfig:
    """Mixer-*/patch of the paper (arXiv 2105.01601, table 1): hidden widths C/2 and 4C, GELU."""
    return ModelConfig(
        image_px=224,
        patch_px=patch_px,
        channels=channels,
        blocks=blocks,
        token_hidden=channels // 2,
        channel_hidden=4 * channels,
        mlp="gelu",
    )


def _gmixer(*, image_px: int, patch_px: int, channels: int, blocks: int) -> ModelConfig:
    """G-Mixer: timm's mlp_ratio (1, 4) counts values and gates together, so the hidden widths are C/2 and 2C."""
    return ModelConfig(
        image_px=image_px,
        patch_px=patch_px,
        channels=channels,
        blocks=blocks,
        token_hidden=channels // 2,
        channel_hidden=2 * channels,
        mlp="swiglu",
    )


# Names, tags, class counts and data configs: timm 1.0.31, mlp_mixer.py `default_cfgs` (compared by the tests).
# top1: timm's results-imagenet.csv.
VARIANTS: dict[str, Variant] = {
    "gmixer_8_64": Variant(
        model=_gmixer(image_px=64, patch_px=8, channels=256, blocks=8),
        data=_SMALL,
        pretrained={
            "distill_in1k": Pretrained(
                data=_SMALL,
                license="research and education (trained on ImageNet-derived pictures)",
                trained="gmixer, from labels and EfficientNet-Lite0's answers",
                top1=35.98,
                top1_on="5,000 tiny-ImageNet validation pictures of 202 classes, 1,000-way",
            )
        },
    ),
    "gmixer_12_224": Variant(model=_gmixer(image_px=224, patch_px=16, channels=384, blocks=12), data=_IMAGENET),
    "gmixer_24_224": Variant(
        model=_gmixer(image_px=224, patch_px=16, channels=384, blocks=24),
        data=_IMAGENET,
        pretrained={"ra3_in1k": Pretrained(data=_IMAGENET, top1=78.048, trained="Ross Wightman, ImageNet-1k")},
    ),
    "mixer_s32_224": Variant(model=_mixer(32, channels=512, blocks=8), data=_GOOGLE),
    "mixer_s16_224": Variant(model=_mixer(16, channels=512, blocks=8), data=_GOOGLE),
    "mixer_b32_224": Variant(model=_mixer(32, channels=768, blocks=12), data=_GOOGLE),
    "mixer_b16_224": Variant(
        model=_mixer(16, channels=768, blocks=12),
        data=_GOOGLE,
        pretrained={
            "goog_in21k_ft_in1k": Pretrained(
                data=_GOOGLE, top1=76.616, trained="Google, ImageNet-21k, then ImageNet-1k"
            ),
            "goog_in21k": Pretrained(data=_GOOGLE, num_classes=21843, trained="Google, ImageNet-21k"),
            "miil_in21k": Pretrained(data=_MIIL, num_classes=11221, trained="Alibaba MIIL, ImageNet-21k-P"),
            "miil_in21k_ft_in1k": Pretrained(
                data=_MIIL, top1=82.314, trained="Alibaba MIIL, ImageNet-21k-P, then ImageNet-1k"
            ),
        },
    ),
    "mixer_l32_224": Variant(model=_mixer(32, channels=1024, blocks=24), data=_GOOGLE),
    "mixer_l16_224": Variant(
        model=_mixer(16, channels=1024, blocks=24),
        data=_GOOGLE,
        pretrained={
            "goog_in21k_ft_in1k": Pretrained(data=_GOOGLE, trained="Google, ImageNet-21k, then ImageNet-1k"),
            "goog_in21k": Pretrained(data=_GOOGLE, num_classes=21843, trained="Google, ImageNet-21k"),
        },
    ),
}

EMBEDDED_MODEL = "gmixer_8_64.distill_in1k"  # its weights ship inside the package
UNTRAINED = "untrained"  # timm's tag of a variant that was never published with weights

# What timm once called a variant with its weights: timm 1.0.31, mlp_mixer.py `register_model_deprecations`.
DEPRECATED: dict[str, str] = {
    "mixer_b16_224_in21k": "mixer_b16_224.goog_in21k_ft_in1k",
    "mixer_l16_224_in21k": "mixer_l16_224.goog_in21k_ft_in1k",
    "mixer_b16_224_miil": "mixer_b16_224.miil_in21k_ft_in1k",
    "mixer_b16_224_miil_in21k": "mixer_b16_224.miil_in21k",
}


def model_names() -> Iterator[str]:
    """Every name the table knows: `variant.tag` where there are pretrained tags, the bare variant where not."""
    for name, variant in VARIANTS.items():
        if variant.pretrained:
            yield from (f"{name}.{tag}" for tag in variant.pretrained)
        else:
            yield name


def find_model(name: str) -> tuple[str, Variant, Pretrained | None]:
    """(full name, variant, pretrained) of `variant` or `variant.tag`; a bare variant takes its default tag.

    A variant without weights is found bare and as `variant.untrained`; its full name is the bare one.
    A deprecated name is found with a UserWarning that says the current one; a tag of its own goes before the table's.
    Raises UnknownModelError, naming the closest names there are.
    """
    base, _, tag = name.partition(".")
    if base in DEPRECATED:
        current = DEPRECATED[base]
        warnings.warn(f"{base} is a deprecated name; the model is now {current}", stacklevel=3)
        base, _, current_tag = current.partition(".")
        tag = tag or current_tag
    variant = VARIANTS.get(base)
    if variant is None:
        raise no_variant(base)
    tag = tag or next(iter(variant.pretrained), UNTRAINED)
    if tag == UNTRAINED and not variant.pretrained:
        return base, variant, None
    if tag not in variant.pretrained:
        have = ", ".join(f"{base}.{t}" for t in variant.pretrained) or "none: it was never published with weights"
        raise UnknownModelError(f"{base} has no weights tagged {tag!r}; there are {have}")
    return f"{base}.{tag}", variant, variant.pretrained[tag]


def no_variant(base: str) -> UnknownModelError:
    """The error that names the closest variants there are."""
    close = difflib.get_close_matches(base, VARIANTS, n=3, cutoff=0.5) or list(VARIANTS)
    return UnknownModelError(f"no model {base!r}; the closest are {', '.join(close)} (`gmixer models` lists all)")
