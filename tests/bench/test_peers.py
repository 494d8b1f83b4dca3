"""gmixer bench --peers: the real peers, once each, on a small model; and what holds them to float32."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from command import GMIXER, run
from gmixer.bench import contestants, photos, pictures, start
from gmixer.bench.contest import ContestRow, Note
from gmixer.bench.contestants import CONTESTANTS, Task, prepare
from gmixer.bench.jpegs import drawn_jpeg
from gmixer.bench.peers import PEERS, packages_of
from gmixer.bench.photos import photo_steps
from gmixer.bench.plan import isas_from
from gmixer.bench.row import Step
from gmixer.bench.start import start_steps
from gmixer.bench.target import Subject, subject
from gmixer.config import VARIANTS, ModelConfig
from gmixer.errors import EngineError, InputError
from gmixer.isa import available_isas
from gmixer.weights import find_checkpoint
from mixers import drawn_mixer

MODEL = "gmixer_8_64"
QUICK = ("bench", "--peers", "-m", MODEL, "--rounds", 1, "--seconds", 0.05, "--threads", 2, "--json")
CONFIG = VARIANTS[MODEL].model


FLOAT32 = 5  # times PyTorch's error: below it only float32; bfloat16 would be off by hundreds


@pytest.mark.slow
def test_every_peer_takes_its_turn_and_none_is_less_exact_than_allowed(tmp_path: Path) -> None:
    """On one block of drawn weights, for the sake of torch.compile."""
    folder, plot = tmp_path / "small", tmp_path / "peers.png"
    write_folder(folder, replace(CONFIG, blocks=1))
    command = [*GMIXER, "bench", "--peers", "--only", "forward", "-m", folder, "--batch", 4, "--threads", 2, "--json"]
    quick = ["--rounds", 1, "--seconds", 0.05, "--plot", plot]
    finished = subprocess.run([*map(str, command + quick)], capture_output=True, text=True, timeout=600)
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr
    machine, *rows = map(json.loads, finished.stdout.splitlines())
    assert {"torch", "timm", "onnxruntime", "openvino"} <= set(machine["packages"])
    assert machine["model"] == "small" and machine["drawn_weights"] is False
    contest = {row["entrant"]: row for row in rows if row["row"] == "contest"}
    lower = [f"gmixer-{isa}" for isa in isas_from(available_isas()[0])[1:]]
    assert list(contest) == ["gmixer", *lower, *PEERS]
    for entrant, row in contest.items():
        assert (row["what"], row["unit"], row["rounds"]) == ("batch 4, 2 threads", "image", 1)
        assert row["ms"]["median"] > 0 and row["fraction"]["median"] > 0 and row["peak_mib"] > 30
        assert 0 < row["error_in_pytorchs"] < (2 if entrant.startswith("gmixer") else FLOAT32)
    assert contest["timm-eager"]["error_in_pytorchs"] == pytest.approx(1, rel=0.01)
    assert contest["gmixer"]["times_first"]["median"] == 1
    assert [row["best_peer"] for row in contest.values()].count(True) == 1
    assert "requests of 4 images at a time" in contest["openvino-throughput"]["how"]
    with Image.open(plot) as image:
        assert image.format == "PNG" and image.height > 400


def write_folder(folder: Path, config: ModelConfig) -> None:
    """timm's config.json and model.safetensors, of a variant with another number of blocks."""
    folder.mkdir()
    tensors = {name: tensor.numpy() for name, tensor in drawn_mixer(config).state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    arguments = {"num_blocks": config.blocks, "num_classes": config.num_classes}
    about = {"architecture": MODEL, "model_args": arguments, "pretrained_cfg": {}}
    (folder / "config.json").write_text(json.dumps(about))


def test_a_missing_peer_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packages_of(["onnxruntime"]) == ["torch", "timm", "onnx", "onnxruntime"]
    program = "import importlib.util as u; find = u.find_spec\n"
    program += (
        "u.find_spec = lambda name: None if name == 'openvino' else find(name)\nfrom gmixer.cli import main; main()"
    )
    finished = subprocess.run([sys.executable, "-c", program, "bench", "--peers"], capture_output=True, text=True)
    assert finished.stderr == "gmixer: gmixer bench --peers needs openvino: pip install 'gmixer[bench]'\n"
    assert finished.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "forwards"], "--only 'forwards': wanted some of forward, pictures, photos, start"),
        (["--against", "tensorrt"], "--against 'tensorrt': wanted some of timm, onnxruntime, openvino"),
        (["--rounds", "0"], "Invalid value for '--rounds'"),
        (["--photos", "nowhere", "--only", "photos"], "nowhere"),
    ],
)
def test_what_cannot_be_compared_is_said_at_once(arguments: list[str], message: str) -> None:
    finished = run(*QUICK, *arguments)
    assert message in finished.stderr and finished.returncode == 2


