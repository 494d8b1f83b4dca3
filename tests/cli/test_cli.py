"""The command as a person or a script meets it: real processes, pipes and terminals."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from typer.testing import CliRunner

import gmixer
from command import GMIXER, call, run, run_in_terminal
from gmixer.catalogue import VARIANTS
from gmixer.cli import app
from gmixer.prediction import answer as prediction_answer
from gmixer.weights.find import EMBEDDED_WEIGHTS
from mixers import drawn_mixer

COMMANDS = ("bench", "classify", "doctor", "embed", "info", "models", "pull", "train", "validate")


@pytest.fixture
def folder(tmp_path: Path, photos: list[Path]) -> Path:
    """Two images, one of them in a subfolder; a hidden image; two files that are no images; one that is cut short."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    with Image.open(photos[0]) as image:
        image.convert("RGB").save(tmp_path / "b.jpg")
        image.convert("RGB").save(tmp_path / "deep" / "er" / "a.webp", lossless=True)
        image.save(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "deep" / "fake.jpg").write_text("<html>nor this")
    (tmp_path / "z.png").write_bytes(photos[0].read_bytes()[:5000])
    return tmp_path


def test_help_has_no_line_breaks_of_the_source() -> None:
    helps = {command.callback.__name__: command.help or "" for command in app.registered_commands if command.callback}
    assert set(COMMANDS) < set(helps)
    assert not {name for name, text in helps.items() if "\n" in text.replace("\n\n", "")}
    assert all(helps.values())


def test_a_pipe_gets_one_plain_line_for_each_image(photos: list[Path]) -> None:
    finished = run("classify", *photos)
    lines = finished.stdout.splitlines()
    assert finished.returncode == 0
    assert [line.split("\t")[0] for line in lines] == [str(path) for path in photos]
    assert all(len(line.split("\t")) == 6 for line in lines)
    assert "\x1b" not in finished.stdout
    assert len(finished.stderr.splitlines()) == 1, "one line says which model answers"
    top1 = VARIANTS["gmixer_8_64"].pretrained["distill_in1k"].top1
    assert f"gmixer_8_64.distill_in1k answers ({top1:.0f} %" in finished.stderr and "78 %" in finished.stderr


def test_json_is_the_documented_object(folder: Path) -> None:
    finished = call("classify", folder, folder / "notes.txt", "--json", "-k", 2)
    rows = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [row["path"] for row in rows] == [
        f"{folder}/b.jpg",
        f"{folder}/deep/er/a.webp",
        f"{folder}/deep/fake.jpg",
        f"{folder}/z.png",
        f"{folder}/notes.txt",
    ]
    good = rows[0]
    assert list(good) == ["path", "model", "precision", "predictions"] and len(good["predictions"]) == 2
    assert list(good["predictions"][0]) == ["index", "synset", "label", "probability"]
    assert list(rows[2]) == ["path", "error"] and rows[3]["error"]["kind"] == "corrupt"
    assert rows[2]["error"]["kind"] == "not_image" and "starts like HTML" in rows[2]["error"]["message"]
    assert rows[4]["error"]["kind"] == "not_image", "a named file always gets a row"
    assert finished.returncode == 1
    assert finished.stderr == f"3 of 5 could not be read; 1 file is no image and left out ({folder}/notes.txt)\n"


def test_rows_equal_the_librarys_answers(photos: list[Path], predictor: gmixer.Predictor) -> None:
    rows = [json.loads(line) for line in call("classify", *photos, "--json").stdout.splitlines()]
    assert rows == [{"path": str(path)} | predictor.classify(path).to_dict() for path in photos]


def test_csv_has_a_header_and_one_row_for_each_image(folder: Path) -> None:
    finished = call("classify", folder, "--csv", "-k", 3)
    rows = list(csv.DictReader(io.StringIO(finished.stdout)))
    assert [Path(row["path"]).name for row in rows] == ["b.jpg", "a.webp", "fake.jpg", "z.png"]
    assert float(rows[0]["probability_1"]) >= float(rows[0]["probability_3"]) > 0
    assert [row["error_kind"] for row in rows[2:]] == ["not_image", "corrupt"] and rows[3]["label_1"] == ""


