"""timm's config.json, the file beside model.safetensors: what the model is, and how images are fed to it.

gmixer reads this file and writes it. Source of its keys: timm 1.0.31, models/_hub.py `save_config_for_hf`.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmixer.catalogue import VARIANTS, find_model
from gmixer.checks import number, whole
from gmixer.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig, ModelConfig
from gmixer.errors import GmixerError, InputError, WeightsError
from gmixer.weights.architecture import variants_of
from gmixer.weights.class_names import (
    DESCRIPTIONS_KEY,
    INVERSE_KEY,
    NAMES_KEYS,
    are_of_this_head,
    class_names_in,
    same_names,
    unread_names,
)
from gmixer.weights.converted import KEY as CONVERSION_KEY
from gmixer.weights.converted import Conversion

MAX_BYTES = 16 * 2**20  # 21,843 classes with a sentence each take 3 MB
MAX_BLOCKS = 1_000  # the largest published Mixer has 32 blocks
MAX_PARAMETERS = 2**32  # the largest published Mixer has 0.2 billion
_OF_TRAINING = ("nlhb", "drop_rate", "proj_drop_rate", "drop_path_rate")  # without effect on a trained network
DATA_KEYS = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")


@dataclass(frozen=True, kw_only=True, slots=True)
class TimmConfig:
    """What config.json says of a model. class_names: None if the file has none; license: None if not stated."""

    model: ModelConfig
    data: DataConfig
    class_names: tuple[str, ...] | None
    license: str | None
    conversion: Conversion | None = None  # of a folder that gmixer convert made


def read_timm_config(path: Path) -> TimmConfig:
    """Raises WeightsError if the file is missing or damaged, or describes a model that gmixer does not know."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(f"holds {size:,} bytes, more than {MAX_BYTES:,}")
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_duplicates)
        return _parse(content, path)
    except FileNotFoundError as error:
        inner = path.parent / "model"  # the model's folder inside the folder of a training run
        way_out = "pass a folder with both, or the path of the .safetensors file itself"
        if (inner / path.name).exists():
            way_out = f"pass {inner}, which has both"
        raise WeightsError(
            f"{path.parent}: holds no config.json; wanted timm's config.json beside model.safetensors: {way_out}"
        ) from error
    except GmixerError as error:
        wanted = "" if "wanted" in str(error) else "; wanted timm's config.json of a Mixer"
        raise WeightsError(f"{path}: {error}{wanted}") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}; wanted timm's config.json of a Mixer") from error
    except (ValueError, RecursionError) as error:  # of the JSON, or of its encoding
        raise WeightsError(f"{path}: is no JSON in UTF-8; wanted timm's config.json of a Mixer") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON allows a key twice, and Python takes the last. In class names that would lose one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"holds the key {twice!r} twice")
    return found


def variant_name(config: ModelConfig) -> str:
    """The variant that config.json can name. Raises InputError for a network that is no variant."""
    if fitting := variants_of(config):
        return fitting[0]
    raise InputError(
        f"{config.blocks} blocks of {config.channels} channels are no variant, so config.json cannot name it; wanted "
        f"one of {', '.join(VARIANTS)}; save the state dict with safetensors.torch.save_file instead"
    )


def timm_config_json(config: TimmConfig, *, global_pool: str) -> dict[str, Any]:
    """The content of config.json for a model of one of the variants."""
    model, conversion = config.model, config.conversion
    content: dict[str, Any] = {
        "architecture": conversion.architecture_for_timm() if conversion else variants_of(model)[0],
        "num_classes": model.num_classes,
        "num_features": model.channels,
        "global_pool": global_pool,
        "model_args": {
            "num_classes": model.num_classes,
            "in_chans": model.in_chans,
            "img_size": model.image_px,
            "global_pool": global_pool,
        },
        "pretrained_cfg": config.data.to_timm()
        | {
            "fixed_input_size": True,
            "num_classes": model.num_classes,
            # With first_conv timm would adapt the stem a second time, and fail. None tells timm not to adapt it.
            "first_conv": "stem.proj" if model.in_chans == 3 else None,
            "classifier": "head",
            "license": config.license,
        },
    }
    if config.class_names is not None:
        content["label_names"] = list(config.class_names)
    if conversion is not None:
        content[CONVERSION_KEY] = conversion.to_dict()
    return content


