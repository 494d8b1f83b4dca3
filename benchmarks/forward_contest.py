"""The forward pass against its peers: contests, one a batch size and number of threads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gmixer.bench import contestants
from benchmarks.contest import Contest, Entrant, Result, Turn
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.row import Row, Step, threads_in_words
from gmixer.bench.target import Subject


@dataclass(frozen=True, slots=True)
class Peer:
    label: str
    packages: tuple[str, ...]


PEERS: dict[str, Peer] = {
    "timm-eager": Peer("timm eager", ("torch", "timm")),
    "timm-compiled": Peer("timm compiled", ("torch", "timm")),
    "onnxruntime": Peer("ONNX Runtime", ("onnxruntime",)),
    "openvino-latency": Peer("OpenVINO latency", ("openvino",)),
    "openvino-throughput": Peer("OpenVINO throughput", ("openvino",)),
    "openvino-throughput-split": Peer("OpenVINO split", ("openvino",)),
}
JUDGES = ("torch", "timm", "onnx")  # who exports the network and computes it in float64


def packages_of(peers: Sequence[str]) -> list[str]:
    """What must be installed, each once."""
    return list(dict.fromkeys([*JUDGES, *(package for peer in peers for package in PEERS[peer].packages)]))


def export_step(subject: Subject, *, batch: int, threads: int) -> Step:
    """What contestants.prepare leaves in the subject's scratch folder, unless it is there already."""

    def run() -> list[Row]:
        if not (subject.scratch / contestants.EXACT_FILE).exists():
            arguments = {**subject.weights, "folder": str(subject.scratch), "batch": batch, "threads": threads}
            in_fresh_process(contestants.prepare, arguments)
        return []

    return Step("exporting to ONNX, computing in float64", run)


def peer_steps(
    subject: Subject,
    *,
    rounds: int,
    peers: Sequence[str],
    batches: Sequence[int],
    threads: Sequence[int],
    isas: Sequence[str],
    seconds: float,
) -> list[Step]:
    """isas: those that gmixer runs on, the best first; each contest's first entrant is gmixer on that one."""
    folder = subject.scratch
    # Each process would else compile anew what the one before it has compiled.
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}

    def turn(key: str, label: str, batch: int, count: int, isa: str) -> Turn:
        contestant = "gmixer" if key not in PEERS else key
        arguments = {
            **subject.weights,
            "contestant": contestant,
            "folder": str(folder),
            "batch": batch,
            "threads": count,
            "isa": isa,
            "ceiling_isa": isa if contestant == "gmixer" else isas[0],
            "seconds": seconds,
        }
        entrant = Entrant(key, label, rival=key in PEERS)
        return Turn([entrant], lambda: {key: _measure(arguments, environment)})

    contests = [
        Contest(
            group="forward",
            what=f"batch {batch}, {threads_in_words(count)}",
            title=f"forward pass, fp32, batch {batch}, {threads_in_words(count)}; error: in PyTorch's own",
            unit="image",
            turns=[
                turn("gmixer", f"gmixer ({isas[0]})", batch, count, isas[0]),
                *(turn(f"gmixer-{isa}", f"gmixer ({isa})", batch, count, isa) for isa in isas[1:]),
                *(
                    turn(peer, PEERS[peer].label, batch, count, isas[0])
                    for peer in peers
                    if batch > 1 or peer != "openvino-throughput-split"
                ),
            ],
            macs=subject.config.macs,
        )
        for count in threads
        for batch in batches
    ]
    export = export_step(subject, batch=max(batches), threads=max(threads))
    return [export, *(step for contest in contests for step in contest.steps(rounds))]


def _measure(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> Result:
    answer = in_fresh_process(contestants.measure, arguments, environment=environment)
    return Result(peak_mib=answer.peak_bytes / 2**20, **answer.value)
