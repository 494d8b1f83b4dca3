"""gmixer validate, as a person or a script meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gmixer
from command import call, run, run_in_terminal
from gmixer.cli.class_table import EXTREMES
from gmixer.cli.validate import LISTED
from gmixer.evaluate.validate import validate
from gmixer.labels import imagenet_1k
from labelled import folders, write

MODEL = "gmixer_8_64.distill_in1k"
SYNSETS = [imagenet_1k()[i].synset for i in range(2 * EXTREMES + 2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders(tmp_path / "data", dict.fromkeys(SYNSETS, 1))


def test_a_pipe_gets_plain_lines_that_say_what_was_measured_and_how(folder: Path, predictor: gmixer.Predictor) -> None:
    finished = run("validate", MODEL, folder)
    lines = finished.stdout.splitlines()
    expected = validate(predictor, folder)
    assert finished.returncode == 0 and finished.stderr == "" and "\x1b" not in finished.stdout
    assert lines[0] == f"{MODEL} on {folder}"
    assert "EXIF orientation ignored; alpha over white; bicubic to 72 px" in lines[1] and "pillow" in lines[1]
    assert f"top-1  {expected.top1}" in lines and f"top-5  {expected.top5}" in lines
    assert sum(" of 1 " in line for line in lines) == 2 * EXTREMES and "  …" in lines


def test_per_class_shows_all(folder: Path) -> None:
    lines = call("validate", MODEL, folder, "--per-class").stdout.splitlines()
    shown = [line for line in lines if " of 1 " in line]
    assert [line.split("  ")[-1].strip() for line in shown] == [label.name for label in imagenet_1k()[: len(SYNSETS)]]


def test_json_is_one_object_and_the_answers_lie_beside(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    finished = call("validate", MODEL, folder, "--json", "-o", out)
    said = json.loads(finished.stdout)
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert finished.returncode == 0 and said["model"] == MODEL and said["n"] == len(answers) == len(SYNSETS)
    assert said["top1"] == sum(row["right"] for row in answers) / len(answers)


def test_images_that_cannot_be_read_are_each_named_once_and_the_status_tells(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    write(folder, {f"{SYNSETS[0]}/bad{i:02}.png": b"\x89PNG\r\n\x1a\n" for i in range(LISTED + 2)})
    finished = call("validate", MODEL, folder, "-o", out)
    assert finished.returncode == 1
    for i in range(LISTED):
        assert finished.stdout.count(f"bad{i:02}.png") == 1
    assert f"bad{LISTED}.png" not in finished.stdout and "and 2 more" in finished.stdout
    assert out.read_text().count("bad") == LISTED + 2


def test_files_called_like_images_are_named_and_the_status_tells(folder: Path) -> None:
    write(folder, {f"{SYNSETS[0]}/zero.jpg": b"", f"{SYNSETS[1]}/page.JPG": b"<html>", f"{SYNSETS[2]}/notes.txt": b"x"})
    finished = call("validate", MODEL, folder)
    assert finished.returncode == 1 and f"n = {len(SYNSETS)})" in finished.stdout
    for line in (
        f"not counted, cannot be read: {folder}/{SYNSETS[0]}/zero.jpg: is empty",
        f"not counted, cannot be read: {folder}/{SYNSETS[1]}/page.JPG: starts like HTML",
        f"1 file is no image and left out ({SYNSETS[2]}/notes.txt)",
    ):
        assert line in finished.stdout


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_where_no_image_can_be_read_nothing_is_measured(options: list[str], tmp_path: Path) -> None:
    data = write(tmp_path, {f"{synset}/{i}.jpg": b"" for synset in SYNSETS[:2] for i in range(3)})
    finished = call("validate", MODEL, data, *options)
    assert finished.returncode == 2 and finished.stdout == ""
    assert "has no image that can be read" in finished.stderr and "and 3 more" in finished.stderr
    assert finished.stderr.count("is empty") == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "answers.txt"], "ends in .txt"),
        (["--set", "a"], "ImageNet-A"),
        (["--set", "real"], "go together"),
        (["--precision", "fp16"], "runtime='torch'"),
        (["--against", "fp32"], "--against is fp32 too"),
        (["--against", "fp8"], "precision is 'fp8'"),
    ],
)
def test_what_cannot_run_says_why(arguments: list[str], words: str, folder: Path) -> None:
    finished = call("validate", MODEL, folder, *arguments)
    assert finished.returncode == 2 and finished.stdout == ""
    assert words in finished.stderr and len(finished.stderr.splitlines()) == 1


def test_against_another_precision_the_difference_is_printed(folder: Path, predictor: gmixer.Predictor) -> None:
    lines = call("validate", MODEL, folder, "--precision", "int8", "--against", "fp32").stdout.splitlines()
    expected = validate(gmixer.load(MODEL, precision="int8", orientation="ignore"), folder, against=predictor).against
    assert expected is not None
    at = lines.index(f"against {MODEL} {predictor.runtime!r}")
    assert at == len(lines) - 4, "after the classes, which are those of MODEL"
    assert lines[at + 1 : at + 3] == [f"  top-1  {expected.top1}", f"  difference  {expected}"]
    assert lines[at + 3] == (
        f"  images that are right only here: {expected.only_first}; only there: {expected.only_against}"
    )


def test_classes_that_the_model_has_not_are_refused(tmp_path: Path) -> None:
    finished = call("validate", MODEL, folders(tmp_path, {"alpha": 1, "omega": 1}))
    assert finished.returncode == 2 and "alpha" in finished.stderr and "wanted" in finished.stderr


def test_a_terminal_gets_the_same(folder: Path) -> None:
    shown, status = run_in_terminal("validate", MODEL, folder, columns=200)
    assert status == 0 and f"{MODEL} on {folder}" in shown and "top-5  " in shown
