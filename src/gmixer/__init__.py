"""gmixer: the G-Mixer image classifier and feature backbone.

    import gmixer
    predictor = gmixer.load("gmixer_8_64.distill_in1k")
    predictor.classify("cat.jpg")        # Prediction: the five most probable classes
    predictor.embed(["a.jpg", "b.png"])  # Embedding: float32 (2, 256)

Names are loaded when first used: `import gmixer` costs no numpy, no Pillow, no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmixer import bulk as bulk
    from gmixer import data as data
    from gmixer.config import DataConfig as DataConfig
    from gmixer.config import ModelConfig as ModelConfig
    from gmixer.errors import EngineError as EngineError
    from gmixer.errors import GmixerError as GmixerError
    from gmixer.errors import ImageError as ImageError
    from gmixer.errors import InputError as InputError
    from gmixer.errors import MissingExtraError as MissingExtraError
    from gmixer.errors import UnknownModelError as UnknownModelError
    from gmixer.errors import WeightsError as WeightsError
    from gmixer.loading import load as load
    from gmixer.models.publishing import push_to_hub as push_to_hub
    from gmixer.models.saving import save_model as save_model
    from gmixer.options import Limits as Limits
    from gmixer.predictor import Predictor as Predictor
    from gmixer.results import Embedding as Embedding
    from gmixer.results import Prediction as Prediction
    from gmixer.results import Result as Result
    from gmixer.runtimes import Engine as Engine
    from gmixer.runtimes import Output as Output
    from gmixer.timm_compat.bridge import register_with_timm as register_with_timm
    from gmixer.timm_compat.create_model import create_model as create_model
    from gmixer.timm_compat.registry import get_pretrained_cfg as get_pretrained_cfg
    from gmixer.timm_compat.registry import get_pretrained_cfg_value as get_pretrained_cfg_value
    from gmixer.timm_compat.registry import is_model as is_model
    from gmixer.timm_compat.registry import is_model_pretrained as is_model_pretrained
    from gmixer.timm_compat.registry import list_models as list_models
    from gmixer.timm_compat.registry import list_modules as list_modules
    from gmixer.timm_compat.registry import list_pretrained as list_pretrained
    from gmixer.timm_compat.registry import model_entrypoint as model_entrypoint
    from gmixer.weights.convert import convert as convert

__version__ = "0.1.0"

_HOMES = {
    "DataConfig": "gmixer.config",
    "Embedding": "gmixer.results",
    "Engine": "gmixer.runtimes",
    "EngineError": "gmixer.errors",
    "GmixerError": "gmixer.errors",
    "ImageError": "gmixer.errors",
    "InputError": "gmixer.errors",
    "Limits": "gmixer.options",
    "MissingExtraError": "gmixer.errors",
    "ModelConfig": "gmixer.config",
    "Output": "gmixer.runtimes",
    "Prediction": "gmixer.results",
    "Predictor": "gmixer.predictor",
    "Result": "gmixer.results",
    "UnknownModelError": "gmixer.errors",
    "WeightsError": "gmixer.errors",
    "convert": "gmixer.weights.convert",
    "create_model": "gmixer.timm_compat.create_model",
    "get_pretrained_cfg": "gmixer.timm_compat.registry",
    "get_pretrained_cfg_value": "gmixer.timm_compat.registry",
    "is_model": "gmixer.timm_compat.registry",
    "is_model_pretrained": "gmixer.timm_compat.registry",
    "list_models": "gmixer.timm_compat.registry",
    "list_modules": "gmixer.timm_compat.registry",
    "list_pretrained": "gmixer.timm_compat.registry",
    "load": "gmixer.loading",
    "model_entrypoint": "gmixer.timm_compat.registry",
    "push_to_hub": "gmixer.models.publishing",
    "register_with_timm": "gmixer.timm_compat.bridge",
    "save_model": "gmixer.models.saving",
}

_PACKAGES = ("bulk", "data")
__all__ = [*_PACKAGES, *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"gmixer.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'gmixer' has no attribute {name!r}")
    from gmixer.errors import require_torch

    with require_torch(f"gmixer.{name}"):
        value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
