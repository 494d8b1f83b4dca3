"""gmixer convert, and the precision in what the other commands say of the folder that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gmixer
from command import call
from gmixer.isa import available_isas
from gmixer.options import NativePrecision

EMBEDDED = "gmixer_8_64.distill_in1k"


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    finished = call("convert", EMBEDDED, "-o", folder, "--precision", "int8")
    assert finished.returncode == 0 and finished.stdout == f"{folder}: 3.9 MiB in int8\n"
    return folder


def test_classify_answers_in_the_precision_of_the_folder(int8: Path, photos: list[Path]) -> None:
    of_folder, of_original = (
        [json.loads(line) for line in call("classify", *photos, "--json", *words).stdout.splitlines()]
        for words in (["-m", int8], ["-m", EMBEDDED, "--precision", "int8"])
    )
    assert {row["precision"] for row in of_folder} == {"int8"}
    assert [row["predictions"] for row in of_folder] == [row["predictions"] for row in of_original]
    in_fp32 = json.loads(call("classify", photos[0], "--json", "-m", EMBEDDED).stdout)
    assert in_fp32["precision"] == "fp32" and in_fp32["predictions"] != of_folder[0]["predictions"]


def test_embeddings_carry_the_precision(int8: Path, photos: list[Path], tmp_path: Path) -> None:
    for name, words in {"small": ["-m", int8], "fp32": ["-m", EMBEDDED]}.items():
        assert call("embed", *photos, "-o", tmp_path / f"{name}.npz", *words).returncode == 0
    small, fp32 = (np.load(tmp_path / f"{name}.npz") for name in ("small", "fp32"))
    assert (small["precision"], small["model"], fp32["precision"]) == ("int8", "small", "fp32")
    cosine = (small["vectors"] * fp32["vectors"]).sum(axis=1)
    cosine /= np.linalg.norm(small["vectors"], axis=1) * np.linalg.norm(fp32["vectors"], axis=1)
    assert (cosine > 0.999).all() and (small["vectors"] != fp32["vectors"]).any()


def test_info_says_the_precision_and_the_original(int8: Path) -> None:
    facts = dict(line.split("\t") for line in call("info", int8).stdout.splitlines())
    original = dict(line.split("\t") for line in call("info", EMBEDDED).stdout.splitlines())
    assert facts["precision"] == "int8, and no other" and original["precision"].startswith("fp32")
    assert facts["made from"] == f"{EMBEDDED}: gmixer_8_64.safetensors, SHA-256 {original['SHA-256']}"
    assert "made from" not in original and "(3.9 MiB, F16, I8)" in facts["weights"]
    precisions: tuple[NativePrecision, ...] = ("fp32", "bf16", "int8")
    for shown, precision in zip(facts["precisions"].split(", "), precisions, strict=True):
        predictor = gmixer.load(EMBEDDED, precision=precision, isa=available_isas(precision)[0])
        assert f"{shown.replace(' on ', ', ')}, " in repr(predictor.runtime), "int8, avx512 with vnni"


def test_info_compares_the_sha256(int8: Path) -> None:
    config = json.loads((int8 / "config.json").read_text())
    text = (int8 / "config.json").read_text()
    (int8 / "config.json").write_text(text.replace(config["conversion"]["sha256"], "0" * 64))
    shown = call("info", int8).stdout
    (int8 / "config.json").write_text(text)
    assert f"{config['conversion']['sha256']}, not as config.json says ({'0' * 64})" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([EMBEDDED, "-o", "x"], "Missing option '--precision'"),
        ([EMBEDDED, "--precision", "int8"], "Missing option '-o' / '--output'|Missing option '--output' / '-o'"),
        ([EMBEDDED, "-o", "x", "--precision", "fp32"], "Invalid value for '--precision'"),
        (["gmixer_9_64", "-o", "x", "--precision", "int8"], "no model 'gmixer_9_64'"),
        (
            [EMBEDDED, "-o", "x", "--precision", "int8", "--image-size", "65"],
            "image_px 65 is not a multiple of",
        ),
        ([EMBEDDED, "-o", "x", "--precision", "int8", "--name", "gmixer_8_64"], "leave it out"),
    ],
)
def test_what_cannot_run_says_why(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = call("convert", *words)
    assert finished.returncode == 2 and any(part in finished.stderr for part in message.split("|")), finished.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "words"),
    [("classify", ["x.png"]), ("embed", ["x.png", "-o", "x.npz"]), ("bench", ["--batch", "1"])],
)
def test_another_precision_is_refused_by_every_command(command: str, words: list[str], int8: Path) -> None:
    finished = call(command, *words, "-m", int8, "--precision", "fp32")
    assert finished.returncode == 2
    assert "precision is 'fp32' and small is stored in int8, which holds no other precision" in finished.stderr
    assert f"leave out precision (--precision), or load the original, {EMBEDDED}" in finished.stderr


def test_a_folder_of_another_size(int8: Path, tmp_path: Path, photos: list[Path]) -> None:
    finished = call("classify", photos[0], "-m", int8, "--image-size", 96)
    assert finished.returncode == 2 and "gmixer convert MODEL --image-size 96" in finished.stderr
    call("convert", EMBEDDED, "-o", tmp_path / "96", "--precision", "int8", "--image-size", 96)
    finished = call("classify", photos[0], "-m", tmp_path / "96", "--json")
    assert finished.returncode == 0 and json.loads(finished.stdout)["precision"] == "int8"