def test_options_of_peers_alone_are_refused() -> None:
    assert "go with --peers" in run("bench", "--only", "photos").stderr


# The contestants, in this process


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(f"{MODEL}.distill_in1k", None, str(folder), 3, 1)
    return Task(
        f"{MODEL}.distill_in1k", None, folder, 1, available_isas()[0], contestants.drawn_images(CONFIG, 3), 0.05
    )


def test_the_judge_computes_in_float64(task: Task) -> None:
    exact_BK, plain_BK = (np.load(task.folder / name) for name in (contestants.EXACT_FILE, contestants.PLAIN_FILE))
    assert exact_BK.dtype == np.float64 and plain_BK.dtype == np.float32
    assert 1e-9 < np.linalg.norm(plain_BK - exact_BK) / np.linalg.norm(exact_BK) < 1e-4
    assert contestants.error_of(plain_BK, task.folder) == 1
    assert contestants.error_of(exact_BK[:1].astype(np.float32), task.folder) < 0.5, "of the batch's first images"


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if name != "timm-compiled"])
def test_a_contestant_does_the_images_that_it_says(name: str, task: Task) -> None:
    """An odd batch, for the one that cuts it."""
    work = CONTESTANTS[name](task)
    work.call()
    assert work.images >= 3 and work.logits_BK.shape == (3, CONFIG.num_classes)
    assert contestants.error_of(work.logits_BK, task.folder) < FLOAT32


def test_a_batch_is_cut_into_parts_that_are_all_computed(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contestants, "_requests", lambda network: 2)
    work = contestants._in_flight(replace(task, seconds=0.0), 2)  # two, and two more of which one was there already
    assert contestants.error_of(work.logits_BK, task.folder) < FLOAT32
    assert (work.images, work.how) == (2 * 2 * 2, "2 requests of 2 images at a time")


