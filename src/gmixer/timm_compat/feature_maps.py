"""A Mixer as a backbone, for `features_only=True`: it returns the outputs of some blocks instead of logits.

torch.jit.script compiles these modules. As in gmixer.models.mixer, their annotations stay types, not strings.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from gmixer.errors import InputError
from gmixer.models.mixer import Mixer, absolute_indices

_NOT_OF_THE_BACKBONE = ("num_classes", "classifier", "global_pool")


def backbone(
    model: Mixer, out_indices: int | Sequence[int], feature_cls: str | Callable[..., nn.Module] = "getter"
) -> nn.Module:
    """timm's feature extractor of this name. It takes the model over.

    feature_cls: "getter" (FeatureMaps), "fx" (TracedFeatures) or "hook" (HookedFeatures). A class or function of the
        caller's is called with (model, out_indices=…), as timm does.

    Raises InputError for another name, and for indices that are out of range.
    """
    indices = out_indices if isinstance(out_indices, int) else list(out_indices)
    wrapped = _extractor(feature_cls)(model, out_indices=indices)
    cfg = {key: value for key, value in model.pretrained_cfg.items() if key not in _NOT_OF_THE_BACKBONE}
    wrapped.pretrained_cfg = wrapped.default_cfg = cfg  # type: ignore[assignment]
    return wrapped


def _extractor(feature_cls: str | Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    if not isinstance(feature_cls, str):
        return feature_cls
    name = feature_cls.lower()
    if name in ("list", "dict"):
        raise InputError(
            f"feature_cls is {feature_cls!r}, which cuts a network between its top modules, and a Mixer's blocks lie "
            f"inside one of them; wanted 'getter', 'fx' or 'hook'"
        )
    if name not in _EXTRACTORS:
        raise InputError(f"feature_cls is {feature_cls!r}; wanted 'getter', 'fx' or 'hook', or a class")
    return _EXTRACTORS[name]


class FeatureMaps(nn.Module):
    """Returns the maps (B, C, G, G) of the blocks at out_indices. The parts that the maps do not need are removed.

    out_indices: a number takes the last n blocks, a list these blocks. Negative indices count from the end.
    """

    def __init__(self, model: Mixer, out_indices: int | list[int]) -> None:
        super().__init__()
        self.out_indices = model.prune_intermediate_layers(out_indices, prune_norm=True)
        self.feature_info = FeatureInfo(model.feature_info, self.out_indices)
        self.model = model
        self.config = model.config

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = self.model.forward_intermediates(x, indices=self.out_indices, intermediates_only=True)
        assert isinstance(maps, list)
        return maps


class TracedFeatures(nn.Module):
    """Returns the tokens (B, N, C) of the blocks at out_indices. torch.fx cuts them out of a trace of the model."""

    def __init__(self, model: Mixer, out_indices: int | list[int]) -> None:
        from torchvision.models.feature_extraction import create_feature_extractor

        super().__init__()
        taken = absolute_indices(out_indices, blocks=len(model.blocks))
        self.feature_info = FeatureInfo(model.feature_info, taken)
        self.config = model.config
        self.graph_module = create_feature_extractor(model, {f"blocks.{i}": str(i) for i in taken})

    def forward(self, x: Tensor) -> list[Tensor]:
        tokens: dict[str, Tensor] = self.graph_module(x)
        return list(tokens.values())


class HookedFeatures(nn.Module):
    """Returns the tokens (B, N, C) of the blocks at out_indices, in the order of out_indices.

    timm collects them with hooks, and keeps the whole network but the head. The network is kept here too. No hooks are
    needed, so this module can be scripted, copied and pickled.
    """

    def __init__(self, model: Mixer, out_indices: int | list[int]) -> None:
        super().__init__()
        taken = absolute_indices(out_indices, blocks=len(model.blocks))
        self.feature_info = FeatureInfo(model.feature_info, taken)
        model.reset_classifier(0)
        self.config = model.config
        self.body = model
        self.blocks = sorted(set(taken))
        self.order = [self.blocks.index(i) for i in dict.fromkeys(taken)]

    def forward(self, x: Tensor) -> list[Tensor]:
        tokens = self.body.forward_intermediates(x, indices=self.blocks, output_fmt="NLC", intermediates_only=True)
        assert isinstance(tokens, list)
        return [tokens[i] for i in self.order]


_EXTRACTORS: dict[str, Callable[..., nn.Module]] = {"getter": FeatureMaps, "fx": TracedFeatures, "hook": HookedFeatures}


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
