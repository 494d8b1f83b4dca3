"""What a model is, and how images are fed to it. Both configs are frozen, and travel with the weights.

N patches (tokens), C channels. A `hidden` width is the one between fc1 and fc2, after the gate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any, Literal, get_args

from gmixer.checks import number, one_of, whole
from gmixer.errors import InputError

Mlp = Literal["gelu", "swiglu"]
Interpolation = Literal["bicubic", "bilinear"]
CropMode = Literal["center", "squash", "border"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The architecture of one MLP-Mixer.

    The fc1 of a swiglu MLP is twice as wide as its hidden width: the first half holds values, the second half gates.
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
            whole(name, getattr(self, name), least=1)
        whole("num_classes", self.num_classes, least=0)
        one_of("mlp", self.mlp, get_args(Mlp))
        if self.image_px % self.patch_px:
            raise InputError(
                f"image_px {self.image_px} is not a multiple of patch_px {self.patch_px}; "
                f"take {self.image_px // self.patch_px * self.patch_px or self.patch_px}"
            )

    @property
    def activation(self) -> str:
        """The name of the MLPs' activation, for people."""
        return {"swiglu": "SwiGLU", "gelu": "GELU"}[self.mlp]

    @property
    def patches(self) -> int:
        """N: 196 for 224 px in patches of 16."""
        return (self.image_px // self.patch_px) ** 2

    @property
    def token_fc1(self) -> int:
        """Outputs of the token MLP's fc1, values and gates together."""
        return self.token_hidden * (2 if self.mlp == "swiglu" else 1)

    @property
    def channel_fc1(self) -> int:
        """Outputs of the channel MLP's fc1, values and gates together."""
        return self.channel_hidden * (2 if self.mlp == "swiglu" else 1)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the state dict and its shape, with timm's names in timm's order."""
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
        """Multiply-accumulates of the matrix products for one image, by stage. One entry counts all blocks."""
        N, C = self.patches, self.channels
        return {
            "stem": N * C * self.in_chans * self.patch_px**2,
            "token MLP": self.blocks * C * N * (self.token_fc1 + self.token_hidden),
            "channel MLP": self.blocks * N * C * (self.channel_fc1 + self.channel_hidden),
            "head": C * self.num_classes,
        }

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the matrix products for one image."""
        return sum(self.stage_macs.values())

    @property
    def macs_with_norms(self) -> int:
        """The published count, 5.28 G for gmixer_24_224. Each LayerNorm element adds 5 operations."""
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
    """mean or std for another number of channels.

    One channel takes the mean of `numbers`. n channels take `numbers` in turn: R, G, B, R ….
    """
    return (math.fsum(numbers) / len(numbers),) if in_chans == 1 else tuple(islice(cycle(numbers), in_chans))


MIN_CROP_FRACTION = 1 / 16  # guessed: published configs have 0.8 and more


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """How an image becomes a tensor: resize, crop, scale to 0…1, normalise."""

    image_px: int
    crop_fraction: float  # timm's crop_pct: the crop's side over the resized image's shorter side
    mean: tuple[float, ...]  # one number per channel, after division by 255
    std: tuple[float, ...]
    interpolation: Interpolation = "bicubic"
    crop_mode: CropMode = "center"
    in_chans: int = 3

    def __post_init__(self) -> None:
        whole("image_px", self.image_px, least=1)
        whole("in_chans", self.in_chans, least=1)
        one_of("interpolation", self.interpolation, get_args(Interpolation))
        one_of("crop_mode", self.crop_mode, get_args(CropMode))
        number("crop_fraction", self.crop_fraction, least=MIN_CROP_FRACTION, most=1)
        for value in (*self.mean, *self.std):
            number("a number of mean or std", value)
        if {len(self.mean), len(self.std)} - {self.in_chans} or min(self.std) <= 0:
            raise InputError(
                f"mean is {self.mean!r} and std is {self.std!r}; wanted {self.in_chans} numbers in each, one per "
                f"channel, and std above 0"
            )

    @property
    def resize_px(self) -> int:
        """The image's side in pixels before the crop: 224 / 0.875 = 256."""
        return math.floor(self.image_px / self.crop_fraction)

    def adapted(self, *, image_px: int | None = None, in_chans: int | None = None) -> DataConfig:
        """The same config for another image size or number of channels (see for_channels)."""
        image_px = self.image_px if image_px is None else image_px
        if in_chans is None or in_chans == self.in_chans:
            return replace(self, image_px=image_px)
        whole("in_chans", in_chans, least=1)
        mean, std = (for_channels(numbers, in_chans) for numbers in (self.mean, self.std))
        return replace(self, image_px=image_px, in_chans=in_chans, mean=mean, std=std)

    def to_timm(self) -> dict[str, Any]:
        """The same with timm's keys in timm's order, as timm's `resolve_model_data_config` returns it."""
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
        """From a `pretrained_cfg`, as timm writes it to config.json.

        Raises InputError where a key is missing, and for a value that gmixer does not support.
        """
        said = {key: value for key, value in timm_config.items() if value is not None}
        try:
            in_chans, height, width = said["input_size"]
            mean, std = tuple(said["mean"]), tuple(said["std"])
        except (KeyError, TypeError, ValueError) as error:
            wanted = "a data config needs input_size (channels, height, width), mean and std"
            raise InputError(f"got {dict(timm_config)!r}; {wanted}") from error
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
