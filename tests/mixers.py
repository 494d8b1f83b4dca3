"""Models with drawn weights, as timm builds and runs them: the reference of the native engine.

Never initial weights: timm's gate halves start at std 1e-6 and its head at zero. That hides swapped gates and missing
biases. B images, N patches, C channels, K classes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from timm.layers import GluMlp, Mlp
from timm.models.mlp_mixer import MlpMixer
from torch import nn

from gmixer.config import ModelConfig
from gmixer.options import NativePrecision
from gmixer.runtimes import Engine
from gmixer.weights import Checkpoint

Stages = dict[str, NDArray[np.floating]]


def timm_mixer(config: ModelConfig, **options: Any) -> MlpMixer:
    """timm's own network of any ModelConfig, in eval mode, with its initial weights. options: further keywords."""
    # timm truncates ratio * channels to a whole number: adding a half keeps rounding errors out of it.
    fc1_per_channel = ((config.token_fc1 + 0.5) / config.channels, (config.channel_fc1 + 0.5) / config.channels)
    return MlpMixer(
        num_classes=config.num_classes,
        img_size=config.image_px,
        in_chans=config.in_chans,
        patch_size=config.patch_px,
        num_blocks=config.blocks,
        embed_dim=config.channels,
        mlp_ratio=fc1_per_channel,
        mlp_layer=GluMlp if config.mlp == "swiglu" else Mlp,
        act_layer=nn.SiLU if config.mlp == "swiglu" else nn.GELU,
        **options,
    ).eval()


def drawn_mixer(config: ModelConfig, seed: int = 0) -> MlpMixer:
    """Weights N(0, 1/fan_in), biases and LayerNorm's β N(0, 0.2), γ U(0.5, 1.5); gates and head alike."""
    model = timm_mixer(config, device="meta").to_empty(device="cpu")  # its initial weights would take time
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.2, generator=generator)
            elif parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
    return model


def drawn_images(config: ModelConfig, batch: int, seed: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((batch, config.in_chans, config.image_px, config.image_px), np.float32)


def timm_stages(model: MlpMixer, x_BCHW: NDArray[np.float32], dtype: torch.dtype) -> Stages:
    """stem, block_0 …, tokens, features, logits, computed by timm's modules in `dtype`. The model ends in float32."""
    model.to(dtype)
    stages = {}
    with torch.inference_mode():
        x = model.stem(torch.from_numpy(x_BCHW).to(dtype))
        stages["stem"] = x
        for i, block in enumerate(model.blocks):
            stages[f"block_{i}"] = x = block(x)
        stages["tokens"] = x = model.norm(x)
        stages["features"] = model.forward_head(x, pre_logits=True)
        # For a model without classes timm returns the features again; gmixer returns no logits.
        stages["logits"] = model.forward_head(x)[:, : model.num_classes]
    model.to(torch.float32)
    return {name: stage.numpy() for name, stage in stages.items()}


def engine_of(
    model: MlpMixer,
    config: ModelConfig,
    *,
    threads: int = 2,
    isa: str | None = None,
    precision: NativePrecision = "fp32",
) -> Engine:
    tensors = [(name, tensor.numpy()) for name, tensor in model.state_dict().items()]
    return Engine(config, tensors, threads=threads, isa=isa, precision=precision)


def write_outlier(checkpoint: Checkpoint, path: Path) -> Path:
    """The checkpoint's network, but a channel of each channel MLP's input has 1000 times the size of the others.

    LayerNorm's γ and β of that channel are multiplied by 1000, and the weights that read it are divided by 1000. In
    fp32 the network computes the same. In int8 the scale of a row is that of the outlier, and the other channels round
    to nearly nothing.
    """
    tensors = {name: values.copy() for name, values in checkpoint.tensors()}
    for block in range(checkpoint.model.blocks):
        for of_norm in ("weight", "bias"):
            tensors[f"blocks.{block}.norm2.{of_norm}"][7] *= 1000
        tensors[f"blocks.{block}.mlp_channels.fc1.weight"][:, 7] /= 1000
    save_file(tensors, path)
    return path


def write_timm_folder(folder: Path, architecture: str, config: ModelConfig) -> None:
    """timm's config.json and model.safetensors, with drawn weights. config may differ in blocks and num_classes."""
    folder.mkdir()
    tensors = {name: tensor.numpy() for name, tensor in drawn_mixer(config).state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    arguments = {"num_blocks": config.blocks, "num_classes": config.num_classes}
    about = {"architecture": architecture, "model_args": arguments, "pretrained_cfg": {}}
    (folder / "config.json").write_text(json.dumps(about))
