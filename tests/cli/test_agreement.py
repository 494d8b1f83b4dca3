"""gmixer agreement, as a person or a script meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gmixer
from command import call, run, run_in_terminal
from gmixer.agreement import Agreement, compare, summarise
from gmixer.cli.agreement import LISTED
from gmixer.options import NativePrecision
from gmixer.weights.convert import convert
from labelled import write
from mixers import write_outlier

MODEL = "gmixer_8_64.distill_in1k"
INT8 = ("-m", MODEL, "--precision", "int8")
N = 40


@pytest.fixture(scope="module")
def pieces(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small pieces of photos."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("pieces")
    images = [Image.open(path).convert("RGB") for path in photos]
    for i in range(N):
        image = images[i % len(images)]
        left, top = (int(rng.integers(0, length - 64)) for length in image.size)
        image.crop((left, top, left + 64, top + 64)).save(folder / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module")
def expected(pieces: Path, predictor: gmixer.Predictor) -> Agreement:
    paths = list(map(str, sorted(pieces.iterdir())))
    int8 = gmixer.load(MODEL, precision="int8")
    return summarise(zip(paths, compare(int8, predictor, paths), strict=True))


def test_a_pipe_gets_plain_lines(pieces: Path, expected: Agreement, predictor: gmixer.Predictor) -> None:
    finished = run("agreement", pieces, *INT8)
    lines = finished.stdout.splitlines()
    assert finished.returncode == 0 and finished.stderr == "" and "\x1b" not in finished.stdout
    assert lines[1] == f"against\t{MODEL} {predictor.runtime!r}" and lines[0].startswith(f"model\t{MODEL} <Engine")
    assert expected.answers is not None
    facts = dict(line.split("\t", 1) for line in lines)
    assert facts["images"] == str(N) and facts["same answer"] == str(expected.answers.same)
    assert facts["same clear answer"].startswith(f"{expected.answers.clear}; clear: leads by 5% or more in fp32")
    assert facts["embedding cosine"].startswith(f"{expected.cosines[1]:.6f} (1st percentile), ")


def test_json_is_one_object_with_both_sides(pieces: Path, expected: Agreement, predictor: gmixer.Predictor) -> None:
    finished = call("agreement", pieces, *INT8, "--against", "fp32", "--json")
    said = json.loads(finished.stdout)
    assert finished.returncode == 0 and (said.pop("model"), said.pop("precision")) == (MODEL, "int8")
    assert "int8" in said.pop("runtime")
    assert said.pop("against") == {"model": MODEL, "precision": "fp32", "runtime": repr(predictor.runtime)}
    assert said == json.loads(json.dumps(expected.to_dict()))


def test_changed_answers_are_listed_the_clearest_first(
    pieces: Path, predictor: gmixer.Predictor, tmp_path: Path
) -> None:
    outlier = write_outlier(predictor.checkpoint, tmp_path / "outlier.safetensors")
    arguments = ("agreement", pieces, "-m", outlier, "--precision", "int8")
    changed = json.loads(call(*arguments, "--json").stdout)["answers"]["changed"]
    lines = call(*arguments).stdout.splitlines()
    assert N >= len(changed) > LISTED
    at = lines.index(f"changed answers\t{len(changed)}; the clearest first")
    for line, row in zip(lines[at + 1 : at + 1 + LISTED], changed, strict=False):
        there, here = (f"{row[side]['label']} {row[side]['probability']:.2%}" for side in ("against", "answer"))
        assert line == f"  lead {row['margin']:.2%}\t{row['path']}: {there} → {here}"
    assert lines[at + 1 + LISTED :] == [f"… and {len(changed) - LISTED} more; --json lists all"]


def test_a_terminal_gets_the_same(pieces: Path, expected: Agreement) -> None:
    shown, status = run_in_terminal("agreement", pieces, *INT8, columns=160)
    assert expected.answers is not None
    assert status == 0 and f"same answer        {expected.answers.same}" in shown and "files" in shown


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_a_converted_folder_is_compared_with_nothing_but_another_model(
    precision: NativePrecision, pieces: Path, tmp_path: Path
) -> None:
    folder = convert(MODEL, tmp_path / precision, precision)
    refused = call("agreement", pieces, "-m", folder, *(("--runtime", "torch") if precision == "bf16" else ()))
    assert refused.returncode == 2 and f"pass --against-model {MODEL}" in refused.stderr


def test_a_converted_folder_gives_what_the_precision_gives(pieces: Path, expected: Agreement, tmp_path: Path) -> None:
    folder = convert(MODEL, tmp_path / "int8", "int8")
    said = json.loads(call("agreement", pieces, "-m", folder, "--against-model", MODEL, "--json").stdout)
    assert (said["model"], said["precision"]) == ("int8", "int8")
    assert (said["against"]["model"], said["against"]["precision"]) == (MODEL, "fp32")
    of = json.loads(json.dumps(expected.to_dict()))
    assert said["cosine"] == of["cosine"] and said["answers"] == of["answers"]


def test_bad_images_are_named_and_left_out(pieces: Path, expected: Agreement, tmp_path: Path) -> None:
    bad = write(tmp_path, {f"bad{i:02}.png": b"\x89PNG\r\n\x1a\n" for i in range(LISTED + 2)})
    finished = call("agreement", pieces, bad, *INT8)
    assert expected.answers is not None
    assert finished.returncode == 1 and f"same answer\t{expected.answers.same}" in finished.stdout
    for i in range(LISTED):
        assert finished.stdout.count(f"not counted, cannot be read: {bad}/bad{i:02}.png") == 1
    assert f"bad{LISTED}.png" not in finished.stdout and "and 2 more; --json lists all" in finished.stdout
    assert f"{LISTED + 2} of {N + LISTED + 2} could not be read" in finished.stderr
    said = json.loads(call("agreement", pieces, bad, *INT8, "--json").stdout)
    assert said["n"] == N and len(said["unreadable"]) == LISTED + 2


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_where_no_image_can_be_read_nothing_is_compared(options: list[str], tmp_path: Path) -> None:
    finished = call("agreement", write(tmp_path, {"zero.jpg": b""}), *INT8, *options)
    assert finished.returncode == 2 and finished.stdout == ""
    assert "no image can be read" in finished.stderr and "zero.jpg: is empty" in finished.stderr


def test_a_new_head_has_no_clear_answer_and_three_classes_no_top_five(pieces: Path, tmp_path: Path) -> None:
    model = gmixer.create_model("gmixer_8_64", num_classes=3)  # its logits are all 0
    gmixer.save_model(model, tmp_path / "new", class_names=["a", "b", "c"])
    shown = call("agreement", pieces, "-m", tmp_path / "new", "--precision", "int8").stdout
    assert "same clear answer\tno image has one; clear: leads by 5% or more in fp32" in shown
    assert "same answer\t100.00%" in shown and "top-5" not in shown


def test_a_model_without_classes_shows_its_embeddings(pieces: Path, tmp_path: Path) -> None:
    gmixer.save_model(gmixer.create_model("gmixer_8_64", num_classes=0), tmp_path / "backbone")
    finished = call("agreement", pieces, "-m", tmp_path / "backbone", "--precision", "int8")
    assert finished.returncode == 0 and "embedding cosine\t0.99" in finished.stdout
    assert "answer" not in finished.stdout


def test_notes_are_told(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (9, 9, 9, 0)).save(tmp_path / "hidden.png")
    assert "1 image has a note" in call("agreement", tmp_path, *INT8).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", MODEL], "--against is fp32 too"),
        (["-m", MODEL, "--precision", "int8", "--against", "int8"], "--against is int8 too"),
        (["-m", MODEL, "--precision", "int8", "--against", "fp16"], "precision is 'fp16'"),
        (["-m", MODEL, "--precision", "int8", "--against-model", "nowhere"], "nowhere"),
        (["-m", MODEL, "--against-model", MODEL], f"--against-model {MODEL} is {MODEL} itself, in fp32 too"),
        ([*INT8, "--plot", "plot.txt"], "--plot plot.txt"),
    ],
)
def test_what_cannot_run_says_why(arguments: list[str], words: str, pieces: Path) -> None:
    finished = call("agreement", pieces, *arguments)
    assert finished.returncode == 2 and finished.stdout == ""
    assert words in finished.stderr and len(finished.stderr.splitlines()) == 1


def test_models_of_another_size_are_refused(pieces: Path, tmp_path: Path) -> None:
    convert(MODEL, tmp_path / "large", "int8", image_px=96)
    finished = call("agreement", pieces, "-m", tmp_path / "large", "--against-model", MODEL)
    assert finished.returncode == 2 and "have different networks" in finished.stderr


def test_a_plot_is_drawn(pieces: Path, tmp_path: Path) -> None:
    finished = call("agreement", pieces, *INT8, "--json", "--plot", tmp_path / "plot.png")
    assert finished.returncode == 0
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > 2 * image.height
