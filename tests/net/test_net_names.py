"""Public names, how they are called, and the files of the wheel are as recorded. New ones are welcome."""

from __future__ import annotations

from typing import Any

import pytest

from net_probes import names_in_python, names_in_text, pages, public_names, resolves, wheel_files
from record import recorded

RECORD, WHEEL = recorded("names"), recorded("wheel")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return public_names()


@pytest.mark.parametrize("part", ["gmixer", "gmixer.data", "ImageError"])
def test_no_name_is_lost(part: str, found: dict[str, Any]) -> None:
    assert set(RECORD[part]) <= set(found[part])


def test_public_functions_are_called_as_before(found: dict[str, Any]) -> None:
    changed = []
    for name, parameters in RECORD["calls"].items():
        now = found["calls"].get(name, {})
        changed += [
            f"{name}({parameter}): {how!r} is now {now.get(parameter)!r}"
            for parameter, how in parameters.items()
            if now.get(parameter) != how
        ]
        by_position = [parameter for parameter, how in parameters.items() if how.startswith("positional")]
        if list(now)[: len(by_position)] != by_position:
            changed.append(f"{name}: the parameters by position are now {list(now)}")
    assert not changed, "\n".join(changed)


def test_classes_have_what_they_had(found: dict[str, Any]) -> None:
    lost = {name: set(own) - set(found["classes"][name]) for name, own in RECORD["classes"].items()}
    assert not {name: own for name, own in lost.items() if own}


def test_errors_are_caught_as_before(found: dict[str, Any]) -> None:
    for name, bases in RECORD["errors"].items():
        assert set(bases) <= set(found["errors"][name]), name


def test_what_the_documentation_names_is_there() -> None:
    assert [name for name in RECORD["documented"] if not resolves(name)] == []
    for path in pages():
        page = path.read_text()
        named = names_in_python(page) | names_in_text(page)
        assert [name for name in sorted(named) if not resolves(name)] == [], path.name


@pytest.mark.parametrize("part", ["data", "licenses", "packages", "native modules", "entry points"])
def test_the_wheel_has_the_recorded_files(part: str) -> None:
    """Of the installed wheel: its list of files is the one that the build wrote."""
    now, then = wheel_files()[part], WHEEL[part]
    if part == "data":
        lost = {name for name in then if name not in now}
        assert not lost
        weights = {name: size for name, size in then.items() if name.endswith((".safetensors", ".tsv"))}
        assert {name: now[name] for name in weights} == weights
        assert all(now[name] or not size for name, size in then.items()), "a file is empty"
    elif part == "packages":
        assert now == then
    else:
        assert set(then) <= set(now)
