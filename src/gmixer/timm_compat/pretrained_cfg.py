"""A row of the table as timm's PretrainedCfg, which `get_pretrained_cfg` returns. No torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gmixer.catalogue import EMBEDDED_MODEL, UNTRAINED, Pretrained, Variant
from gmixer.config import IMAGENET_MEAN, IMAGENET_STD

_SOURCES = ("url", "file", "hf_hub_id", "hf_hub_filename", "source")
_KEPT_IF_NONE = ("pool_size", "first_conv", "classifier")  # None means that the model has no such part


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainedCfg:
    """The place of a model's weights, how images are fed to it, and its parts.

    Fields, order and defaults are timm's: timm 1.0.31, models/_pretrained.py `PretrainedCfg`. `url` is "": weights come
    from the Hub repository `hf_hub_id`, or from `file`. The table never sets state_dict, source, the test sizes, the
    labels and the papers, and neither does timm for its Mixers.
    """

    url: str | tuple[str, str] | None = None
    file: str | None = None  # path
    state_dict: dict[str, Any] | None = None
    hf_hub_id: str | None = None  # organization/model
    hf_hub_filename: str | None = None
    source: str | None = None
    architecture: str | None = None  # the variant
    tag: str | None = None
    custom_load: bool = False

    input_size: tuple[int, int, int] = (3, 224, 224)  # channels, height, width
    test_input_size: tuple[int, int, int] | None = None
    min_input_size: tuple[int, int, int] | None = None
    fixed_input_size: bool = False
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    test_crop_pct: float | None = None
    crop_mode: str = "center"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    num_classes: int = 1000
    label_offset: int | None = None
    label_names: tuple[str, ...] | None = None
    label_descriptions: dict[str, str] | None = None

    pool_size: tuple[int, ...] | None = None
    test_pool_size: tuple[int, ...] | None = None
    first_conv: str | None = None  # names of modules
    classifier: str | None = None

    license: str | None = None
    description: str | None = None
    origin_url: str | None = None
    paper_name: str | None = None
    paper_ids: str | tuple[str, ...] | None = None
    notes: tuple[str, ...] | None = None

    @property
    def has_weights(self) -> bool:
        """Whether a place of weights is set."""
        return bool(self.url or self.file or self.hf_hub_id)

    def to_dict(self, remove_source: bool = False, remove_null: bool = True) -> dict[str, Any]:
        """The fields by name.

        remove_source: leave out the place of the weights. state_dict stays, as in timm.
        remove_null: leave out fields that are None, except pool_size, first_conv and classifier.
        """
        return {
            key: value
            for key, value in asdict(self).items()
            if not (remove_source and key in _SOURCES)
            and not (remove_null and value is None and key not in _KEPT_IF_NONE)
        }


def pretrained_cfg_of(full_name: str, variant: Variant, pretrained: Pretrained | None) -> PretrainedCfg:
    """timm's PretrainedCfg of this row. The arguments are the result of `find_model`."""
    architecture, _, tag = full_name.partition(".")
    file = hub_id = None
    if full_name == EMBEDDED_MODEL:
        from gmixer.weights.find import EMBEDDED_WEIGHTS  # imported here, because it imports numpy

        file = str(EMBEDDED_WEIGHTS)
    elif pretrained:
        hub_id = f"timm/{full_name}"
    return PretrainedCfg(
        url="",
        file=file,
        hf_hub_id=hub_id,
        architecture=architecture,
        tag=tag or UNTRAINED,
        fixed_input_size=True,
        num_classes=variant.of(pretrained).num_classes,
        first_conv="stem.proj",
        classifier="head",
        license=pretrained.license if pretrained else "apache-2.0",
        **(pretrained or variant).data.to_timm(),
    )