def test_threshold_keeps_the_row(photos: list[Path]) -> None:
    rows = [json.loads(x) for x in call("classify", *photos, "--json", "--threshold", 0.4).stdout.splitlines()]
    assert len(rows) == len(photos)
    assert all(p["probability"] >= 0.4 for row in rows for p in row["predictions"])
    assert any(not row["predictions"] for row in rows) and any(row["predictions"] for row in rows)


def test_rollup_in_every_form(folder: Path, photos: list[Path], predictor: gmixer.Predictor) -> None:
    paths = (*photos, folder / "z.png")
    rows = [json.loads(line) for line in call("classify", *paths, "--json", "--rollup").stdout.splitlines()]
    assert list(rows[0]) == ["path", "model", "precision", "predictions", "rollup"]
    assert list(rows[-1]) == ["path", "error"]
    assert list(rows[0]["rollup"][0]) == ["label", "probability"]
    wanted = [predictor.classify(path, rollup_at=0.5) for path in photos]
    assert rows[:-1] == [{"path": str(path)} | want.to_dict() for path, want in zip(photos, wanted, strict=True)]

    lines = [line.split("\t") for line in call("classify", *paths, "--rollup").stdout.splitlines()]
    cells = list(csv.DictReader(io.StringIO(call("classify", *paths, "--csv", "--rollup", "-k", 2).stdout)))
    assert lines[-1][1] == "error" and cells[-1]["rollup"] == ""
    for line, row, want in zip(lines, cells, wanted, strict=False):
        assert line[6:] == ["rollup", *(f"{a.probability:.4f} {a.label}" for a in want.rollup)]
        assert row["rollup"] == "; ".join(f"{a.probability:.6f} {a.label}" for a in want.rollup)
        assert list(row)[-3:] == ["probability_2", "rollup", "note"]


def test_rollup_at_means_rollup_and_not_the_classes_own_threshold(photos: list[Path]) -> None:
    plain, low, high = (
        json.loads(call("classify", photos[0], "--json", "--threshold", 0.9, *options).stdout)
        for options in ((), ("--rollup-at", 0.1), ("--rollup", "--rollup-at", 1))
    )
    assert "rollup" not in plain and plain["predictions"] == low["predictions"] == []
    assert len(low["rollup"]) > len(high["rollup"]) and all(a["probability"] >= 0.1 for a in low["rollup"])
    assert high["rollup"] == [{"label": "entity", "probability": 1.0}]


def test_rollup_is_refused_before_anything_is_written(photos: list[Path], tmp_path: Path) -> None:
    shapes = replace(VARIANTS["gmixer_8_64"].model, num_classes=7).tensor_shapes()
    save_file({name: np.zeros(shape, np.float16) for name, shape in shapes.items()}, tmp_path / "seven.safetensors")
    for options, message in [
        (("--rollup-at", 0), "rollup_at is 0.0; wanted a probability above 0, at most 1"),
        (("--rollup-at", "nan"), "rollup"),
        (("--rollup-at", 1.5), "--rollup-at"),
        (("--rollup", "--model", tmp_path / "seven.safetensors"), "class 0, 'class 0', is not one of ImageNet's"),
    ]:
        finished = call("classify", photos[0], "--csv", *options)
        assert finished.returncode == 2 and finished.stdout == "" and message in finished.stderr, options


def test_stdin(photos: list[Path]) -> None:
    finished = run("classify", "-", "--json", stdin=photos[0].read_bytes())
    from_file = json.loads(call("classify", photos[0], "--json").stdout)
    assert json.loads(finished.stdout) == from_file | {"path": "-"}
    empty = call("classify", "-", "--json", stdin=b"")
    assert json.loads(empty.stdout) == {
        "path": "-",
        "error": {"kind": "empty", "message": json.loads(empty.stdout)["error"]["message"]},
    }
    assert empty.returncode == 1


