"""The table of every variant and every pretrained tag, as data, and the searches in it."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from gmixer.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig, ModelConfig
from gmixer.errors import UnknownModelError


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretrained:
    """One set of published weights of a variant."""

    data: DataConfig
    num_classes: int = 1000
    license: str = "apache-2.0"
    trained: str  # by whom, on which data
    top1: float | None = None  # in per cent; None: not published
    top1_on: str = "ImageNet-1k val"


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """An architecture and its pretrained tags. The first tag is the default."""

    model: ModelConfig
    data: DataConfig  # for the untrained model
    pretrained: Mapping[str, Pretrained] = field(default_factory=dict)

    def of(self, pretrained: Pretrained | None) -> ModelConfig:
        """The architecture with the number of classes that these weights have."""
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
                license="research and education (trained on ImageNet-derived images)",
                trained="gmixer, from labels and EfficientNet-Lite's answers",
                top1=37.16,
                top1_on="5,000 tiny-ImageNet validation images of 202 classes, 1,000-way",
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

EMBEDDED_MODEL = "gmixer_8_64.distill_in1k"  # its weights are inside the package
UNTRAINED = "untrained"  # timm's tag for a variant without published weights

# timm's older names, and the names that replace them: timm 1.0.31, mlp_mixer.py `register_model_deprecations`.
DEPRECATED: dict[str, str] = {
    "mixer_b16_224_in21k": "mixer_b16_224.goog_in21k_ft_in1k",
    "mixer_l16_224_in21k": "mixer_l16_224.goog_in21k_ft_in1k",
    "mixer_b16_224_miil": "mixer_b16_224.miil_in21k_ft_in1k",
    "mixer_b16_224_miil_in21k": "mixer_b16_224.miil_in21k",
}


def model_names() -> Iterator[str]:
    """Every name of the table: `variant.tag` for each pretrained tag, the bare variant where there is no tag."""
    for name, variant in VARIANTS.items():
        if variant.pretrained:
            yield from (f"{name}.{tag}" for tag in variant.pretrained)
        else:
            yield name


def find_model(name: str) -> tuple[str, Variant, Pretrained | None]:
    """(full name, variant, pretrained) of `variant` or `variant.tag`. A bare variant takes its default tag.

    A variant without weights is found by its bare name and by `variant.untrained`. Its full name is the bare name.
    A deprecated name is found too, with a UserWarning that gives the current name. `deprecated.tag` keeps its own tag.
    Raises UnknownModelError, which lists the closest names.
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
    """The error for an unknown variant. It lists the closest names."""
    close = difflib.get_close_matches(base, VARIANTS, n=3, cutoff=0.5) or list(VARIANTS)
    return UnknownModelError(f"no model {base!r}; the closest are {', '.join(close)} (`gmixer models` lists all)")