def data_of_pretrained_cfg(pretrained_cfg: Mapping[str, Any]) -> DataConfig:
    """The DataConfig of a model's `pretrained_cfg`. A missing key takes timm's default, which is ImageNet's value.

    Raises InputError for a value that gmixer does not support.
    """
    defaults = {"input_size": (3, 224, 224), "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    said = {key: pretrained_cfg[key] for key in DATA_KEYS if pretrained_cfg.get(key) is not None}
    return DataConfig.from_timm(defaults | said)


def _parse(content: Any, path: Path) -> TimmConfig:
    config, pretrained_cfg = _both_parts(content)
    conversion = Conversion.of_config(config)
    base_name, _, tag = (conversion.architecture if conversion else _text(config, "architecture")).partition(".")
    _, variant, default = find_model(base_name)
    base = variant.model
    # timm takes any tag; what the file does not say comes from the tag's row, if the table has one.
    row = variant.pretrained.get(tag or str(pretrained_cfg.get("tag")), default)
    data = DataConfig.from_timm((row or variant).data.to_timm() | _data_keys(config, pretrained_cfg, path))

    arguments: dict[str, Any] = {"global_pool": config.get("global_pool")} | dict(_part(config, "model_args"))
    arguments = {key: value for key, value in arguments.items() if value is not None}  # timm's None: not given
    if (pool := arguments.pop("global_pool", "avg")) != "avg":
        raise InputError(f"global_pool is {pool!r}; gmixer pools by the mean ('avg')")
    for key in _OF_TRAINING:
        arguments.pop(key, None)
    if not arguments.get("stem_norm", True):
        arguments.pop("stem_norm")
    channels = whole("embed_dim", arguments.pop("embed_dim", base.channels), least=1, most=2**20)
    gate = 2 if base.mlp == "swiglu" else 1
    ratios = (base.token_fc1 / base.channels, base.channel_fc1 / base.channels)
    token_ratio, channel_ratio = _pair("mlp_ratio", arguments.pop("mlp_ratio", ratios))
    said = [part["num_classes"] for part in (config, pretrained_cfg) if part.get("num_classes") is not None]
    model = ModelConfig(
        image_px=_side(arguments.pop("img_size", data.image_px)),
        patch_px=arguments.pop("patch_size", base.patch_px),
        channels=channels,
        blocks=arguments.pop("num_blocks", base.blocks),
        token_hidden=_hidden(token_ratio, channels, gate),
        channel_hidden=_hidden(channel_ratio, channels, gate),
        mlp=base.mlp,
        in_chans=arguments.pop("in_chans", data.in_chans),
        num_classes=arguments.pop("num_classes", said[0] if said else 1000),
    )
    if model.blocks > MAX_BLOCKS or model.parameters > MAX_PARAMETERS:
        raise InputError(
            f"a model of {model.blocks:,} blocks of {model.channels:,} channels; wanted at most {MAX_BLOCKS:,} blocks "
            f"and {MAX_PARAMETERS:,} parameters"
        )
    if arguments:
        raise InputError(f"gmixer does not know the model_args {', '.join(map(repr, arguments))}")
    license = pretrained_cfg.get("license", config.get("license"))
    return TimmConfig(
        model=model,
        # timm's pretrained_cfg keeps the image size and the channels of the pretraining.
        data=data.adapted(image_px=model.image_px, in_chans=model.in_chans),
        class_names=_class_names(config, pretrained_cfg, model.num_classes, path),
        license=license if isinstance(license, str) else None,
        conversion=conversion,
    )


def _both_parts(content: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The whole and its pretrained_cfg. timm's older form is one flat dict, which is both."""
    if not isinstance(content, Mapping):
        raise InputError(f"holds a {type(content).__name__}, not a dict")
    if "pretrained_cfg" not in content:
        if not content.keys() & {"input_size", "mean", "std"}:
            raise InputError("lacks 'pretrained_cfg'")
        return content, content
    return content, _part(content, "pretrained_cfg")


def _part(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = config.get(key, {})
    if key == "model_args" and part is None:
        return {}
    if not isinstance(part, Mapping):
        raise InputError(f"{key} is {part!r}, not a dict")
    return part


def _text(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key)
    if not isinstance(value, str):
        raise InputError(f"lacks {key!r}" if value is None else f"{key} is {value!r}, not a name")
    return value


def _data_keys(config: Mapping[str, Any], pretrained_cfg: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """How images are fed to the model. timm reads these keys in pretrained_cfg; people also write them at the top."""
    top, own = ({key: part[key] for key in DATA_KEYS if part.get(key) is not None} for part in (config, pretrained_cfg))
    if differ := [key for key in top if key in own and own[key] != top[key]]:
        warnings.warn(
            f"{path}: {', '.join(differ)} at the top differs from the one in pretrained_cfg, which was taken, as in "
            f"timm",
            stacklevel=6,
        )
    return top | own


def _side(img_size: object) -> int:
    """timm writes img_size as [height, width], and also accepts one number for both."""
    height, width = (img_size, img_size) if isinstance(img_size, int) else _pair("img_size", img_size)
    if height != width:
        raise InputError(f"img_size is {height}x{width}; gmixer reads square inputs only")
    return whole("img_size", height, least=1)


def _pair(key: str, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InputError(f"{key} is {value!r}; wanted two numbers")
    for one in value:
        number(f"a number of {key}", one, above=0)
    return value[0], value[1]


def _hidden(ratio: float, channels: int, gate: int) -> int:
    """timm's mlp_ratio counts values and gates together: MixerBlock takes int(ratio * dim), and GluMlp halves it."""
    return math.floor(ratio * channels) // gate


def _class_names(
    config: Mapping[str, Any], pretrained_cfg: Mapping[str, Any], num_classes: int, path: Path
) -> tuple[str, ...] | None:
    """The names at the top go before those in pretrained_cfg, as in timm; so do the descriptions."""
    keys = (*NAMES_KEYS, INVERSE_KEY, DESCRIPTIONS_KEY)
    own = {key: pretrained_cfg[key] for key in keys if pretrained_cfg.get(key)}
    top = {key: config[key] for key in keys if config.get(key)}
    earlier = pretrained_cfg.get("num_classes")
    if own and not top and earlier not in (None, num_classes) and not are_of_this_head(pretrained_cfg, num_classes):
        warnings.warn(  # timm before 1.0.31 kept them
            f"{path}: the label_names in pretrained_cfg are of an earlier head of {earlier} classes; left out, because "
            f"the model has {num_classes}",
            stacklevel=6,
        )
        own = {}
    if config is not pretrained_cfg and any(key in own and not same_names(own[key], top[key]) for key in top):
        warnings.warn(
            f"{path}: has label_names or label_descriptions at two places, and they differ; those at the top were "
            "taken, not those in pretrained_cfg, as in timm",
            stacklevel=6,
        )
    if top.keys() & set(NAMES_KEYS):  # the older key at the top goes before the newer one inside
        own = {key: value for key, value in own.items() if key not in NAMES_KEYS}
    names = class_names_in(own | top, num_classes, source=str(path))
    if names is None and (key := unread_names(config)):
        warnings.warn(
            f"{path}: class names under {key!r} are not read, and the classes have no names; rename the key to "
            f"'{NAMES_KEYS[0]}', with a list of names, or a dict from index to name",
            stacklevel=6,
        )
    return names
