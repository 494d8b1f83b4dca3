"""Queries on the table in catalogue.py, with timm's names, parameters and order. No torch.

Source of the semantics: timm 1.0.31, models/_registry.py. A RuntimeError or KeyError of timm's is an UnknownModelError
here, which is also a RuntimeError. is_model, is_model_in_modules and model_entrypoint accept deprecated names. The
lists do not contain deprecated names, and deprecated names have no pretrained cfg.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from gmixer.catalogue import DEPRECATED, UNTRAINED, VARIANTS, find_model, no_variant
from gmixer.errors import UnknownModelError
from gmixer.timm_compat.pretrained_cfg import PretrainedCfg, pretrained_cfg_of

if TYPE_CHECKING:
    from torch import nn

MODULE = "mlp_mixer"  # the module of timm's that holds all Mixers

OneOrMore = str | Iterable[str] | None


def list_models(
    filter: OneOrMore = "",
    module: OneOrMore = "",
    pretrained: bool = False,
    exclude_filters: OneOrMore = "",
    name_matches_cfg: bool = False,
    include_tags: bool | None = None,
) -> list[str]:
    """Model names in natural order (12 before 24).

    filter, exclude_filters: one or more shell patterns ("gmixer*"). Exclusion is applied last. With tags, a pattern
        without a tag matches all tags.
    module: one or more of list_modules(). Any other module has no models.
    pretrained: only models with published weights.
    name_matches_cfg: accepted without effect. Every model has a pretrained cfg of its name.
    include_tags: `variant.tag` instead of `variant`; None: the value of `pretrained`.
    """
    modules = _strings(module)
    if modules and MODULE not in modules:
        return []
    tags_on = pretrained if include_tags is None else include_tags
    names = {tagged for base in VARIANTS for tagged in _tagged(base)} if tags_on else set(VARIANTS)
    if wanted := _patterns(filter, tags_on):
        names = {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in wanted)}
    unwanted = _patterns(exclude_filters, tags_on)
    names = {name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in unwanted)}
    if pretrained:
        names = {name for name in names if is_model_pretrained(name)}
    return sorted(names, key=_natural)


def list_pretrained(filter: OneOrMore = "", exclude_filters: OneOrMore = "") -> list[str]:
    """Every `variant.tag` with published weights."""
    return list_models(filter, pretrained=True, exclude_filters=exclude_filters, include_tags=True)


def list_modules() -> list[str]:
    """timm's names of the modules that hold gmixer's models: only one."""
    return [MODULE]


def is_model(model_name: str) -> bool:
    """Whether a variant of this name exists. Deprecated names count; as in timm, the tag is ignored."""
    base = _base(model_name)
    return base in VARIANTS or base in DEPRECATED


def is_model_in_modules(model_name: str, module_names: OneOrMore) -> bool:
    """Whether one of these modules holds a variant of this name. The tag is ignored."""
    return is_model(model_name) and MODULE in _strings(module_names)


def is_model_pretrained(model_name: str) -> bool:
    """Whether weights were published under this name, with or without a tag."""
    base, dot, tag = model_name.partition(".")
    return base in VARIANTS and (tag in VARIANTS[base].pretrained if dot else bool(VARIANTS[base].pretrained))


def model_entrypoint(model_name: str, module_filter: str | None = None) -> Callable[..., nn.Module]:
    """The function that builds this variant. It takes (pretrained=False, **keywords), and calls create_model.

    As in timm, the tag is ignored: the weights are those of the default tag. Only the call imports torch.
    Raises UnknownModelError if the variant does not exist, or if module_filter is not mlp_mixer.
    """
    base = _base(model_name)
    if not is_model(base):
        raise no_variant(base)
    if module_filter and module_filter != MODULE:
        raise UnknownModelError(f"{base} is not in module {module_filter!r}; gmixer's models are in {MODULE}")
    return partial(_create, base)


def get_pretrained_cfg(model_name: str, allow_unregistered: bool = True) -> PretrainedCfg | None:
    """The place of the weights of this name, and how images are fed to the model.

    A bare variant takes its default tag.
    allow_unregistered: return None for an unknown variant and for a deprecated name, instead of raising an error.
    Raises UnknownModelError; for an unknown tag always.
    """
    base, dot, tag = model_name.partition(".")
    if base not in VARIANTS:
        if allow_unregistered:
            return None
        if base in DEPRECATED:
            raise UnknownModelError(f"{base} is a deprecated name without a pretrained cfg; take {DEPRECATED[base]}")
        raise no_variant(base)
    cfgs = get_arch_pretrained_cfgs(base)
    if not dot:
        return next(iter(cfgs.values()))
    if model_name not in cfgs:
        raise UnknownModelError(f"{base} has no pretrained cfg tagged {tag!r}; there are {', '.join(cfgs)}")
    return cfgs[model_name]


def get_pretrained_cfg_value(model_name: str, cfg_key: str) -> Any:
    """One field of the pretrained cfg of this name; None if there is no such field. Raises UnknownModelError."""
    return getattr(get_pretrained_cfg(model_name, allow_unregistered=False), cfg_key, None)


def get_arch_pretrained_cfgs(model_name: str) -> dict[str, PretrainedCfg]:
    """The pretrained cfgs of a variant by `variant.tag`, the default tag first; {} for an unknown variant."""
    base = _base(model_name)
    return {name: pretrained_cfg_of(*find_model(name)) for name in _tagged(base)} if base in VARIANTS else {}


def _create(model_name: str, pretrained: bool = False, **keywords: Any) -> nn.Module:
    from gmixer import create_model  # the public name: without torch it raises the error with the pip command

    return create_model(model_name, pretrained, **keywords)


def _base(model_name: str) -> str:
    return model_name.partition(".")[0]


def _tagged(base: str) -> list[str]:
    """Every `variant.tag` of a variant, the default tag first."""
    return [f"{base}.{tag}" for tag in VARIANTS[base].pretrained or (UNTRAINED,)]


def _strings(given: OneOrMore) -> list[str]:
    if not given:
        return []
    return [given] if isinstance(given, str) else list(given)


def _patterns(given: OneOrMore, tags_on: bool) -> list[str]:
    patterns = _strings(given)
    if tags_on:
        patterns += [f"{_base(pattern)}.*" for pattern in patterns if not pattern.partition(".")[2]]
    return patterns


def _natural(name: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name.lower())]
