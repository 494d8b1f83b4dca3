"""The forward pass against the peers: one contest for each batch size and number of threads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import networks, quantized
from benchmarks.contest import Contest, Contestant, Measurement, Run
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.plan import Plan
from gmixer.bench.row import Step, TableRow, threads_in_words
from gmixer.bench.target import Target
from gmixer.bench.workload import Workload
from gmixer.options import FP32, Native, NativePrecision


@dataclass(frozen=True, slots=True)
class Peer:
    label: str
    packages: Mapping[NativePrecision, Sequence[str]]  # that it needs, by the precisions that it is measured in


_TIMM: Mapping[NativePrecision, Sequence[str]] = {"fp32": ("torch", "timm")}
_OPENVINO: Mapping[NativePrecision, Sequence[str]] = {
    "fp32": ("openvino",),
    "bf16": ("openvino",),
    "int8": ("openvino", "nncf"),
}
PEERS: dict[str, Peer] = {
    "timm-eager": Peer("timm eager", _TIMM),
    "timm-compiled": Peer("timm compiled", _TIMM),
    "onnxruntime": Peer("ONNX Runtime", {"fp32": ("onnxruntime",), "int8": ("onnxruntime",)}),
    "openvino-latency": Peer("OpenVINO latency", _OPENVINO),
    "openvino-throughput": Peer("OpenVINO throughput", _OPENVINO),
    "openvino-throughput-split": Peer("OpenVINO split", _OPENVINO),
    "openvino-default": Peer("OpenVINO default", {"int8": _OPENVINO["int8"]}),
}
REFERENCE_PACKAGES = ("torch", "timm", "onnx")  # export the network, and compute it in float64


def packages_of(peers: Sequence[str], precision: NativePrecision) -> list[str]:
    """The packages that must be installed, each once."""
    of_peers = (package for peer in peers for package in PEERS[peer].packages[precision])
    return list(dict.fromkeys([*REFERENCE_PACKAGES, *of_peers]))


def export_step(target: Target, workload: Workload) -> Step:
    """Writes the files of networks.prepare into the target's scratch folder, unless they are there already."""

    def run() -> list[TableRow]:
        if not (target.scratch / networks.EXACT_FILE).exists():
            in_fresh_process(networks.prepare, {"workload": asdict(workload), "folder": str(target.scratch)})
        return []

    return Step("exporting to ONNX, computing in float64", run)


def quantize_step(target: Target, workload: Workload, peers: Sequence[str]) -> Step:
    """Follows export_step. Writes the networks in int8 of these peers."""
    packages = packages_of(peers, workload.precision)
    arguments = {"workload": asdict(workload), "folder": str(target.scratch), "packages": packages}

    def run() -> list[TableRow]:
        in_fresh_process(quantized.quantize, arguments)
        return []

    return Step("quantizing to int8", run)


def forward_contest_steps(target: Target, plan: Plan, peers: Sequence[str], rounds: int) -> list[Step]:
    """plan.isas: gmixer runs on each. The first contestant of a contest is gmixer on plan.isas[0].

    In a reduced precision, gmixer in fp32 takes part too.
    """
    best_isa = plan.isas[0]
    # With a common cache, a process does not compile again what an earlier one has compiled.
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(target.scratch / "inductor")}

    def run(key: str, label: str, workload: Workload) -> Run:
        arguments = {
            "network": key if key in networks.NETWORKS else "gmixer",
            "workload": asdict(workload),
            "folder": str(target.scratch),
        }
        return Run([Contestant(key, label, rival=key in PEERS)], lambda: {key: _measure(arguments, environment)})

    def contest(batch: int, threads: int) -> Contest:
        what = f"{plan.precision}, batch {batch}, {threads_in_words(threads)}"
        error_unit = networks.error_unit(plan.precision)
        natives = {isa: Native(isa=isa, threads=threads, precision=plan.precision) for isa in plan.isas}
        loads = {
            isa: target.workload(batch=batch, native=native, seconds=plan.seconds) for isa, native in natives.items()
        }
        in_fp32 = [] if plan.precision == FP32 else [run("gmixer-fp32", "gmixer fp32", loads[best_isa])]
        return Contest(
            group="forward",
            what=what,
            title=f"forward pass, {what}; unit of the error: {error_unit}",
            unit="image",
            runs=[
                run("gmixer", f"gmixer ({best_isa})", loads[best_isa]),
                *(run(f"gmixer-{isa}", f"gmixer ({isa})", loads[isa]) for isa in plan.isas[1:]),
                *in_fp32,
                *(
                    run(peer, PEERS[peer].label, loads[best_isa])
                    for peer in peers
                    if batch > 1 or peer != "openvino-throughput-split"
                ),
            ],
            macs=target.config.macs,
            error_unit=error_unit,
        )

    contests = [contest(batch, threads) for threads in plan.threads for batch in plan.batches]
    native = Native(threads=max(plan.threads), precision=plan.precision)
    largest = target.workload(batch=max(plan.batches), native=native)
    exports = [export_step(target, largest)]
    if plan.precision == "int8":
        exports.append(quantize_step(target, largest, peers))
    return [*exports, *(step for contest in contests for step in contest.steps(rounds))]


def _measure(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> Measurement:
    answer = in_fresh_process(networks.measure, arguments, environment=environment)
    return Measurement(peak_mib=answer.peak_bytes / 2**20, **answer.value)
