"""Which contests are run."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import folder_contest, image_contest, launch_contest
from benchmarks.folder_contest import folder_steps
from benchmarks.forward_contest import PEERS, forward_contest_steps, packages_of
from benchmarks.image_contest import image_steps
from benchmarks.launch_contest import launch_steps
from gmixer.bench.plan import Plan
from gmixer.bench.row import Step
from gmixer.bench.target import Target
from gmixer.errors import MissingExtraError
from gmixer.isa import available_isas
from gmixer.options import FP32, Native, NativePrecision

GROUPS = ("forward", "images", "photos", "start")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContestPlan(Plan):
    rounds: int
    groups: Sequence[str]  # of GROUPS
    peers: Sequence[str]  # of PEERS, for the forward pass
    photos: Path | None  # the user's own folder
    photo_count: int

    def packages(self) -> list[str]:
        """The packages that must be installed, each once."""
        needed = packages_of(self.peers, self.precision) if "forward" in self.groups else []
        in_fp32 = [("photos", folder_contest), ("start", launch_contest)] if self.precision == FP32 else []
        for group, module in [("images", image_contest), *in_fp32]:
            needed += module.PACKAGES if group in self.groups else ()
        return list(dict.fromkeys(needed))

    def check_packages(self) -> None:
        """Imports no package. Raises MissingExtraError for the first that is not installed."""
        for package in self.packages():
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(f"the comparison needs {package}: pip install -r benchmarks/requirements.txt")


def contest_steps(target: Target, plan: ContestPlan) -> list[Step]:
    steps: list[Step] = []
    native = Native(isa=plan.isas[0], threads=max(plan.threads), precision=plan.precision)
    workload = target.workload(native=native, seconds=plan.seconds)
    if "forward" in plan.groups:
        steps += forward_contest_steps(target, plan, plan.peers, plan.rounds)
    if "images" in plan.groups:
        steps += image_steps(target, plan.seconds, plan.rounds)
    if "photos" in plan.groups:
        steps += folder_steps(target, workload, plan.photos, plan.photo_count, plan.rounds)
    if "start" in plan.groups:
        steps += launch_steps(target, workload, plan.rounds)
    return steps


def families(precision: NativePrecision) -> list[str]:
    """The peers that compute in this precision, without what follows a hyphen: `timm` is both peers of timm."""
    return list(dict.fromkeys(_family(name) for name, peer in PEERS.items() if precision in peer.packages))


def peers_of(names: Sequence[str], precision: NativePrecision) -> list[str]:
    """names: some of families(precision)."""
    return [name for name, peer in PEERS.items() if _family(name) in names and precision in peer.packages]


def _family(peer: str) -> str:
    return peer.partition("-")[0]


def isas_from(isa: str, precision: NativePrecision) -> list[str]:
    """This instruction set and all slower ones but scalar, which is not meant to be fast."""
    isas = available_isas(precision)
    return [isa, *(slower for slower in isas[isas.index(isa) + 1 :] if slower != "scalar")]
