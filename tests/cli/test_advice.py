"""What a message advises exists: the flag in every command that can print it, the argument in Python."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

import gmixer
from gmixer.cli import app
from gmixer.models.mixer import Mixer
from gmixer.weights.foreign_files import why_foreign

PACKAGE = Path(gmixer.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
OTHER_PROGRAMS = {"--force-reinstall", "--only-binary", "--upgrade", "--sparse"}  # of pip and tar

# Which commands can print a message of a room. Rooms that are not here name no flag.
READ_IMAGES = {"classify", "embed", "validate", "agreement", "train", "search"}
WITH_RUNTIME = {"classify", "embed", "validate", "agreement", "search"}
PRINTED_BY = {
    **dict.fromkeys(("sources", "images", "isolation", "data"), READ_IMAGES),
    "weights": {"classify", "embed", "validate", "agreement", "train", "info", "bench", "search"},
    **dict.fromkeys(("options", "isa", "runtimes"), WITH_RUNTIME),
    "bulk": {"embed"},
    "doctor": {"doctor"},
    "train": {"train"},
    "datasets": {"train", "validate"},
    "bench": {"bench", "agreement"},
    "evaluate": {"validate"},
    "search": {"search"},
}
# Flags about a run's own data, which only validate measures, and about object storage, which only embed reads.
ONLY = {"--all": {"validate"}, "--storage-options": {"embed"}}
OF_ANY_COMMAND = {"doctor": {"classify", "embed"}}  # a remedy for the commands that a check is about

# Arguments of gmixer.load that commands have as flags.
FLAG_OF = {
    "name": "--name",
    "allow_pickle": "--allow-pickle",
    "runtime": "--runtime",
    "threads": "--threads",
    "Limits.max_pixels": "--max-pixels",
    "Limits.max_bytes": "--max-bytes",
}


def flags_of(command: str) -> set[str]:
    group: Any = typer.main.get_command(app)
    own = {option for parameter in group.commands[command].params for option in parameter.opts}
    return own | {"--help", "--version"}


def texts(path: Path) -> Iterator[str]:
    """Every string of a module that is no docstring; a formatted string whole, with {} for its values."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@functools.cache
def messages() -> list[tuple[str, str]]:
    """(room, message) outside of the commands."""
    paths = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "cli"]
    found = [(path.relative_to(PACKAGE).with_suffix("").parts[0], text) for path in paths for text in texts(path)]
    return [(room, text) for room, text in found if " " in text]  # a single word is another program's argument


def test_every_command_has_the_flags_that_its_messages_name() -> None:
    checked = 0
    for room, message in messages():
        for flag in set(FLAG.findall(message)) - OTHER_PROGRAMS:
            if flag == "--debug":
                continue  # of every command
            named = set(re.findall(rf"\bgmixer (\w+)[^`]* {flag}", message))
            assert named or room in PRINTED_BY, f"{room}: {message!r}: say in PRINTED_BY which commands print it"
            for command in named or ONLY.get(flag) or OF_ANY_COMMAND.get(room) or PRINTED_BY[room]:
                checked += 1
                assert flag in flags_of(command), f"{command} can print {message!r}, and has no {flag}"
    assert checked > 10


def test_a_command_names_only_its_own_flags() -> None:
    for path in (PACKAGE / "cli").glob("*.py"):
        group: Any = typer.main.get_command(app)
        if path.stem not in group.commands:
            continue
        for text in texts(path):
            for flag in set(FLAG.findall(text)) - OTHER_PROGRAMS:
                assert flag in flags_of(path.stem), f"{path.stem} names {flag} in {text!r}"


def test_advice_is_for_python_and_for_the_command_line() -> None:
    """In rooms that both reach, a message with an argument names its flag, and the other way round."""
    checked = 0
    for room, message in messages():
        if room not in ("sources", "images", "isolation", "data", "weights", "options", "isa", "runtimes"):
            continue
        for argument, flag in FLAG_OF.items():
            advised = re.search(rf"(pass|by|with|set by)\b[^;:]*(?<![\w.]){re.escape(argument)}\b(=|$|\W)", message)
            if flag in message or (advised and (f"{argument}=" in message or argument.startswith("Limits"))):
                checked += 1
                assert flag in message and re.search(rf"{re.escape(argument)}\b", message), f"{room}: {message!r}"
    assert checked > 5


def test_every_argument_that_is_advised_exists() -> None:
    calls = (
        *(gmixer.load, gmixer.create_model, gmixer.save_model, gmixer.push_to_hub, gmixer.Engine.from_torch),
        *(gmixer.data.create_transform, gmixer.data.resolve_model_data_config, Mixer.__init__),
    )
    known = {name for call in calls for name in inspect.signature(call).parameters} | {"on_error", "split", "weights"}
    for room, message in messages():
        for argument in re.findall(r"\b(?:pass|leave out|choose another by) ([a-z_]+)=", message):
            assert argument in known, f"{room}: {message!r} advises {argument}="


@pytest.mark.parametrize(
    "command", ["classify x.jpg -m", "embed x.jpg -o x.npz -m", "validate", "agreement x.jpg -m", "info", "bench -m"]
)
def test_what_a_pickle_advises_is_taken(command: str, tmp_path: Path) -> None:
    """Each command that takes a model: the advice, followed, leads to another answer than the advice."""
    torch.save({"a": torch.zeros(1)}, tmp_path / "x.pth")
    words = [*command.split(), str(tmp_path / "x.pth"), *(["data"] if command == "validate" else [])]
    refused = str(CliRunner().invoke(app, words).exception)
    (flag,) = FLAG.findall(refused)
    assert flag == "--allow-pickle" and "allow_pickle=True" in refused
    assert "holds no MLP-Mixer" in str(CliRunner().invoke(app, [*words, flag]).exception)


def test_what_an_ambiguous_file_advises_is_taken(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from gmixer.catalogue import VARIANTS

    shapes = VARIANTS["mixer_b16_224"].model.tensor_shapes()
    save_file(
        {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()}, tmp_path / "b.safetensors"
    )
    shown = CliRunner().invoke(app, ["info", str(tmp_path / "b.safetensors")])
    assert shown.exit_code == 0 and "Choose another by name= (on the command line --name)" in shown.stderr
    assert "UserWarning" not in shown.stderr and "find.py" not in shown.stderr, "a plain line"
    told = CliRunner().invoke(
        app, ["info", str(tmp_path / "b.safetensors"), "--name", "mixer_b16_224.miil_in21k_ft_in1k"]
    )
    assert told.exit_code == 0 and told.stderr == ""


def test_a_name_for_a_model_that_needs_none_is_refused() -> None:
    for words in (
        "classify x.jpg -m gmixer_8_64 --name gmixer_8_64",
        "classify x.jpg --name gmixer_8_64",
        "info gmixer_8_64 --name gmixer_24_224",
        "bench -m gmixer_8_64 --name gmixer_8_64",
        "validate gmixer_8_64 data --name gmixer_8_64",
    ):
        said = str(CliRunner().invoke(app, words.split()).exception)
        assert re.search(r"name='\w+' \(on the command line --name\) says which model a bare .* leave it out", said)


def test_no_file_is_foreign_without_a_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert why_foreign(tmp_path / "empty") is None and why_foreign(tmp_path / "absent") is None
