"""The tensors of one model among the names of a file, without the names that programs put around it.

Every kind of file and every torch module goes through `model_in`. A name is `KEY/KEY/module.module.tensor`: the keys of
nested dicts, then the names of modules. Writers put these around a Mixer's own names:

    timm                  state_dict/…, state_dict_ema/…, model_ema/…, module.…
    PyTorch               _orig_mod.… (compile), module.… (DistributedDataParallel, AveragedModel)
    PyTorch's FSDP        _fsdp_wrapped_module.…, also inside the names
    Lightning             state_dict/model.…, or another attribute of the LightningModule
    DeepSpeed, MMEngine   module/…, state_dict/backbone.…
    fastai, transformers  model/0.model.…, timm_model.…

The stem shows where the model is, so the prefix may have any name. Averaged weights go before others, as in timm.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from dataclasses import dataclass

from gmixer.errors import WeightsError

ANCHOR = "stem.proj.weight"  # every Mixer has exactly one
KEY_END = "/"  # of a dict's key; modules end with a dot

# PyTorch puts these anywhere in a name, such as blocks.0._orig_mod.norm1.weight
_TRANSPARENT = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
_AVERAGED = re.compile(r"(^|[_-])(ema|swa|averaged?)([_-]|$)", re.IGNORECASE)
_USUAL = (  # in the order of preference, after averaged weights: timm's order, then other writers'
    *("state_dict_ema", "model_ema", "state_dict", "model"),
    *("model_state_dict", "module", "net", "network", "weights", "params"),
)
_COUNTER = "n_averaged"  # how many models an AveragedModel has seen


@dataclass(frozen=True, slots=True)
class ModelNames:
    """own_names: stored name → the Mixer's own name, of each of its tensors, in stored order.

    part: where the model is, if the file holds more than a model; None: there is nothing else.
    """

    own_names: dict[str, str]
    part: str | None


def model_in(stored_names: Collection[str], *, source: str) -> ModelNames:
    """The names of the one Mixer among these. Without a Mixer, all names as they are.

    source: the file or the object, in an error. A UserWarning names tensors beside the model, which are left out.
    Raises WeightsError for several models, if none is the averaged or the usual one.
    """
    places: dict[str, tuple[str, str]] = {}  # stored name → (its keys, its module path without transparent names)
    for stored in stored_names:
        keys, end, path = stored.rpartition(KEY_END)
        places[stored] = (keys + end, _without_transparent(path))
    around = dict.fromkeys(
        (keys, path.removesuffix(ANCHOR))
        for keys, path in places.values()
        if path == ANCHOR or path.endswith(f".{ANCHOR}")
    )
    if not around:
        return ModelNames({stored: stored for stored in stored_names}, None)
    keys, prefix = _preferred(list(around), source)

    own_names: dict[str, str] = {}
    left_out: list[str] = []
    for stored, (own_keys, path) in places.items():
        if own_keys != keys:
            continue
        if not path.startswith(prefix):
            left_out.append(path)
            continue
        own_names[stored] = path.removeprefix(prefix)
    if len(set(own_names.values())) < len(own_names):
        twice = next(name for name in own_names.values() if list(own_names.values()).count(name) > 1)
        raise WeightsError(f"{source}: holds {twice} twice, once with a wrapper's name; save only one model")
    if left_out := [name for name in left_out if name != _COUNTER]:
        some = ", ".join(left_out[:3]) + (f" and {len(left_out) - 3:,} more" if len(left_out) > 3 else "")
        _warn(f"{source}: the model's tensors begin with {prefix!r}; left out, beside them: {some}")
    part = _title(keys, prefix if len(around) > 1 else "")
    return ModelNames(own_names, part or None)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=6)


def module_path(stored: str) -> str:
    """The path of the module that holds the model. stored: the name of the model's ANCHOR in a state_dict()."""
    names = stored.split(".")
    inner = max(i for i, name in enumerate(names) if name == ANCHOR.partition(".")[0])
    return ".".join(names[:inner])


def _without_transparent(path: str) -> str:
    return ".".join(name for name in path.split(".") if name not in _TRANSPARENT) if "_" in path else path


def _preferred(around: list[tuple[str, str]], source: str) -> tuple[str, str]:
    """Raises WeightsError unless one of them goes before all others. A UserWarning names a second one of no usual name.

    `module` around a model says that it was trained on several devices, not that it is the one of two that is wanted.
    """

    def rank(place: tuple[str, str]) -> tuple[bool, int]:
        keys, prefix = place
        names = [name for name in keys.split(KEY_END) if name]
        names += [name for name in prefix.split(".") if name and name != "module"]
        averaged = any(map(_AVERAGED.search, names))
        places = [_USUAL.index(name) if name in _USUAL else len(_USUAL) for name in names or ["module"]]
        return not averaged, min(places)

    best, *others = sorted(around, key=rank)
    if others and rank(others[0]) == rank(best):
        titles = " and ".join(_title(*place) or "one without a name" for place in (best, others[0]))
        raise WeightsError(f"{source}: holds {len(around)} models, {titles}; wanted one: save its weights alone")
    if others and others[-1][0] != best[0] and rank(others[-1]) == (True, len(_USUAL)):
        _warn(
            f"{source}: holds {len(around)} models; {_title(*best)} was taken, not {_title(*others[-1])}; for another "
            f"one, save its weights alone"
        )
    return best


def _title(keys: str, prefix: str) -> str:
    return ".".join(filter(None, (*keys.split(KEY_END), prefix.rstrip("."))))
