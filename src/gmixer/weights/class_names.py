"""Class names as timm's configs hold them: label_names, or labels or id2label, with label_descriptions.

Names are a list, or a dict from index to name, which may have gaps (timm 1.0.31, models/_hub.py `save_config_for_hf`).
timm writes the list as it is given, so a name may also be a number, or null. transformers writes id2label and label2id.
A description replaces the name that it describes. Names under other keys are not read, and a warning says so.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gmixer.errors import InputError

NAMES_KEYS = ("label_names", "labels", "id2label")  # timm's, timm's older one, and transformers'
DESCRIPTIONS_KEY = "label_descriptions"
INVERSE_KEY = "label2id"  # transformers', from name to index; it stands beside id2label

# Where training programs put class names too. gmixer does not read these.
UNREAD_KEYS = (
    INVERSE_KEY,  # it is read where id2label would be
    *("class_names", "classes", "class_labels", "names", "categories", "vocab"),
    *("class_to_idx", "class_to_index", "classes_to_idx", "idx_to_class", "index_to_class", "idx2label", "label2idx"),
)

_INDEX = re.compile(r"[0-9]{1,9}")


def class_names_in(config: Mapping[str, Any], num_classes: int, *, source: str) -> tuple[str, ...] | None:
    """One name per class from a pretrained_cfg, or from a config.json as one dict; None if it holds no names.

    source: the name of the config in an error or a warning. UserWarnings say what is left out.
    Raises InputError for names in another form, or for another number of classes.
    """
    key = next((key for key in NAMES_KEYS if _is_given(config.get(key))), None)
    described = config.get(DESCRIPTIONS_KEY)
    if key is None and (inverse := _inverted(config.get(INVERSE_KEY))):
        return names_of_classes(inverse, num_classes, what=INVERSE_KEY)
    if key is None:
        if not _is_given(described) or not _has_index_keys(described):
            if _is_given(described):
                _warn(f"{source}: {DESCRIPTIONS_KEY} describes names, and there are no label_names; left out")
            return None
        return names_of_classes(described, num_classes, what=DESCRIPTIONS_KEY)
    names = names_of_classes(_as_text(config[key]), num_classes, what=key)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        _warn(f"{source}: {key} names several classes {twice!r}; answers cannot tell them apart by name")
    return _with_descriptions(names, described, source) if _is_given(described) else names


def names_of_classes(names: object, num_classes: int, *, what: str) -> tuple[str, ...]:
    """One name per class from a list of names, or from a dict from index to name. A gap is named "class 17".

    what: the name of the argument or key in an error. Raises InputError.
    """
    if isinstance(names, Mapping):
        by_index = {_index(key, num_classes, what): name for key, name in names.items()}
        if len(by_index) < len(names):
            raise InputError(f"{what} names one class twice; wanted one name per index")
        _check_strings(by_index.values(), what)
        return tuple(by_index.get(index, f"class {index}") for index in range(num_classes))
    if not isinstance(names, Sequence) or isinstance(names, str | bytes):
        raise InputError(
            f"{what} is of type {type(names).__name__}; wanted a list of strings, or a dict from index to string"
        )
    _check_strings(names, what)
    if len(names) != num_classes:
        raise InputError(f"{what} holds {len(names):,} names for {num_classes:,} classes; wanted one per class")
    return tuple(names)


def are_of_this_head(pretrained_cfg: Mapping[str, Any], num_classes: int) -> bool:
    """Whether its names fit num_classes. A model with a new head keeps the pretrained_cfg of the earlier head."""
    names = next((pretrained_cfg[key] for key in NAMES_KEYS if _is_given(pretrained_cfg.get(key))), None)
    if isinstance(names, Mapping):  # it may have gaps
        return all(_INDEX.fullmatch(str(key)) and int(key) < num_classes for key in names)
    return not isinstance(names, list | tuple) or len(names) == num_classes


def same_names(one: object, other: object) -> bool:
    """Whether two values of a config hold the same names. One may be a list, and the other a dict by index."""
    return _by_index(one) == _by_index(other)


def unread_names(content: object, keys: Collection[str] = UNREAD_KEYS, depth: int = 3) -> str | None:
    """The first of these keys in nested dicts that holds class names."""
    if not isinstance(content, Mapping):
        return None
    for key, value in content.items():
        if key in keys and _are_names(value):
            return str(key)
    inner = (unread_names(value, keys, depth - 1) for value in content.values()) if depth > 1 else ()
    return next(filter(None, inner), None)


def _are_names(value: object) -> bool:
    """A list of strings, or a dict between strings and whole numbers."""
    if isinstance(value, Mapping):
        kinds = {type(part) for item in value.items() for part in item}
        return bool(kinds) and kinds <= {str, int} and str in kinds
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(name, str) for name in value)


def _by_index(names: object) -> object:
    if isinstance(names, list | tuple):
        return {str(index): name for index, name in enumerate(names)}
    return {str(key): name for key, name in names.items()} if isinstance(names, Mapping) else names


def _inverted(label2id: object) -> dict[int, str] | None:
    """From index to name. None unless every value is another index, which transformers may write as a string."""
    if not isinstance(label2id, Mapping) or not all(_INDEX.fullmatch(str(index)) for index in label2id.values()):
        return None
    by_index = {int(str(index)): str(name) for name, index in label2id.items()}
    return by_index if len(by_index) == len(label2id) else None


def _as_text(names: Any) -> Any:
    """Whole numbers are names too, such as the digits of MNIST. null is a gap."""
    if isinstance(names, Mapping):
        return {key: str(name) if type(name) is int else name for key, name in names.items() if name is not None}
    if not isinstance(names, list | tuple):
        return names
    texts = [f"class {index}" if name is None else name for index, name in enumerate(names)]
    return [str(name) if type(name) is int else name for name in texts]


def _is_given(value: object) -> bool:
    """None, "" and an empty list or dict hold no names."""
    return value is not None and not (isinstance(value, str | Mapping | Sequence) and len(value) == 0)


def _check_strings(names: Any, what: str) -> None:
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"{what} is not a list of strings: it holds {name!r}; wanted a name for each class")


def _index(key: object, num_classes: int, what: str) -> int:
    """JSON has only strings as keys."""
    if isinstance(key, str) and _INDEX.fullmatch(key):
        key = int(key)
    if not isinstance(key, int) or isinstance(key, bool):
        raise InputError(f"{what} has the key {key!r}; wanted a list of names, or a dict from index to name")
    if not 0 <= key < num_classes:
        raise InputError(f"{what} names class {key}; wanted an index from 0 to {num_classes - 1}")
    return key


def _has_index_keys(described: object) -> bool:
    return isinstance(described, Mapping) and all(_INDEX.fullmatch(str(key)) for key in described)


def _with_descriptions(names: tuple[str, ...], described: object, source: str) -> tuple[str, ...]:
    """described: from name, or from index, to description; or a list with one per class."""
    if not isinstance(described, Mapping) or (_has_index_keys(described) and not described.keys() & set(names)):
        given = names_of_classes(described, len(names), what=DESCRIPTIONS_KEY)
        keys = range(len(names)) if not isinstance(described, Mapping) else {int(str(key)) for key in described}
        return tuple(given[index] if index in keys else name for index, name in enumerate(names))
    _check_strings(described.values(), DESCRIPTIONS_KEY)
    if unknown := [str(key) for key in described if key not in set(names)]:
        some = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else "")
        _warn(f"{source}: {DESCRIPTIONS_KEY} describes {some}, but no class has such a name; left out")
    return tuple(described.get(name, name) for name in names)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=6)
