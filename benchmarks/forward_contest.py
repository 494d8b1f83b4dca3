"""The forward pass against the peers: one contest for each batch size and number of threads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import networks
from benchmarks.contest import Contest, Contestant, Measurement, Run
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.plan import Plan
from gmixer.bench.row import Step, TableRow, threads_in_words
from gmixer.bench.target import Target
from gmixer.bench.workload import Workload
from gmixer.options import Native


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
REFERENCE_PACKAGES = ("torch", "timm", "onnx")  # export the network, and compute it in float64


def packages_of(peers: Sequence[str]) -> list[str]:
    """The packages that must be installed, each once."""
    return list(dict.fromkeys([*REFERENCE_PACKAGES, *(package for peer in peers for package in PEERS[peer].packages)]))


def export_step(target: Target, workload: Workload) -> Step:
    """Writes the files of networks.prepare into the target's scratch folder, unless they are there already."""

    def run() -> list[TableRow]:
        if not (target.scratch / networks.EXACT_FILE).exists():
            in_fresh_process(networks.prepare, {"workload": asdict(workload), "folder": str(target.scratch)})
        return []

    return Step("exporting to ONNX, computing in float64", run)


def forward_contest_steps(target: Target, plan: Plan, peers: Sequence[str], rounds: int) -> list[Step]:
    """plan.isas: gmixer runs on each. The first contestant of a contest is gmixer on plan.isas[0]."""
    best_isa = plan.isas[0]
    # With a common cache, a process does not compile again what an earlier one has compiled.
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(target.scratch / "inductor")}

    def run(key: str, label: str, workload: Workload) -> Run:
        arguments = {
            "network": key if key in PEERS else "gmixer",
            "workload": asdict(workload),
            "folder": str(target.scratch),
        }
        return Run([Contestant(key, label, rival=key in PEERS)], lambda: {key: _measure(arguments, environment)})

    def contest(batch: int, threads: int) -> Contest:
        what = f"batch {batch}, {threads_in_words(threads)}"
        loads = {
            isa: target.workload(batch=batch, native=Native(isa=isa, threads=threads), seconds=plan.seconds)
            for isa in plan.isas
        }
        return Contest(
            group="forward",
            what=what,
            title=f"forward pass, fp32, {what}; error: in PyTorch's own",
            unit="image",
            runs=[
                run("gmixer", f"gmixer ({best_isa})", loads[best_isa]),
                *(run(f"gmixer-{isa}", f"gmixer ({isa})", loads[isa]) for isa in plan.isas[1:]),
                *(
                    run(peer, PEERS[peer].label, loads[best_isa])
                    for peer in peers
                    if batch > 1 or peer != "openvino-throughput-split"
                ),
            ],
            macs=target.config.macs,
        )

    contests = [contest(batch, threads) for threads in plan.threads for batch in plan.batches]
    export = export_step(target, target.workload(batch=max(plan.batches), native=Native(threads=max(plan.threads))))
    return [export, *(step for contest in contests for step in contest.steps(rounds))]


def _measure(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> Measurement:
    answer = in_fresh_process(networks.measure, arguments, environment=environment)
    return Measurement(peak_mib=answer.peak_bytes / 2**20, **answer.value)
