"""Recipes as TOML: the shipped ones by name, a user's own file, and the recipe.toml of a run."""

from __future__ import annotations

import json
import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from gmixer.checks import one_of
from gmixer.errors import InputError
from gmixer.sources.text_file import read_text
from gmixer.train.recipe import KINDS, Recipe, TrainRecipe, check_keys

_AT_THE_TOP = ("about", "method", "seed")  # keys outside of all tables


def recipe_names() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(file.name.removesuffix(".toml") for file in _shipped().iterdir() if file.name.endswith(".toml"))


def read_recipe(name: str | os.PathLike[str]) -> Recipe:
    """A shipped recipe by its name, or the recipe in a .toml file.

    Raises InputError: no such recipe, no valid TOML, an unknown key, a value that does not fit.
    """
    text, source = _text_of(name)
    try:
        values = _flat(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML: {error}") from error
    try:
        kind = KINDS[one_of("method", values.pop("method", TrainRecipe.method), KINDS)]
        check_keys(kind, values, source=source)
        recipe: Recipe = kind().changed(values)
    except InputError as error:
        raise error if str(error).startswith(source) else InputError(f"{source}: {error}") from error
    return recipe


def to_toml(recipe: Recipe) -> str:
    """Every setting, one a line, in tables; `read_recipe` returns the same recipe."""
    settings = {"about": recipe.about, "method": recipe.method, **recipe.settings()}
    lines, table = [], ""
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        if section != table:
            table = section
            lines += ["", f"[{table}]"]
        lines.append(f"{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def is_flat(toml: str) -> bool:
    """Whether it is a recipe from before recipes had tables. Raises ValueError for invalid TOML."""
    return any(key not in _AT_THE_TOP and not isinstance(value, dict) for key, value in tomllib.loads(toml).items())


def differences(recipe: Recipe, toml: str) -> list[str]:
    """Lines of another recipe's TOML that train in another way: ["optimizer.lr = 0.001", "seed = 3"].

    A key that the other recipe lacks has its default: it is from before that key existed. `about` may differ.
    Raises ValueError for invalid TOML, TypeError for values that no recipe has.
    """
    theirs = _flat(tomllib.loads(toml))
    method = theirs.pop("method", TrainRecipe.method)
    if method != recipe.method:
        return [f"method = {_toml(method)}"]
    ours = _flat(tomllib.loads(to_toml(recipe)))
    theirs = _flat(tomllib.loads(to_toml(type(recipe)()))) | theirs
    keys = sorted(key for key, value in theirs.items() if key not in ("about", "method") and ours.get(key) != value)
    return [f"{key} = {_toml(theirs[key])}" for key in keys]


def _flat(tables: dict[str, Any]) -> dict[str, Any]:
    """{"seed": 3, "model": {"name": "m"}} → {"seed": 3, "model.name": "m"}."""
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": entry for name, entry in value.items()}
        else:
            flat[key] = value
    return flat


def _text_of(name: str | os.PathLike[str]) -> tuple[str, str]:
    """The TOML, and what messages call it."""
    path = Path(name)
    if path.suffix == ".toml":
        return read_text(str(path)), str(path)
    if str(name) not in recipe_names():
        raise InputError(
            f"no recipe is called {str(name)!r}; there are {', '.join(recipe_names())}, or pass a .toml file"
        )
    return (_shipped() / f"{name}.toml").read_text(encoding="utf-8"), f"recipe {name}"


def _shipped() -> resources.abc.Traversable:
    return resources.files("gmixer.train") / "recipes"


def _toml(value: object) -> str:
    """JSON's numbers, lists and booleans are valid TOML; so are its strings, except for one character."""
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
