"""MLP-Mixer and G-Mixer, the whole family, in PyTorch.

    image ─stem─▶ one vector of C channels per patch ─blocks─▶ ─norm─▶ tokens ─mean─▶ features ─head─▶ logits

A block mixes along the patches, then along the channels. It has two MLPs, each after a LayerNorm and inside a residual
sum. The MLPs of Mixer have a GELU, those of G-Mixer a SwiGLU gate.

B images, N patches, C channels, K classes. G×G is the grid of patches, N = G². D is the width that an MLP mixes (N or
C), H its hidden width.

Sources: Mixer https://arxiv.org/abs/2105.01601; SwiGLU https://arxiv.org/abs/2002.05202; stochastic depth
https://arxiv.org/abs/1603.09382; timm 1.0.31, mlp_mixer.py. The names of the tensors, their initial values and the
order of all random draws are timm's. So one seed gives the same network in both.

torch.jit.script compiles `forward` and `forward_intermediates`, so they use only the Python that it knows. This module
does not import `annotations` from `__future__`: torch.fx would copy strings into its graph, and torch.jit.script reads
types there.
"""

import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gmixer.config import Mlp, ModelConfig
from gmixer.errors import InputError

Device = torch.device | str | int | None


class PatchEmbed(nn.Module):
    """Cuts the image into patches and maps each to C channels: (B, in_chans, image_px, image_px) → (B, N, C)."""

    def __init__(
        self, config: ModelConfig, *, norm: bool, norm_eps: float, device: Device, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        C, patch_px = config.channels, config.patch_px
        self.image_px, self.grid = config.image_px, config.image_px // patch_px
        self.proj = nn.Conv2d(config.in_chans, C, patch_px, stride=patch_px, device=device, dtype=dtype)
        self.norm = nn.LayerNorm(C, eps=norm_eps, device=device, dtype=dtype) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2], x.shape[-1]  # not [-2:]: torch.jit.script reads no slice in a graph of torch.fx
        # torch.export and torch.fx support torch._assert, but not `if … raise`.
        torch._assert(height == self.image_px, f"Input height ({height}) doesn't match model ({self.image_px}).")
        torch._assert(width == self.image_px, f"Input width ({width}) doesn't match model ({self.image_px}).")
        x_BCGG = self.proj(x)
        x_BNC: Tensor = self.norm(x_BCGG.flatten(2).transpose(1, 2))
        return x_BNC


