"""distributed.py: several processes, on one machine and on two, come to what one comes to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from gmixer.errors import InputError
from gmixer.train.distributed import World
from training import THOROUGH, assert_near, small_trainer, weights_of

SCRIPT = Path(__file__).parents[1] / "training.py"
# SGD, so that float32's rounding stays small: Muon and AdamW give a gradient that is all but 0 a step of full size.
SETTINGS = {"optimizer.name": "sgd", "optimizer.muon_lr": 0.0, "optimizer.lr": 0.02}
TIMEOUT_S = 240


def torchrun(*options: str, folder: Path, within: tuple[str, ...] = (), **env: str) -> subprocess.Popen[str]:
    settings = [f"{name}={value}" for name, value in SETTINGS.items()]
    return subprocess.Popen(
        [*within, sys.executable, "-m", "torch.distributed.run", *options, str(SCRIPT), str(folder), *settings],
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(*processes: subprocess.Popen[str]) -> None:
    try:
        for process in processes:
            output, _ = process.communicate(timeout=TIMEOUT_S)
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], Any]:
    """Of a run in one process: its first and its last weights, and its outcomes."""
    trainer = small_trainer(tmp_path_factory.mktemp("alone"), THOROUGH.changed(SETTINGS))
    start = weights_of(trainer)
    outcomes = trainer.run()
    return start, weights_of(trainer), outcomes


def assert_as_alone(alone: tuple[Any, Any, Any], *folders: Path) -> None:
    """folders: where each rank wrote. Weights are equal within float32's rounding, and counts exactly."""
    start, weights, outcomes = alone
    assert_near(torch.load(folders[0] / "weights.pt", weights_only=True), weights, start=start)
    for rank, folder in enumerate(folders):
        theirs = json.loads((folder / f"outcomes-{rank}.json").read_text())
        for column in fields(outcomes):
            ours = getattr(outcomes, column.name).tolist()
            if column.type.startswith("NDArray[np.int64]"):
                assert theirs[column.name] == ours, column.name
            else:
                assert theirs[column.name] == pytest.approx(ours, abs=1e-4)
        assert theirs["image"] == list(range(7))  # an odd number: each image once


@pytest.mark.slow
def test_two_processes_come_to_what_one_comes_to(alone: Any, tmp_path: Path) -> None:
    finished(torchrun("--standalone", "--nproc-per-node", "2", folder=tmp_path))
    assert_as_alone(alone, tmp_path, tmp_path)


@pytest.fixture
def nodes(need: Callable[..., None]) -> Iterator[list[tuple[str, str]]]:
    """Two machines as far as the network goes: (namespace, address) of each, with a cable between them."""
    need(shutil.which("ip") and os.geteuid() == 0, "ip, run by root,", debian="iproute2")
    names = [f"gmixer-{os.getpid()}-{i}" for i in (0, 1)]
    ends = [f"gm{os.getpid()}-{i}" for i in (0, 1)]
    addresses = ["198.18.0.1", "198.18.0.2"]  # RFC 2544: for tests between devices
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, addresses, strict=True):
            ip("link", "set", end, "netns", name, "name", "cable")
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", name, "link", "set", device, "up")
        yield list(zip(names, addresses, strict=True))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["ip", "link", "delete", ends[0]], stderr=subprocess.DEVNULL, check=False)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.mark.slow
def test_two_machines_come_to_what_one_process_comes_to(
    nodes: list[tuple[str, str]], alone: Any, tmp_path: Path
) -> None:
    folders = [tmp_path / f"machine {rank}" for rank in (0, 1)]  # nothing is shared but the network
    finished(
        *(
            torchrun(
                *("--nnodes", "2", "--node-rank", str(rank), "--nproc-per-node", "1"),
                *("--master-addr", nodes[0][1], "--master-port", "29500"),
                folder=folder,
                within=("ip", "netns", "exec", name),
                GLOO_SOCKET_IFNAME="cable",
            )
            for rank, ((name, _), folder) in enumerate(zip(nodes, folders, strict=True))
        )
    )
    assert_as_alone(alone, *folders)
    assert not (folders[1] / "checkpoint").exists() and not (folders[1] / "train.csv").exists()


@pytest.mark.parametrize(
    ("changes", "size", "complaint"),
    [
        ({}, 4, "a batch of 8 in 2 parts cannot be shared by 4 processes in pairs; change schedule.batch_size"),
        ({"augment.mixup": 0.0, "augment.cutmix": 0.0}, 3, "cannot be shared by 3 processes in equal shares"),
    ],
)
def test_a_batch_that_the_processes_cannot_share_is_refused(
    changes: dict[str, float], size: int, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        small_trainer(tmp_path, THOROUGH.changed(changes), here=World(0, size, torch.device("cpu")))
    assert complaint in str(error.value)


def test_one_process_gathers_from_itself() -> None:
    here = World(0, 1, torch.device("cpu"))
    assert here.first and here.gathered("x") == ["x"] and here.of_first("x") == "x"
    assert here.summed(torch.ones(2)).tolist() == [1, 1]
    model = torch.nn.Linear(1, 1)
    assert here.wrapped(model) is model
