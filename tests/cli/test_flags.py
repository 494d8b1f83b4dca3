"""flags.py: the shared flags of a command become objects."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gmixer.cli import app, flags
from gmixer.errors import InputError
from gmixer.options import Limits, Native, Reading, Torch, WeightsSource

READING = {"--orientation", "--isolate", "--fast-decode", "--max-pixels", "--max-bytes"}
WEIGHTS = {"--name", "--allow-pickle"}
RUNTIME = {"--runtime", "--device", "--precision", "--threads"}


def flags_of(command: str) -> set[str]:
    group: Any = typer.main.get_command(app)
    return {option for parameter in group.commands[command].params for option in parameter.opts}


@pytest.mark.parametrize("command", ["classify", "embed", "validate", "agreement"])
def test_commands_that_read_images_have_the_same_flags(command: str) -> None:
    assert READING | WEIGHTS | RUNTIME | {"--image-size"} <= flags_of(command)


def test_train_has_the_flags_of_reading_and_of_the_model_it_starts_from() -> None:
    assert flags_of("train") >= READING | WEIGHTS and not flags_of("train") & {"--runtime", "--precision"}


def test_info_has_the_flags_of_weights() -> None:
    assert flags_of("info") >= WEIGHTS and not flags_of("info") & (READING | RUNTIME)


def given(*words: str, **defaults: Any) -> dict[str, Any]:
    """What a command with all shared flags gets. Raises what its folds raise."""
    got: dict[str, Any] = {}
    small = typer.Typer()

    @small.command()
    @flags.shared_flags(**defaults)
    def command(
        *, images: list[str], weights: WeightsSource, reading: Reading, runtime: Native | Torch, k: int = 5
    ) -> None:
        got.update(images=images, weights=weights, reading=reading, runtime=runtime, k=k)

    result = CliRunner().invoke(small, ["a.png", *words])
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return got


def test_without_flags_the_objects_have_their_defaults() -> None:
    assert given() == {
        "images": ["a.png"],
        "weights": WeightsSource(fetch=True),
        "reading": Reading(),
        "runtime": Native(),
        "k": 5,
    }


def test_each_flag_reaches_its_object() -> None:
    got = given(*["b.png", "--orientation", "ignore", "--isolate", "--fast-decode"])
    assert got["images"] == ["a.png", "b.png"]
    assert got["reading"] == Reading(orientation="ignore", isolate=True, fast_decode=True)
    got = given(
        *["--max-pixels", "10", "--max-bytes", "20", "--name", "x", "--allow-pickle", "--threads", "3", "--k", "2"]
    )
    assert got["reading"] == Reading(limits=Limits(max_pixels=10, max_bytes=20))
    assert got["weights"] == WeightsSource(name="x", allow_pickle=True, fetch=True)
    assert (got["runtime"], got["k"]) == (Native(threads=3), 2)
    assert given("--runtime", "torch")["runtime"] == Torch()
    got = given(*["--runtime", "torch", "--device", "cuda:1", "--precision", "bf16"])
    assert got["runtime"] == Torch(device="cuda:1", precision="bf16")


def test_a_command_may_have_another_default() -> None:
    assert given(orientation=flags.Orientation.ignore)["reading"] == Reading(orientation="ignore")
    got = given("--orientation", "apply", orientation=flags.Orientation.ignore)
    assert got["reading"] == Reading(orientation="apply")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--device cuda",
            "device='cuda' is for runtime='torch', not 'native': leave it out, or pass runtime='torch'",
        ),
        ("--runtime torch --threads 2", "threads=2 is for runtime='native', not 'torch'"),
        ("--runtime torch --precision int3", "precision is 'int3'"),
    ],
)
def test_what_a_runtime_does_not_use_is_refused(words: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given(*words.split())


def test_an_unknown_default_is_a_mistake_of_the_command() -> None:
    with pytest.raises(TypeError, match="colour"):
        given(colour="red")


def test_help_states_the_true_limits() -> None:
    shown = " ".join(CliRunner().invoke(app, ["classify", "--help"], env={"COLUMNS": "300"}).output.split())
    assert f"Refuse images with more pixels. Default: {Limits().max_pixels:,}." in shown
    assert f"Refuse files with more bytes. Default: {Limits().max_bytes:,}." in shown


def test_a_command_keeps_its_name_and_help() -> None:
    @flags.shared_flags()
    def command(*, weights: WeightsSource) -> None:
        """What it does."""

    assert (command.__name__, command.__doc__) == ("command", "What it does.")
    assert list(inspect.signature(command).parameters) == ["name", "allow_pickle"]


def test_help_imports_no_library_code() -> None:
    program = "import sys; import gmixer.cli; print(sorted(m for m in sys.modules if m.startswith('gmixer.')))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    library = [name for name in eval(loaded) if not name.startswith("gmixer.cli")]
    assert set(library) <= {"gmixer.errors"}