def test_a_file_cannot_command_the_terminal(tmp_path: Path) -> None:
    """An error quotes the names of unknown tensors, which may be anything."""
    shapes = VARIANTS["gmixer_8_64"].model.tensor_shapes() | {"\x1b]0;mine\x07": (1,)}
    save_file({name: np.zeros(shape, np.float16) for name, shape in shapes.items()}, tmp_path / "x.safetensors")
    said = run("info", tmp_path / "x.safetensors").stderr
    assert "holds the unknown \\x1b]0;mine\\x07;" in said and "\x1b" not in said


def test_exit_codes_and_errors_without_traceback(photos: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    in_processes = [("classify",), ("classify", photos[0], "--model", tmp_path), ("models", "resnet*")]
    assert run("classify", photos[0]).returncode == 0
    assert run("classify", "absent.jpg").returncode == 1
    for arguments, message in [
        (("classify",), "Missing argument"),
        (("classify", photos[0], "-k", 0), "-k"),
        (("classify", photos[0], "--json", "--csv"), "take one of --json and --csv"),
        (("classify", photos[0], "--threads", 0), "--threads"),
        (("classify", photos[0], "--orientation", "left"), "--orientation"),
        (("classify", photos[0], "--runtime", "onnx"), "--runtime"),
        (("classify", photos[0], "--max-pixels", 0), "--max-pixels"),
        (("classify", photos[0], "--precision", "fp16"), "pass runtime='torch'"),
        (("embed", photos[0], "-o", tmp_path / "x.npz", "--device", "cuda"), "device='cuda' is for runtime='torch'"),
        (("classify", photos[0], "--runtime", "torch", "--threads", 2), "threads=2 is for runtime='native'"),
        (("classify", photos[0], "--model", "gmixer_24"), "no model 'gmixer_24'; the closest are"),
        (("classify", photos[0], "--model", "gmixer_24_224"), "model.safetensors is not on this machine"),
        (("classify", photos[0], "--model", tmp_path), "holds no config.json"),
        (("embed", photos[0], "-o", tmp_path / "x.csv"), "x.csv ends in .csv; wanted .npz"),
        (("embed", photos[0], "-o", tmp_path / "no" / "x.npz"), "cannot be written"),
        (("embed", photos[0], "-o", folder), "is a folder; wanted the name of a file"),
        (("models", "resnet*"), "no model matches 'resnet*'"),
        (("info", "resnet50"), "no model 'resnet50'"),
    ]:
        finished = (run if arguments in in_processes else call)(*arguments)
        assert finished.returncode == 2, arguments
        assert message in finished.stderr and finished.stdout == "", arguments
    assert "GMIXER_ISA='mmx' is not available on this CPU" in run("classify", photos[0], GMIXER_ISA="mmx").stderr
    assert "Traceback" in run("classify", photos[0], "--model", "gmixer_24", "--debug").stderr


def test_orientation(photos: list[Path], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open(photos[0]) as image:
        image.convert("RGB").transpose(Image.Transpose.ROTATE_180).save(tmp_path / "turned.png", exif=exif)
        image.convert("RGB").save(tmp_path / "upright.png")

    def predictions(*arguments: object) -> object:
        return json.loads(call("classify", *arguments, "--json").stdout)["predictions"]

    upright = predictions(tmp_path / "upright.png")
    assert predictions(tmp_path / "turned.png") == upright
    assert predictions(tmp_path / "turned.png", "--orientation", "ignore") != upright


@pytest.mark.parametrize("columns", [36, 60, 100, 200])
def test_terminal_shows_bars_within_its_width(columns: int, photos: list[Path]) -> None:
    shown, status = run_in_terminal("classify", *photos, "absent.jpg", "-k", 3, columns=columns)
    # The paths themselves and the line on the model may be longer, and wrap.
    bars = [line for line in shown.splitlines() if re.match(r" *\d+\.\d% ", line)]
    assert len(bars) == 3 * len(photos)
    assert max(len(line.rstrip()) for line in bars) <= min(columns, 100), shown
    assert all("█" in line or re.search("[▏▎▍▌▋▊▉]", line) for line in bars)
    assert "no such file" in shown and f"1 of {len(photos) + 1} could not be read" in shown
    assert status == 1


@pytest.mark.parametrize("columns", [36, 60, 100])
def test_terminal_shows_the_rollup_below_the_classes(
    columns: int, photos: list[Path], predictor: gmixer.Predictor
) -> None:
    photo = next(path for path in photos if path.name == "rocket.jpg")
    shown, _ = run_in_terminal("classify", photo, "-k", 2, "--rollup", columns=columns)
    lines = [line for line in shown.splitlines() if re.match(r" {2,}", line)]
    assert len(lines) > 2 and max(map(len, lines)) <= columns
    deepest, *others = predictor.classify(photo, rollup_at=0.5).rollup
    assert lines[2].startswith(f"{deepest.probability:8.1%} {deepest.label} ·")
    assert all(re.match(r" {9}\d+\.\d% \w", line) for line in lines[3:]), "a line breaks between two ancestors"
    told = " ".join(line.strip() for line in lines[2:])
    assert told.split(" · ")[1:] == [f"{a.probability:.1%} {a.label}" for a in others]


def test_terminal_shows_progress_for_more_than_a_handful(photos: list[Path]) -> None:
    many, _ = run_in_terminal("classify", *photos * 5, "-k", 1)
    few, _ = run_in_terminal("classify", *photos[:3], "-k", 1)
    assert "/30 files" in many and "files" not in few
    assert len(re.findall(r"^ *\d+\.\d% ", many, re.MULTILINE)) == 30


def test_file_names_cannot_command_the_terminal(tmp_path: Path, photos: list[Path]) -> None:
    evil = tmp_path / "a\x1b[2Jb\nc.png"
    evil.write_bytes(photos[0].read_bytes())
    shown, _ = run_in_terminal("classify", evil, columns=200)
    assert "\\x1b[2Jb\\nc.png" in shown
    assert run("classify", evil).stdout.split("\t")[0].endswith("a\\x1b[2Jb\\nc.png")
    evil.write_bytes(b"")
    assert "\x1b" not in call("embed", evil, "-o", tmp_path / "out.npz").stderr
    evil.write_bytes(photos[0].read_bytes())
    assert json.loads(call("classify", evil, "--json").stdout)["path"] == str(evil)


def test_file_names_that_are_no_text(tmp_path: Path, photos: list[Path]) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Path(name).write_bytes(photos[0].read_bytes())
    assert run("classify", tmp_path).stdout.split("\t")[0] == name
    assert json.loads(run("classify", tmp_path, "--json").stdout)["path"] == name


def test_ctrl_c_waits_for_no_image(photos: list[Path]) -> None:
    program = """
        import os, signal, sys, threading
        from gmixer.cli import main
        from gmixer.data import Preprocess
        once = threading.Lock()
        def hang(self, image):
            if once.acquire(blocking=False):
                os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait()
        Preprocess.with_note = hang
        main()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), "classify", *map(str, photos * 2)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (130, "")
    assert "Traceback" not in run.stderr


def test_a_reader_that_leaves_early_ends_it_quietly(photos: list[Path]) -> None:
    process = subprocess.Popen(
        [*GMIXER, "classify", *map(str, photos * 200)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    assert process.wait(timeout=60) == -signal.SIGPIPE, "as `head` ends every other tool"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [("classify", "--json"), ("classify",), ("models",), ("info",)])
def test_a_full_disk_is_one_sentence(arguments: tuple[str, ...], photos: list[Path]) -> None:
    command = [*GMIXER, *arguments, *([str(photos[0])] if arguments[0] == "classify" else [])]
    with open("/dev/full", "w") as full:
        finished = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[-1] == "gmixer: No space left on device"
    assert "Traceback" not in finished.stderr


def test_closed_streams(photos: list[Path]) -> None:
    def run_shell(redirection: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = shlex.join([*GMIXER, *map(str, arguments)])
        return subprocess.run(f"{command} {redirection}", shell=True, capture_output=True, text=True, timeout=60)

    assert run_shell(">&-", "classify", photos[0]).returncode == 0
    assert run_shell("2>&-", "classify", photos[0]).returncode == 0
    no_input = run_shell("<&-", "classify", "-", "--json")
    assert json.loads(no_input.stdout)["error"]["kind"] == "empty" and no_input.returncode == 1


def test_a_dash_is_stdin_even_beside_a_folder_of_that_name(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "-").mkdir()
    command = [*GMIXER, "classify", "-", "--json"]
    finished = subprocess.run(command, input=photos[0].read_bytes(), capture_output=True, cwd=tmp_path, timeout=60)
    assert json.loads(finished.stdout)["path"] == "-" and finished.returncode == 0


def test_an_ambiguous_file_is_said_and_can_be_named(photos: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "b16.safetensors"
    shapes = VARIANTS["mixer_b16_224"].model.tensor_shapes()
    save_file({name: np.zeros(shape, np.float16) for name, shape in shapes.items()}, path)
    for words in ([], ["--json"], ["--csv"]):  # a warning never reaches standard output
        said = call("classify", photos[0], "--model", path, *words).stderr
        assert len(said.splitlines()) == 1 and "--name" in said
    named = call("classify", photos[0], "--model", path, "--name", "mixer_b16_224.miil_in21k_ft_in1k", "--json")
    assert json.loads(named.stdout)["model"] == "mixer_b16_224.miil_in21k_ft_in1k"


def test_a_model_without_classes_cannot_classify(photos: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "backbone.safetensors"
    shapes = replace(VARIANTS["gmixer_8_64"].model, num_classes=0).tensor_shapes()
    save_file({name: np.zeros(shape, np.float16) for name, shape in shapes.items()}, path)
    finished = call("classify", photos[0], "--model", path)
    assert finished.returncode == 2 and "backbone has no classes" in finished.stderr and finished.stdout == ""
    assert call("embed", photos[0], "--model", path, "-o", tmp_path / "out.npz").returncode == 0


def test_another_image_size(photos: list[Path], tmp_path: Path) -> None:
    other = gmixer.load("gmixer_8_64", image_px=96)
    row = json.loads(call("classify", photos[0], "--image-size", 96, "--json").stdout)
    wanted = other.classify(photos[0])
    assert [c["index"] for c in row["predictions"]] == [c.index for c in wanted]
    assert row["predictions"][0]["probability"] == pytest.approx(wanted[0].probability)
    assert call("embed", photos[0], "--image-size", 96, "-o", tmp_path / "out.npz").returncode == 0
    with np.load(tmp_path / "out.npz") as stored:
        np.testing.assert_array_equal(stored["vectors"][0], other.embed(photos[0]).vectors)
        assert stored["image_px"] == 96
    finished = call("classify", photos[0], "--image-size", 100)
    assert finished.returncode == 2 and "not a multiple of patch_px 8; take 96" in finished.stderr


@pytest.mark.parametrize("in_chans", [1, 4])
def test_a_model_of_other_channels(in_chans: int, photos: list[Path], tmp_path: Path) -> None:
    """A model with one channel reads grey images. No file has four channels."""
    config = replace(VARIANTS["gmixer_8_64"].model, in_chans=in_chans)
    state = {name: values.numpy() for name, values in drawn_mixer(config).state_dict().items()}
    save_file(state, tmp_path / "other.safetensors")
    finished = call("classify", photos[0], "--model", tmp_path / "other.safetensors", "--json")
    if in_chans == 4:
        assert finished.returncode == 2 and "other takes 4 channels; image files have 1 or 3" in finished.stderr
        planes = np.zeros((90, 120, 4), np.uint8)
        assert len(gmixer.load(tmp_path / "other.safetensors").classify(planes)) == 5
        return
    grey = np.asarray(Image.open(photos[0]).convert("RGB").convert("L"))
    wanted = gmixer.load(tmp_path / "other.safetensors").classify(grey)
    assert [c["index"] for c in json.loads(finished.stdout)["predictions"]] == [c.index for c in wanted]


def test_embed_writes_vectors_paths_and_failures(folder: Path, predictor: gmixer.Predictor) -> None:
    output = folder / "out.npz"
    finished = run("embed", folder, "-o", output)
    assert finished.returncode == 1 and "z.png: " in finished.stderr
    with np.load(output) as stored:  # without allow_pickle
        assert stored["paths"].tolist() == [f"{folder}/b.jpg", f"{folder}/deep/er/a.webp"]
        np.testing.assert_array_equal(stored["vectors"], predictor.embed(stored["paths"].tolist()).vectors)
        assert stored["failed_paths"].tolist() == [f"{folder}/deep/fake.jpg", f"{folder}/z.png"]
        assert stored["failed_kinds"].tolist() == ["not_image", "corrupt"] and all(stored["failed_messages"])
        assert str(stored["model"]) == "gmixer_8_64.distill_in1k"
    assert [path.name for path in folder.glob(".out*")] == [], "nothing unfinished is left"
    assert output.stat().st_mode & 0o777 == (folder / "notes.txt").stat().st_mode & 0o777


def test_embed_of_nothing_good_still_writes_a_file(tmp_path: Path) -> None:
    finished = call("embed", "absent.jpg", "-o", tmp_path / "out.npz")
    assert finished.returncode == 1
    with np.load(tmp_path / "out.npz") as stored:
        assert stored["vectors"].shape == (0, 256) and stored["failed_kinds"].tolist() == ["missing"]


@pytest.mark.parametrize("options", [("--json",), ("--csv",), ()], ids=["json", "csv", "plain"])
def test_a_folder_without_an_image_is_a_failed_row(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("text")
    finished = call("classify", tmp_path / "in", *options)
    assert finished.returncode == 1 and "the folder holds no image, only notes.txt" in finished.stdout
    assert "1 of 1 could not be read\n" in finished.stderr and "notes.txt" not in finished.stderr


def test_embed_of_an_archive_without_an_image_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("notes.txt", "text")
    finished = call("embed", tmp_path / "photos.zip", "-o", tmp_path / "out.npz")
    assert finished.returncode == 1
    with np.load(tmp_path / "out.npz") as stored:
        assert stored["failed_paths"].tolist() == [f"{tmp_path}/photos.zip"]
        assert stored["failed_kinds"].tolist() == ["not_image"] and len(stored["vectors"]) == 0


def test_embed_computes_no_probabilities(photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_answer, "top_k", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("classify", *photos)
    assert call("embed", *photos, "-o", tmp_path / "out.npz").returncode == 0


def test_info_says_what_the_card_says() -> None:
    shown = call("info", "gmixer_24_224").stdout
    for fact in ("24,721,096", "5.260", "5.279", "14.453 M", "3 × 224 × 224", "78.048", "apache-2.0", "0.485, 0.456"):
        assert fact in shown, fact
    assert "1,000: tench" in shown
    assert "21,843: organism, being; benthos" in call("info", "mixer_b16_224.goog_in21k").stdout
    assert "11,221: benthos; cell" in call("info", "mixer_b16_224.miil_in21k").stdout
    facts = dict(line.split("\t") for line in call("info").stdout.splitlines())
    assert facts["parameters"] == "3,670,248"
    assert facts["SHA-256"] == hashlib.sha256(EMBEDDED_WEIGHTS.read_bytes()).hexdigest()
    assert "gmixer_8_64.safetensors (7.0 MiB, F16)" in facts["weights"]
    assert facts["licence"].startswith("research") and int(facts["threads"]) >= 1 and facts["instructions"]


@pytest.mark.parametrize("columns", [50, 66, 80, 110])
def test_models_never_cuts_a_number(columns: int) -> None:
    shown, _ = run_in_terminal("models", columns=columns)
    assert max(map(len, shown.splitlines()[:20])) <= columns
    for heading, figure in {"params": "75.9 M", "top-1": "82.3 %", "classes": "21,843"}.items():
        assert (heading in shown.splitlines()[0]) == (figure in shown)
    assert "params" in shown


def test_models_lists_and_filters() -> None:
    names = call("models").stdout.split()
    assert "gmixer_24_224.ra3_in1k" in names and len(names) == 13
    assert call("models", "gmixer_24_224").stdout.split() == ["gmixer_24_224.ra3_in1k"]
    assert set(call("models", "mixer_b16*").stdout.split()) == {n for n in names if n.startswith("mixer_b16")}
    shown, _ = run_in_terminal("models", columns=110)
    assert "24.7 M" in shown and "5.28" in shown and "78.0 %" in shown and "21,843" in shown


def test_help_and_version() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert "--install-completion" in shown.stdout
    assert run("--version").stdout.strip() == f"gmixer {gmixer.__version__}"
    for command in COMMANDS:
        assert re.search(rf"^\W*{command} ", shown.stdout, re.MULTILINE), command
        described = CliRunner().invoke(app, [command, "--help"])
        assert described.exit_code == 0 and f"{command} [OPTIONS]" in described.output, command


def test_help_keeps_square_brackets() -> None:
    """Typer reads unescaped ones as markup, and drops them."""

    def described(command: str) -> str:
        return " ".join(CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "300"}).output.split())

    assert "organization/model[@revision]" in described("pull")
    assert "needs pip install 'gmixer[train]'" in described("train")
    assert "needs pip install 'gmixer[torch]'" in described("classify")
    assert "needs pip install 'gmixer[bench]'" in described("bench")


def test_completion_knows_models_and_options() -> None:
    def completed(words: str) -> str:
        position = str(len(words.split(" ")) - 1)
        command = [str(Path(sys.executable).with_name("gmixer"))]
        environment = {"_GMIXER_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": position}
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True).stdout

    assert "gmixer_8_64.distill_in1k" in completed("gmixer classify --model gmixer_8")
    assert completed("gmixer info au") == "auto\n" and "auto" not in completed("gmixer validate au")
    assert "--threshold" in completed("gmixer classify --thr")
    assert "classify" in completed("gmixer cl")


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['gmixer', '--help']\n"
        "from gmixer.cli import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'PIL', 'torch', 'safetensors') if m in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "[]"


def test_the_command_ends_at_once_and_loses_nothing(photos: list[Path]) -> None:
    """It does not put Python away at its end, which takes 50 ms: what is registered for that is not called."""
    program = """
        import atexit, sys
        from gmixer.cli import main
        atexit.register(print, "put away")
        main()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), "classify", *map(str, photos), "missing.jpg", "--json"]
    run = subprocess.run(command, capture_output=True, text=True)
    rows = [json.loads(row) for row in run.stdout.splitlines()]
    assert [row["path"] for row in rows] == [*map(str, photos), "missing.jpg"]
    assert (run.returncode, run.stderr) == (1, f"1 of {len(photos) + 1} could not be read\n")


def peak_mib(*arguments: object) -> float:
    """Peak resident memory of the command."""
    measure = "import resource as r, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=-3); "
    measure += "print(r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    command = [sys.executable, "-c", measure, *GMIXER, *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_memory_stays_flat_over_many_files(photos: list[Path], tmp_path: Path) -> None:
    for i in range(600):
        (tmp_path / f"{i}.png").symlink_to(photos[0])
    assert peak_mib("classify", tmp_path, "--json") < peak_mib("classify", *photos * 6, "--json") + 8


@pytest.mark.slow
def test_a_real_size_model_answers_within_220_mib(photos: list[Path], tmp_path: Path) -> None:
    """Its weights are 94 MiB: they are in memory once. timm takes 900 MiB (README)."""
    shapes = VARIANTS["gmixer_24_224"].model.tensor_shapes()
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, tmp_path / "m.safetensors")
    assert peak_mib("classify", photos[0], "--model", tmp_path / "m.safetensors") < 220
