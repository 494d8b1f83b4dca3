"""Adds gmixer_8_64 to timm's registry, the one variant that timm lacks, with the embedded weights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gmixer.catalogue import EMBEDDED_MODEL, find_model
from gmixer.errors import require
from gmixer.weights.find import find_pretrained

if TYPE_CHECKING:
    from torch import nn

default_cfgs: dict[str, Any] = {}  # timm's register_model reads the pretrained tags of this module's models here


def register_with_timm() -> None:
    """Adds gmixer_8_64 to timm's registry.

    Then `timm.create_model("gmixer_8_64", pretrained=True)` works, and `local-dir:` for folders with this variant. A
    second call changes nothing. Raises MissingExtraError if timm is not installed.
    """
    with require("register_with_timm", extra=None, packages=("timm", "torch", "torchvision")):
        from timm.models import generate_default_cfgs, is_model, register_model
    if is_model(gmixer_8_64.__name__):
        return
    checkpoint = find_pretrained(EMBEDDED_MODEL)
    facts = {"num_classes": checkpoint.model.num_classes, "fixed_input_size": True, "license": checkpoint.license}
    parts = {"first_conv": "stem.proj", "classifier": "head", "file": str(checkpoint.path)}
    default_cfgs.update(generate_default_cfgs({EMBEDDED_MODEL: checkpoint.data.to_timm() | facts | parts}))
    register_model(gmixer_8_64)


def gmixer_8_64(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """The entry point for timm: timm's own MlpMixer with the widths of the embedded model."""
    from timm.layers.mlp import GluMlp
    from timm.models import build_model_with_cfg
    from timm.models.mlp_mixer import MlpMixer
    from torch import nn

    _, variant, _ = find_model(EMBEDDED_MODEL)
    config = variant.model
    own: dict[str, Any] = {
        "img_size": config.image_px,
        "patch_size": config.patch_px,
        "num_blocks": config.blocks,
        "embed_dim": config.channels,
        "mlp_ratio": (config.token_fc1 / config.channels, config.channel_fc1 / config.channels),
        "mlp_layer": GluMlp,
        "act_layer": nn.SiLU,
        "norm_layer": partial(nn.LayerNorm, eps=1e-6),
        "feature_cfg": {"out_indices": arguments.pop("out_indices", 3), "feature_cls": "getter"},
    }
    model: nn.Module = build_model_with_cfg(MlpMixer, gmixer_8_64.__name__, pretrained, **(own | arguments))
    return model
