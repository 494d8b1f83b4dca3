"""create_model: a torch Mixer by name, with timm's keywords."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from gmixer.config import DataConfig, ModelConfig, Pretrained, find_model
from gmixer.errors import InputError, WeightsError
from gmixer.models.mixer import Device, Mixer
from gmixer.weights import Checkpoint, find_checkpoint
from gmixer.weights.architecture import check_file

_LOCAL, _HUB = "local-dir:", ("hf-hub:", "hf_hub:")
_CLASS_VALUED = ("block_layer", "mlp_layer", "norm_layer", "act_layer")
_OF_THE_VARIANT = ("patch_size", "num_blocks", "embed_dim", "mlp_ratio")


def create_model(
    model_name: str,
    pretrained: bool = False,
    *,
    pretrained_cfg_overlay: Mapping[str, Any] | None = None,
    checkpoint_path: str | os.PathLike[str] | None = None,
    scriptable: bool | None = None,
    exportable: bool | None = None,
    no_jit: bool | None = None,
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
    device: Device = None,
    dtype: torch.dtype | None = None,
    **unknown: object,
) -> nn.Module:
    """The model of a name (`variant` or `variant.tag`) or of a folder (`local-dir:PATH`), as timm makes it.

    pretrained: load its weights; a head of other classes stays as drawn, a stem of other channels is made to fit.
    pretrained_cfg_overlay: changes to the data config, in timm's keys.
    checkpoint_path: a .safetensors file to load after building, which must fit whole.
    scriptable, exportable, no_jit: accepted and without effect: the model is always exportable.
    features_only: maps (B, C, G, G) of the blocks at out_indices (default: the last three) instead of logits.
    The rest: see Mixer. None means the model's own.

    Raises TypeError for an unknown keyword, UnknownModelError, WeightsError, InputError.
    """
    if unknown:
        _refuse(next(iter(unknown)))
    if model_name.startswith(_HUB):
        raise WeightsError(
            f"{model_name}: gmixer cannot fetch from the Hub yet; download it, and pass local-dir:FOLDER"
        )
    checkpoint: Checkpoint | None = None
    row: Pretrained | None = None
    if model_name.startswith(_LOCAL):
        checkpoint = find_checkpoint(os.path.join(model_name.removeprefix(_LOCAL), ""))
        name, own, data = checkpoint.name, checkpoint.model, checkpoint.data
    else:
        name, variant, row = find_model(model_name)
        own, data = variant.of(row), (row or variant).data
        checkpoint = find_checkpoint(name) if pretrained else None

    if img_size not in (None, own.image_px) and pretrained:
        raise InputError(f"img_size is {img_size}; the weights of {name} are for {own.image_px}: leave it out")
    config = replace(
        own,
        num_classes=own.num_classes if num_classes is None else num_classes,
        in_chans=own.in_chans if in_chans is None else in_chans,
        image_px=own.image_px if img_size is None else img_size,
    )
    model = Mixer(
        config,
        global_pool="avg" if global_pool is None else global_pool,
        drop_rate=drop_rate or 0.0,
        proj_drop_rate=proj_drop_rate or 0.0,
        drop_path_rate=drop_path_rate or 0.0,
        nlhb=bool(nlhb),
        stem_norm=bool(stem_norm),
        device=device,
        dtype=dtype,
    )
    model.pretrained_cfg = model.default_cfg = _timm_cfg(name, own, data, row) | dict(pretrained_cfg_overlay or {})
    if pretrained and checkpoint is not None:
        _load(model, checkpoint)
    if checkpoint_path:
        _load(model, find_checkpoint(checkpoint_path), whole=True)
    return FeatureMaps(model, 3 if out_indices is None else out_indices) if features_only else model


class FeatureMaps(nn.Module):
    """A Mixer that gives the maps (B, C, G, G) of some of its blocks; what they do not need is pruned."""

    def __init__(self, model: Mixer, out_indices: int | Sequence[int]) -> None:
        super().__init__()
        self.out_indices = model.prune_intermediate_layers(out_indices, prune_norm=True)
        self.model = model
        self.feature_info = [model.feature_info[i] for i in self.out_indices]
        self.pretrained_cfg = self.default_cfg = {
            key: value
            for key, value in model.pretrained_cfg.items()
            if key not in ("num_classes", "classifier", "global_pool")
        }

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = self.model.forward_intermediates(x, indices=self.out_indices, intermediates_only=True)
        assert isinstance(maps, list)
        return maps


def _refuse(keyword: str) -> NoReturn:
    if keyword in _CLASS_VALUED:
        raise TypeError(f"{keyword} is not offered: gmixer builds Mixer and G-Mixer as they were published; use timm")
    if keyword in _OF_THE_VARIANT:
        raise TypeError(f"{keyword} belongs to the variant; build gmixer.models.mixer.Mixer from a ModelConfig instead")
    close = difflib.get_close_matches(keyword, inspect.signature(create_model).parameters, n=1)
    raise TypeError(f"create_model has no keyword {keyword!r}" + (f"; did you mean {close[0]!r}?" if close else ""))


def _timm_cfg(name: str, model: ModelConfig, data: DataConfig, row: Pretrained | None) -> dict[str, Any]:
    """timm's pretrained_cfg of this name."""
    architecture, _, tag = name.partition(".")
    return data.to_timm() | {
        "architecture": architecture,
        "tag": tag or None,
        "num_classes": model.num_classes,
        "fixed_input_size": True,
        "pool_size": None,
        "first_conv": "stem.proj",
        "classifier": "head",
        "license": row.license if row else "apache-2.0",
    }


def _load(model: Mixer, checkpoint: Checkpoint, *, whole: bool = False) -> None:
    """Copies the weights in; unless whole, a head of other classes stays as drawn and the stem is made to fit."""
    if whole:
        check_file(checkpoint.file, model.config)
    state = {name: torch.from_numpy(values.copy()) for name, values in checkpoint.tensors()}
    new_head = checkpoint.model.num_classes != model.num_classes
    if new_head:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    stem = state["stem.proj.weight"]
    if stem.shape[1] != model.in_chans:
        state["stem.proj.weight"] = _adapt_stem(stem, model.in_chans)
    missing = model.load_state_dict(state, strict=False).missing_keys
    if lacking := [name for name in missing if not (new_head and name.startswith("head."))]:
        raise WeightsError(
            f"{checkpoint.path}: lacks {', '.join(lacking)}; leave out what adds them, such as stem_norm"
        )


def _adapt_stem(weight: Tensor, in_chans: int) -> Tensor:
    """RGB weights for other channels, as timm's adapt_input_conv: one takes their sum, more take them in turn."""
    if in_chans == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, -(-in_chans // weight.shape[1]), 1, 1)[:, :in_chans]
    return repeated * (weight.shape[1] / in_chans)
