"""A Mixer as a backbone, for `features_only=True`: it returns maps of some blocks instead of logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from gmixer.models.mixer import Mixer


class FeatureMaps(nn.Module):
    """Returns the maps (B, C, G, G) of the blocks at out_indices. The parts that the maps do not need are removed.

    out_indices: a number takes the last n blocks, a list these blocks. Negative indices count from the end.
    """

    def __init__(self, model: Mixer, out_indices: int | Sequence[int]) -> None:
        super().__init__()
        self.out_indices = model.prune_intermediate_layers(out_indices, prune_norm=True)
        self.feature_info = FeatureInfo(model.feature_info, self.out_indices)
        self.model = model
        self.config = model.config
        self.pretrained_cfg = self.default_cfg = {
            key: value
            for key, value in model.pretrained_cfg.items()
            if key not in ("num_classes", "classifier", "global_pool")
        }

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = self.model.forward_intermediates(x, indices=self.out_indices, intermediates_only=True)
        assert isinstance(maps, list)
        return maps


class FeatureInfo:
    """Facts about each map, by timm's keys. Without `idx` the methods answer for the blocks at out_indices."""

    def __init__(self, blocks: Sequence[dict[str, Any]], out_indices: Sequence[int]) -> None:
        self.info = [{**block, "index": i} for i, block in enumerate(blocks)]
        self.out_indices = tuple(out_indices)

    def __len__(self) -> int:
        return len(self.info)

    def __getitem__(self, block: int) -> dict[str, Any]:
        return self.info[block]

    def get(self, key: str, idx: int | Sequence[int] | None = None) -> Any:
        if isinstance(idx, int):
            return self.info[idx][key]
        return [self.info[i][key] for i in (self.out_indices if idx is None else idx)]

    def get_dicts(self, keys: Sequence[str] | None = None, idx: int | Sequence[int] | None = None) -> Any:
        """A dict of the chosen keys per block; None chooses all keys."""
        indices = [idx] if isinstance(idx, int) else list(self.out_indices if idx is None else idx)
        dicts = [{key: self.info[i][key] for key in (keys or self.info[i])} for i in indices]
        return dicts[0] if isinstance(idx, int) else dicts

    def channels(self, idx: int | Sequence[int] | None = None) -> Any:
        """C."""
        return self.get("num_chs", idx)

    def reduction(self, idx: int | Sequence[int] | None = None) -> Any:
        """Pixels of the image per element of the map, along one side."""
        return self.get("reduction", idx)

    def module_name(self, idx: int | Sequence[int] | None = None) -> Any:
        return self.get("module", idx)
