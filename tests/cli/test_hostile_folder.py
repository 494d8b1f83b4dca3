"""A bad image fails alone: a folder of 200 good and 200 hostile files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import gmixer
from gmixer.errors import IMAGE_ERROR_KINDS
from hostile_files import good, hostile
from pythons_words import assert_plain

GMIXER = [sys.executable, "-m", "gmixer"]
MAX_BYTES = 1_000_000_000

# Of the command and of all that it has started and waited for, whichever took the most.
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)))
sys.exit(status)
"""


@dataclass(frozen=True)
class Finished:
    status: int
    stdout: str
    stderr: str
    peak_bytes: int


@dataclass(frozen=True)
class Folders:
    clean: Path  # the good ones alone
    mixed: Path
    good: set[str]  # their names


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("hostile")
    clean, mixed = root / "clean", root / "mixed"
    clean.mkdir()
    mixed.mkdir()
    names = set()
    for i, ((good_name, good_data), (bad_name, bad_data)) in enumerate(zip(good(200), hostile(200), strict=True)):
        names.add(f"{i:03} a {good_name}")
        for folder in (clean, mixed):
            (folder / f"{i:03} a {good_name}").write_bytes(good_data)
        (mixed / f"{i:03} b {bad_name}").write_bytes(bad_data)
    return Folders(clean, mixed, names)


def run(*arguments: object, measured_in: Path) -> Finished:
    peak = measured_in / "peak"
    command = [sys.executable, "-c", MEASURE, str(peak), *GMIXER, *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return Finished(finished.returncode, finished.stdout, finished.stderr, int(peak.read_text()))


@pytest.fixture(scope="module")
def clean_rows(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    finished = run("classify", folders.clean, "--json", measured_in=tmp_path_factory.mktemp("clean"))
    assert (finished.status, finished.stderr) == (0, "")
    return by_name(finished.stdout)


@pytest.fixture(scope="module")
def clean_vectors(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("clean") / "out.npz"
    assert run("embed", folders.clean, "-o", output, measured_in=output.parent).status == 0
    return vectors(output)


def by_name(stdout: str) -> dict[str, object]:
    """A row's content by its file's name. Fails where a file has two."""
    rows = [json.loads(line) for line in stdout.splitlines()]
    found = {Path(row.pop("path")).name: row for row in rows}
    assert len(found) == len(rows)
    return found


def vectors(output: Path) -> dict[str, bytes]:
    with np.load(output) as stored:
        return {Path(p).name: v.tobytes() for p, v in zip(stored["paths"], stored["vectors"], strict=True)}


def test_the_folder_is_what_it_says(folders: Folders) -> None:
    assert len(folders.good) == 200 and len(list(folders.mixed.iterdir())) == 400


@pytest.mark.parametrize("isolate", [[], ["--isolate"]], ids=["in process", "isolated"])
def test_classify(isolate: list[str], folders: Folders, clean_rows: dict[str, object], tmp_path: Path) -> None:
    finished = run("classify", folders.mixed, "--json", *isolate, measured_in=tmp_path)
    rows = by_name(finished.stdout)
    assert len(rows) == 400 and set(rows) == {path.name for path in folders.mixed.iterdir()}
    assert {name: rows[name] for name in folders.good} == clean_rows
    failed = {name: row["error"] for name, row in rows.items() if "error" in row}
    assert finished.stderr == f"{len(failed)} of 400 could not be read\n"
    assert finished.status == 1
    assert finished.peak_bytes < MAX_BYTES
    assert not any(error["kind"] in ("timeout", "crashed") for error in failed.values())
    for error in failed.values():
        assert_plain(error["message"])
    kinds = Counter(error["kind"] for error in failed.values())
    assert set(kinds) == {"corrupt", "empty", "not_image", "too_large", "unsupported"} <= set(IMAGE_ERROR_KINDS)
    claims = [error["kind"] for name, error in failed.items() if " claim." in name]
    assert claims == ["too_large"] * 7
    assert kinds["corrupt"] > 80, "cut short, mostly"


@pytest.mark.parametrize("isolate", [[], ["--isolate"]], ids=["in process", "isolated"])
def test_embed(isolate: list[str], folders: Folders, clean_vectors: dict[str, bytes], tmp_path: Path) -> None:
    output = tmp_path / "out.npz"
    model = ("--model", "gmixer_8_64.distill_in1k")  # named, so there is nothing to say about which one was taken
    finished = run("embed", folders.mixed, *model, "-o", output, *isolate, measured_in=tmp_path)
    found = vectors(output)
    assert len(clean_vectors) == 200
    assert {name: found[name] for name in folders.good} == clean_vectors
    with np.load(output) as stored:
        failed = stored["failed_paths"].tolist()
        assert len(failed) == len(stored["failed_kinds"]) == len(stored["failed_messages"])
    assert len(found) + len(failed) == 400
    assert finished.stderr == (f"{output}: {len(found)} × 256 float32; {len(failed)} of 400 could not be read\n")
    assert finished.status == 1
    assert finished.peak_bytes < MAX_BYTES


@pytest.mark.parametrize("isolate", [[], ["--isolate"]], ids=["in process", "isolated"])
def test_embed_into_parts(
    isolate: list[str], folders: Folders, clean_vectors: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    model = ("--model", "gmixer_8_64.distill_in1k")
    command = ("embed", folders.mixed, *model, "-o", output, "--part-size", 64, *isolate)
    finished = run(*command, measured_in=tmp_path)
    rows = gmixer.bulk.open_stored(str(output)).table().to_pylist()
    assert [row["path"] for row in rows] == sorted(str(path) for path in folders.mixed.iterdir())
    found = {Path(row["path"]).name: row for row in rows}
    assert {n: np.float32(found[n]["vector"]).tobytes() for n in folders.good} == clean_vectors
    for row in rows:
        failed = row["error_kind"] is not None
        assert [row[name] is None for name in ("vector", "width", "height", "top_label", "predictions")] == [failed] * 5
        assert row["bytes"] == Path(row["path"]).stat().st_size
        if failed:
            assert row["error_kind"] in IMAGE_ERROR_KINDS
            assert_plain(row["error_message"])
        else:
            assert np.isfinite(row["vector"]).all()
    failed_count = sum(row["error_kind"] is not None for row in rows)
    assert finished.stderr.startswith(f"{output}: 400 rows in 7 parts; {failed_count} of 400 could not be read\n")
    assert finished.status == 1 and finished.peak_bytes < MAX_BYTES
