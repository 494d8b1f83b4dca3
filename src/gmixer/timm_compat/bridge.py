"""Tells timm of the one variant it does not know, gmixer_8_64, with the embedded weights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gmixer.catalogue import EMBEDDED_MODEL, find_model
from gmixer.errors import MissingExtraError
from gmixer.weights import find_checkpoint

if TYPE_CHECKING:
    from torch import nn

default_cfgs: dict[str, Any] = {}  # where timm's register_model looks for the pretrained tags of this module's models


def register_with_timm() -> None:
    """Adds gmixer_8_64 to timm's registry: `timm.create_model("gmixer_8_64", pretrained=True)`, and "local-dir:" of
    folders that hold one.

    Calling it again changes nothing. Raises MissingExtraError where timm is not installed.
    """
    try:
        from timm.models import generate_default_cfgs, is_model, register_model
    except ImportError as error:
        raise MissingExtraError("register_with_timm needs timm: pip install timm") from error
    if is_model(gmixer_8_64.__name__):
        return
    checkpoint = find_checkpoint(EMBEDDED_MODEL)
    timm_says = {"num_classes": checkpoint.model.num_classes, "fixed_input_size": True, "license": checkpoint.license}
    parts = {"first_conv": "stem.proj", "classifier": "head", "file": str(checkpoint.path)}
    default_cfgs.update(generate_default_cfgs({EMBEDDED_MODEL: checkpoint.data.to_timm() | timm_says | parts}))
    register_model(gmixer_8_64)


def gmixer_8_64(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """timm's entry point: its own MlpMixer in the widths of the embedded model."""
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