def test_openvino_in_bfloat16_is_refused(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this processor it may have none: one that takes other settings than it is told."""
    told: dict[str, Any] = {}

    def compile_model(network: object, device: str, settings: dict[str, Any]) -> Any:
        told.update(settings)
        taken = settings | {"INFERENCE_PRECISION_HINT": "bf16"}
        return SimpleNamespace(get_property=taken.__getitem__)

    core = SimpleNamespace(
        read_model=lambda path: SimpleNamespace(reshape=lambda shapes: None), compile_model=compile_model
    )
    fake = SimpleNamespace(Core=lambda: core, PartialShape=list, Type=SimpleNamespace(f32="f32"))
    monkeypatch.setitem(sys.modules, "openvino", fake)
    with pytest.raises(EngineError, match=r"OpenVINO took other settings than .*'f32'.*: .*'bf16'"):
        contestants._in_openvino(task, "LATENCY", 1)
    assert told == {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}


def test_the_network_is_exported_with_any_batch(task: Task) -> None:
    network = onnx.load(task.folder / contestants.ONNX_FILE)
    (image,) = network.graph.input
    assert image.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_model_without_classes_has_nothing_to_compare(tmp_path: Path) -> None:
    write_folder(tmp_path / "body", replace(CONFIG, num_classes=0))
    with pytest.raises(EngineError, match="this model has no classes"):
        prepare(str(tmp_path / "body"), None, str(tmp_path), 1, 1)


def test_drawn_weights_are_the_same_for_everybody() -> None:
    with subject(MODEL) as measured:
        checkpoint = find_checkpoint(measured.source, name=measured.variant)
        model, config = contestants.timm_model(measured.source, measured.variant)
        assert checkpoint.model == config == measured.config and measured.drawn
        state = model.state_dict()
        for name, values in checkpoint.tensors():
            assert torch.equal(state[name], torch.from_numpy(values)), name
    assert not measured.scratch.exists()


# Photos, pictures, starts


def labels_of(steps: Sequence[Step]) -> list[str]:
    return [step.what for step in steps]


def test_a_start_is_timed_from_outside(task: Task) -> None:
    """Each once to warm the disk's cache, once to count; timm has no gmixer_8_64, so it has no turn."""
    measured = Subject(task.source, CONFIG, task.source, None, drawn=False, scratch=task.folder)
    steps = start_steps(measured, rounds=1, threads=1)
    rows = [row for step in steps for row in step.run()]
    entrants = [(row.entrant, row.peak_mib) for row in rows if isinstance(row, ContestRow)]
    assert [entrant for entrant, _ in entrants] == ["gmixer", "onnxruntime", "gmixer", "import", "python"]
    peaks_mib = dict(entrants)
    assert peaks_mib["python"] < 30 < peaks_mib["gmixer"] < 150, "not the peak of the process that launches them"
    notes = [row.text for row in rows if isinstance(row, Note)]
    # One round on a busy machine: the bare Python may well be the slower of the two.
    assert re.fullmatch(r"import gmixer takes -?[\d.]+ ms beyond bare Python \(.*, n = 1\)", notes[-1])


def test_what_cannot_start_is_no_time() -> None:
    with pytest.raises(EngineError, match="nobody thought of it"):
        start._launch([sys.executable, "-c", "raise ZeroDivisionError('nobody thought of it')"])


def test_timm_has_its_turn_where_it_knows_the_model() -> None:
    with subject("gmixer_12_224") as measured:
        assert any("timm script" in what for what in labels_of(start_steps(measured, rounds=1, threads=1)))


def test_photos_go_to_timm_with_each_number_of_workers(task: Task) -> None:
    measured = Subject(task.source, CONFIG, task.source, None, drawn=False, scratch=task.folder)
    steps = photo_steps(measured, rounds=1, threads=1, isa=task.isa, count=20, folder=None)
    takers = [what.partition(": ")[2] for what in labels_of(steps)]
    timm = ["timm, 0 workers", "timm, 1 worker", "timm, 2 workers"]
    assert takers == ["gmixer, gmixer, model alone", *timm, "summing up"]
    assert len(list((task.folder / "photos" / "all").iterdir())) == 20
    seconds = photos.measure_timm(task.source, None, str(task.folder / "photos"), threads=1, workers=0)
    assert set(seconds) == {"timm-0-workers"} and 0 < seconds["timm-0-workers"] < 100
    assert photos._part_of_the_models_rate({"gmixer": [10, 20], "gmixer-model": [9, 19]}).endswith(
        "reaches 92 % (90 % … 95 %, n = 2) of the model's own rate"
    )


def test_other_bits_than_timms_are_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.jpg").write_bytes(drawn_jpeg(100, 80, 0))
    arguments = (f"{MODEL}.distill_in1k", None, str(tmp_path / "one.jpg"), 0.01)
    assert set(pictures.measure(*arguments)) == {"gmixer", "pil"}
    monkeypatch.setattr("gmixer.data.Preprocess.__call__", lambda *_: np.zeros((3, 64, 64), np.float32))
    with pytest.raises(EngineError, match="not bit for bit"):
        pictures.measure(*arguments)


def test_photos_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own" / "deep").mkdir(parents=True)
    (tmp_path / "own" / "deep" / "a.JPG").write_bytes(drawn_jpeg(60, 50, 1))
    (tmp_path / "own" / "notes.txt").write_text("no picture")
    (tmp_path / "linked").mkdir()
    assert photos._link(tmp_path / "own", tmp_path / "linked", 10) == 1
    assert [path.name for path in (tmp_path / "linked").iterdir()] == ["000000.jpg"]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="holds no"):
        photos._link(tmp_path / "none", tmp_path / "linked", 10)


def test_every_photo_counts_and_a_bad_one_stops_it(tmp_path: Path) -> None:
    for number in range(18):
        (tmp_path / f"{number:02}.jpg").write_bytes(drawn_jpeg(60, 50, number % 3))
    paths = sorted(map(str, tmp_path.iterdir()))
    arguments = (f"{MODEL}.distill_in1k", None, paths, 1, available_isas()[0])
    seconds = photos.measure_ours(*arguments)
    assert set(seconds) == {"gmixer", "gmixer-model"} and min(seconds.values()) > 0
    assert list(photos._batches(18)) == [16, 2]
    Path(paths[-1]).write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match=r"17\.jpg.*leave it out"):
        photos.measure_ours(*arguments)
