"""create_model: a torch Mixer by name, with timm's keywords."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from gmixer.catalogue import find_model
from gmixer.config import ModelConfig
from gmixer.errors import InputError, WeightsError
from gmixer.models.load_into import load_into, load_mixer
from gmixer.models.mixer import Device, Mixer
from gmixer.options import WeightsSource
from gmixer.timm_compat.feature_maps import backbone
from gmixer.timm_compat.pretrained_cfg import PretrainedCfg, pretrained_cfg_of
from gmixer.weights import Checkpoint, find_checkpoint
from gmixer.weights.adapt import adapted
from gmixer.weights.architecture import check_file, variants_of
from gmixer.weights.find import LOCAL_PREFIX, find_in_repo
from gmixer.weights.hub import CONFIG_FILE, WEIGHTS_FILE, Repo
from gmixer.weights.local_files import open_weights
from gmixer.weights.state_dict import read_state_dict
from gmixer.weights.timm_config import TimmConfig, read_timm_config

_CLASS_VALUED = ("block_layer", "mlp_layer", "norm_layer", "act_layer")
_OF_THE_VARIANT = ("patch_size", "num_blocks", "embed_dim", "mlp_ratio")


def create_model(
    model_name: str,
    pretrained: bool = False,
    pretrained_cfg: str | Mapping[str, Any] | PretrainedCfg | None = None,
    pretrained_cfg_overlay: Mapping[str, Any] | None = None,
    checkpoint_path: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    scriptable: bool | None = None,
    exportable: bool | None = None,
    no_jit: bool | None = None,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: int | None = None,
    global_pool: str | None = None,
    drop_rate: float | None = None,
    proj_drop_rate: float | None = None,
    drop_path_rate: float | None = None,
    nlhb: bool | None = None,
    stem_norm: bool | None = None,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    feature_cls: str | Callable[..., nn.Module] | None = None,
    device: Device = None,
    dtype: torch.dtype | None = None,
    allow_pickle: bool = False,
    **unknown: object,
) -> nn.Module:
    """The model of this name, as timm makes it.

    model_name: a name of the table (`variant` or `variant.tag`), a repository on the Hub
        (`hf-hub:organization/model[@revision]`), or a folder (`local-dir:PATH`).
    pretrained: load the weights. They are fetched from the Hub if its cache lacks them. With another num_classes the
        head stays as drawn. With another in_chans the stem is adapted. With another img_size the token mixing is
        adapted, which timm cannot do (gmixer.weights.adapt).
    pretrained_cfg: a tag, or a pretrained cfg that replaces the model's own.
    pretrained_cfg_overlay: changes to the pretrained cfg, in timm's keys: {"file": "my.safetensors"} loads other
        weights.
    checkpoint_path: a .safetensors file. It is loaded last, and must fit the model, its head included.
    cache_dir: the Hub's cache; None: the user's own.
    allow_pickle: also accept `.pth` files, which torch then reads with weights_only=True.
    scriptable, exportable, no_jit: they change nothing, as for timm's MlpMixer. torch.jit.script, torch.jit.trace,
        torch.fx, torch.export and torch.onnx take every model. No part of a model is scripted.
    features_only: return maps (B, C, G, G) of the blocks at out_indices instead of logits. The default is the last
        three blocks.
    feature_cls: with features_only, timm's way to the outputs of the blocks. "getter", the default, returns maps. "fx"
        and "hook" return tokens (B, N, C). Or a class, called with (model, out_indices=…).
    The other keywords: see Mixer. None keeps the model's own value.

    Raises TypeError for an unknown keyword, UnknownModelError, WeightsError, InputError.
    """
    if unknown:
        _refuse(next(iter(unknown)))
    if not isinstance(model_name, str):
        raise InputError(f"model_name is a {type(model_name).__name__}; wanted the name of a model, as a str")
    if feature_cls is not None and not features_only:
        raise InputError("feature_cls chooses how features_only=True returns features; pass both, or neither")
    weights = WeightsSource(allow_pickle=allow_pickle, cache_dir=cache_dir, fetch=True)
    if model_name.lower().startswith(LOCAL_PREFIX) or Repo.parse(model_name):
        if pretrained_cfg is not None:
            raise InputError(f"{model_name} brings its own pretrained cfg; change it by pretrained_cfg_overlay")
        own, cfg = _from_config(model_name, weights)
    else:
        own, cfg = _from_table(model_name, pretrained_cfg)
    cfg = _overlaid(cfg, pretrained_cfg_overlay or {})
    channels, side, _ = cfg.input_size
    config = replace(
        own,
        num_classes=cfg.num_classes if num_classes is None else num_classes,
        in_chans=channels if in_chans is None else in_chans,
        image_px=side if img_size is None else img_size,
    )
    checkpoint: Checkpoint | None = None  # found before the model is drawn, so that missing weights fail early
    if pretrained and not cfg.state_dict:
        checkpoint = _find_weights(cfg, weights).adapted(image_px=config.image_px, in_chans=config.in_chans)
    make = partial(
        Mixer,
        global_pool="avg" if global_pool is None else global_pool,
        drop_rate=drop_rate or 0.0,
        proj_drop_rate=proj_drop_rate or 0.0,
        drop_path_rate=drop_path_rate or 0.0,
        nlhb=bool(nlhb),
        stem_norm=bool(stem_norm),
        device=device,
        dtype=dtype,
    )
    if checkpoint:
        new_head = checkpoint.model.num_classes != config.num_classes
        model = load_mixer(config, checkpoint.tensors(), new_head=new_head, source=str(checkpoint.path), make=make)
    else:
        model = make(config)
    model.pretrained_cfg = model.default_cfg = cfg.to_dict()
    if pretrained and cfg.state_dict:
        _load_state(model, cfg.state_dict)
    if checkpoint_path:
        file = open_weights(Path(checkpoint_path), weights)
        check_file(file, model.config)
        load_into(model, file.tensors(), new_head=False, source=str(file.path))
    if not features_only:
        return model
    return backbone(model, 3 if out_indices is None else out_indices, feature_cls or "getter")


def _refuse(keyword: str) -> NoReturn:
    if keyword in _CLASS_VALUED:
        raise TypeError(f"{keyword} is not offered: gmixer builds Mixer and G-Mixer as published; use timm for others")
    if keyword in _OF_THE_VARIANT:
        raise TypeError(f"{keyword} belongs to the variant; build gmixer.models.mixer.Mixer from a ModelConfig instead")
    keywords = inspect.signature(create_model).parameters
    raise TypeError(f"create_model has no keyword {keyword!r}{_did_you_mean(keyword, keywords)}")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _from_table(
    model_name: str, pretrained_cfg: str | Mapping[str, Any] | PretrainedCfg | None
) -> tuple[ModelConfig, PretrainedCfg]:
    if isinstance(pretrained_cfg, str) and pretrained_cfg:
        model_name = f"{model_name.partition('.')[0]}.{pretrained_cfg}"
    full_name, variant, row = find_model(model_name)
    cfg = pretrained_cfg_of(full_name, variant, row)
    if isinstance(pretrained_cfg, PretrainedCfg):
        cfg = pretrained_cfg
    elif isinstance(pretrained_cfg, Mapping) and pretrained_cfg:
        cfg = _overlaid(PretrainedCfg(architecture=cfg.architecture), pretrained_cfg)
    return variant.model, cfg


def _from_config(model_name: str, weights: WeightsSource) -> tuple[ModelConfig, PretrainedCfg]:
    """From the config.json of a folder, or of a repository on the Hub."""
    if repo := Repo.parse(model_name):
        described = read_timm_config(find_in_repo(repo, CONFIG_FILE, weights))
        cfg = PretrainedCfg(hf_hub_id=model_name.partition(":")[2], source="hf-hub")
    else:
        folder = Path(model_name[len(LOCAL_PREFIX) :])
        described = read_timm_config(folder / CONFIG_FILE)
        cfg = PretrainedCfg(file=str(folder), source="local-dir")
    return described.model, replace(cfg, **_fields_of(described))


def _fields_of(described: TimmConfig) -> dict[str, Any]:
    return {
        "architecture": next(iter(variants_of(described.model)), None),
        "fixed_input_size": True,
        "num_classes": described.model.num_classes,
        "label_names": described.class_names,
        "first_conv": "stem.proj",
        "classifier": "head",
        "license": described.license,
        **described.data.to_timm(),
    }


def _overlaid(cfg: PretrainedCfg, changes: Mapping[str, Any]) -> PretrainedCfg:
    fields = cfg.__dataclass_fields__
    for key in changes:
        if key not in fields:
            raise TypeError(f"a pretrained cfg has no {key!r}{_did_you_mean(key, fields)}")
    cfg = replace(cfg, **changes)
    if len(cfg.input_size) != 3 or cfg.input_size[1] != cfg.input_size[2]:
        raise InputError(f"input_size is {cfg.input_size!r}; wanted (channels, height, width) of a square")
    return cfg


def _find_weights(cfg: PretrainedCfg, weights: WeightsSource) -> Checkpoint:
    """As in timm, `file` precedes the repository on the Hub."""
    if cfg.source == "hf-hub":
        return find_checkpoint(f"hf-hub:{cfg.hf_hub_id}", weights)
    if cfg.source == "local-dir":
        return find_checkpoint(f"{LOCAL_PREFIX}{cfg.file}", weights)
    if cfg.file:
        path = Path(cfg.file)
    elif cfg.hf_hub_id:
        path = find_in_repo(Repo.of(cfg.hf_hub_id), cfg.hf_hub_filename or WEIGHTS_FILE, weights)
    else:
        raise WeightsError(f"{cfg.architecture} was never published with weights; pass pretrained=False")
    return find_checkpoint(path.absolute(), replace(weights, name=cfg.architecture))


def _load_state(model: Mixer, state: Mapping[str, Tensor]) -> None:
    """Loads a state dict that the caller gave."""
    source = "the state_dict given"
    stored, tensors = read_state_dict(state, source=source)
    wanted = replace(model.config, num_classes=stored.num_classes)
    new_head = stored.num_classes != model.num_classes
    load_into(model, adapted(tensors, stored=stored, wanted=wanted), new_head=new_head, source=source)