class MixerMlp(nn.Module):
    """Linear, nonlinearity, linear along the last dimension: (…, D) → (…, H) → (…, D)."""

    def __init__(
        self, D: int, *, hidden: int, mlp: Mlp, drop: float, device: Device, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        self.gated = mlp == "swiglu"
        self.hidden = hidden
        self.fc1 = nn.Linear(D, 2 * hidden if self.gated else hidden, device=device, dtype=dtype)
        self.drop1 = nn.Dropout(drop)
        self.fc2 = nn.Linear(hidden, D, device=device, dtype=dtype)
        self.drop2 = nn.Dropout(drop)

    @torch.no_grad()
    def init_weights(self) -> None:
        for fc in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(fc.weight)
            nn.init.normal_(fc.bias, std=1e-6)
        if self.gated:  # each gate starts as silu(1), independent of the input
            nn.init.ones_(self.fc1.bias[self.hidden :])
            nn.init.normal_(self.fc1.weight[self.hidden :], std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        if self.gated:
            value_H, gate_H = self.fc1(x).chunk(2, dim=-1)
            x_H = value_H * F.silu(gate_H)
        else:
            x_H = F.gelu(self.fc1(x))
        x_D: Tensor = self.drop2(self.fc2(self.drop1(x_H)))
        return x_D


class DropPath(nn.Module):
    """Stochastic depth: in training, sets an image's whole branch to zero at this rate, and scales the others up."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate <= 1:
            raise InputError(f"drop_path_rate is {rate!r}; wanted a number from 0 to 1")
        self.rate = float(rate)

    def forward(self, x_BNC: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x_BNC
        kept = 1 - self.rate
        keep_B11 = x_BNC.new_empty(x_BNC.shape[0], 1, 1).bernoulli_(kept)
        return x_BNC * (keep_B11 / kept if kept else keep_B11)


class MixerBlock(nn.Module):
    """Mixes along N, then along C: (B, N, C) → (B, N, C)."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        drop: float,
        drop_path: float,
        norm_eps: float,
        device: Device,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        N, C, mlp = config.patches, config.channels, config.mlp
        self.norm1 = nn.LayerNorm(C, eps=norm_eps, device=device, dtype=dtype)
        self.mlp_tokens = MixerMlp(N, hidden=config.token_hidden, mlp=mlp, drop=drop, device=device, dtype=dtype)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(C, eps=norm_eps, device=device, dtype=dtype)
        self.mlp_channels = MixerMlp(C, hidden=config.channel_hidden, mlp=mlp, drop=drop, device=device, dtype=dtype)

    def forward(self, x_BNC: Tensor) -> Tensor:
        # No name for what goes in between: it would hold memory that the next step uses again.
        x_BNC = x_BNC + self.drop_path(self.mlp_tokens(self.norm1(x_BNC).transpose(1, 2)).transpose(1, 2))
        x_BNC = x_BNC + self.drop_path(self.mlp_channels(self.norm2(x_BNC)))
        return x_BNC


class Mixer(nn.Module):
    """The network of a ModelConfig, with timm's methods, attributes, tensors and initial weights.

    global_pool: 'avg' averages the tokens before the head; '' applies the head to every token.
    drop_rate: dropout before the head. proj_drop_rate: dropout inside the MLPs, after each linear layer.
    drop_path_rate: stochastic depth, equal in all blocks.
    nlhb: the bias of the head starts at -log K instead of 0 ("negative log head bias").
    stem_norm: adds a LayerNorm after the stem.
    norm_eps: of every LayerNorm. timm and the native engine use 1e-6.

    config: the architecture. reset_classifier and prune_intermediate_layers update it.
    pretrained_cfg = default_cfg: set by gmixer.create_model. As in timm, a Mixer made directly has none.
    """

    pretrained_cfg: dict[str, Any]
    default_cfg: dict[str, Any]

    # torch.jit.script keeps these as they are in Python.
    __jit_ignored_attributes__ = ("config", "feature_info", "pretrained_cfg", "default_cfg")

    def __init__(
        self,
        config: ModelConfig,
        *,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        nlhb: bool = False,
        stem_norm: bool = False,
        norm_eps: float = 1e-6,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        C, K = config.channels, config.num_classes
        self.config = config
        self.num_classes = K
        self.in_chans = config.in_chans
        self.num_features = self.head_hidden_size = self.embed_dim = C
        self.global_pool = _checked_pool(global_pool)
        self.grad_checkpointing = False
        self.feature_info = [
            {"module": f"blocks.{i}", "num_chs": C, "reduction": config.patch_px} for i in range(config.blocks)
        ]

        self.stem = PatchEmbed(config, norm=stem_norm, norm_eps=norm_eps, device=device, dtype=dtype)
        blocks = [
            MixerBlock(
                config, drop=proj_drop_rate, drop_path=drop_path_rate, norm_eps=norm_eps, device=device, dtype=dtype
            )
            for _ in range(config.blocks)
        ]
        self.blocks = nn.Sequential(*blocks)
        self.norm: nn.Module = nn.LayerNorm(C, eps=norm_eps, device=device, dtype=dtype)
        self.head_drop = nn.Dropout(drop_rate)
        self.head: nn.Module = nn.Linear(C, K, device=device, dtype=dtype) if K else nn.Identity()
        self.init_weights(nlhb=nlhb)

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    @torch.no_grad()
    def init_weights(self, nlhb: bool = False) -> None:
        """Draws all weights again. LayerNorms keep their initial ones and zeros."""
        _lecun_normal_(self.stem.proj.weight)
        assert self.stem.proj.bias is not None
        nn.init.zeros_(self.stem.proj.bias)
        for module in self.modules():
            if isinstance(module, MixerMlp):
                module.init_weights()
        if isinstance(self.head, nn.Linear):
            nn.init.zeros_(self.head.weight)
            nn.init.constant_(self.head.bias, -math.log(self.num_classes) if nlhb else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_chans, image_px, image_px) → logits (B, K); without classes (B, C); with global_pool '' (B, N, …)."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, in_chans, image_px, image_px) → tokens (B, N, C) after the last norm."""
        x_BNC, _ = self._run_blocks(self.stem(x), [], len(self.blocks) - 1, norm=False)
        tokens_BNC: Tensor = self.norm(x_BNC)
        return tokens_BNC

    def forward_head(self, x_BNC: Tensor, pre_logits: bool = False) -> Tensor:
        """Tokens (B, N, C) → logits (B, K); with pre_logits → features (B, C). global_pool '' keeps N."""
        x: Tensor = self.head_drop(x_BNC.mean(dim=1) if self.global_pool == "avg" else x_BNC)
        if not pre_logits:
            x = self.head(x)
        return x

    def stages(self, x: Tensor) -> dict[str, Tensor]:
        """The same as `gmixer.Engine.stages`: stem, block_0 …, tokens (B, N, C), features (B, C), logits (B, K).

        As in the engine, the tokens are always averaged, also with global_pool ''. Without classes K is 0.
        """
        stages = {"stem": self.stem(x)}
        last = len(self.blocks) - 1
        x_BNC, outputs = self._run_blocks(stages["stem"], list(range(len(self.blocks))), last, norm=False)
        stages |= {f"block_{i}": y_BNC for i, y_BNC in enumerate(outputs)}
        stages["tokens"] = x_BNC = self.norm(x_BNC)
        stages["features"] = x_BC = self.head_drop(x_BNC.mean(dim=1))
        stages["logits"] = self.head(x_BC)[:, : self.num_classes]
        return stages

    def _run_blocks(self, x_BNC: Tensor, kept: list[int], last: int, norm: bool) -> tuple[Tensor, list[Tensor]]:
        """The blocks up to `last`: the output of that block, and those of the blocks in `kept`.

        norm: apply the last norm to the kept outputs. With grad_checkpointing the backward pass computes a block's
        activations again. torch.jit.script cannot do that, and ignores it, as in timm.
        """
        outputs: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            if i <= last:
                if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
                    x_BNC = checkpoint(block, x_BNC, use_reentrant=False)
                else:
                    x_BNC = block(x_BNC)
                if i in kept:
                    outputs.append(self.norm(x_BNC) if norm else x_BNC)
        return x_BNC, outputs

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """(tokens, intermediates): the tokens (B, N, C), and the outputs of some blocks, in the order of the blocks.

        indices: a number takes the last n blocks, None all blocks, a list these blocks. Negative indices count from the
            end.
        norm: apply the last norm to the intermediates too.
        stop_early: skip the blocks after the last index. The tokens are then the norm of that block's output.
        output_fmt: 'NCHW' returns maps (B, C, G, G), 'NLC' returns (B, N, C).
        """
        if output_fmt not in ("NCHW", "NLC"):
            raise InputError(f"output_fmt is '{output_fmt}'; wanted 'NCHW' or 'NLC'")
        taken = absolute_indices(indices, blocks=len(self.blocks))
        last = max(taken) if stop_early else len(self.blocks) - 1
        x_BNC, intermediates = self._run_blocks(self.stem(x), taken, last, norm=norm)
        if output_fmt == "NCHW":
            G, C = self.stem.grid, self.embed_dim
            intermediates = [y_BNC.transpose(1, 2).reshape(-1, C, G, G).contiguous() for y_BNC in intermediates]
        if intermediates_only:
            return intermediates
        return self.norm(x_BNC), intermediates

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Removes the parts that the intermediates at `indices` do not need. Returns the indices, counted from 0.

        indices: as in forward_intermediates. The blocks after the last index are removed.
        prune_head: num_classes becomes 0, and global_pool ''.
        """
        taken = absolute_indices(indices, blocks=len(self.blocks))
        self.blocks = self.blocks[: max(taken) + 1]
        self.config = replace(self.config, blocks=len(self.blocks))
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0, "")
        return taken

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def get_classifier(self) -> nn.Module:
        """The head: nn.Linear, or nn.Identity without classes."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces the head by a new one with nn.Linear's initial weights. With num_classes 0 the head is removed."""
        config = replace(self.config, num_classes=num_classes)
        pool = self.global_pool if global_pool is None else _checked_pool(global_pool)
        self.config, self.num_classes, self.global_pool = config, num_classes, pool
        weight = self.stem.proj.weight  # not of the head, which may be an Identity
        self.head = nn.Identity()
        if num_classes:
            self.head = nn.Linear(config.channels, num_classes, device=weight.device, dtype=weight.dtype)
        self.head.train(self.training)

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Saves memory in training, and costs about one more forward pass."""
        self.grad_checkpointing = enable

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's patterns that group parameters by depth, for layer-wise learning rates. `coarse` changes nothing."""
        return {"stem": r"^stem", "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))]}


def _lecun_normal_(weight: Tensor) -> None:
    """A normal distribution of variance 1 / fan_in, cut at ±2σ.

    As in timm, one uniform draw per weight goes through the inverse of the distribution. nn.init.trunc_normal_ of torch
    ≥ 2.10 instead draws normals until they are inside.
    """
    std_of_cut = 0.87962566103423978  # of a standard normal cut at ±2
    bound = math.erf(2 / math.sqrt(2))
    std = math.sqrt(1 / weight[0].numel()) / std_of_cut
    weight.uniform_(-bound, bound).erfinv_().mul_(math.sqrt(2)).clamp_(-2, 2).mul_(std)


def _checked_pool(global_pool: str) -> str:
    if global_pool not in ("avg", ""):
        raise InputError(f"global_pool is {global_pool!r}; wanted 'avg', or '' for none")
    return global_pool


def absolute_indices(indices: int | list[int] | None, blocks: int) -> list[int]:
    """None takes all blocks, a number the last n, a list these. Negative indices count from the end."""
    if indices is None:
        indices = blocks
    if isinstance(indices, int):
        if not 0 < indices <= blocks:
            raise InputError(f"last-n ({indices}) is out of range (1 to {blocks})")
        return list(range(blocks - indices, blocks))
    taken = [i + blocks if i < 0 else i for i in indices]
    if len(taken) == 0 or min(taken) < 0 or max(taken) >= blocks:
        raise InputError(f"block indices {list(indices)} are out of range ({-blocks} to {blocks - 1})")
    return taken
