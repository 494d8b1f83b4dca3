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
from gmixer.options import Native

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
        needed = packages_of(self.peers) if "forward" in self.groups else []
        for group, module in (("images", image_contest), ("photos", folder_contest), ("start", launch_contest)):
            needed += module.PACKAGES if group in self.groups else ()
        return list(dict.fromkeys(needed))

    def check_packages(self) -> None:
        """Imports no package. Raises MissingExtraError for the first that is not installed."""
        for package in self.packages():
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(f"the comparison needs {package}: pip install -r benchmarks/requirements.txt")


def contest_steps(target: Target, plan: ContestPlan) -> list[Step]:
    steps: list[Step] = []
    workload = target.workload(native=Native(isa=plan.isas[0], threads=max(plan.threads)), seconds=plan.seconds)
    if "forward" in plan.groups:
        steps += forward_contest_steps(target, plan, plan.peers, plan.rounds)
    if "images" in plan.groups:
        steps += image_steps(target, plan.seconds, plan.rounds)
    if "photos" in plan.groups:
        steps += folder_steps(target, workload, plan.photos, plan.photo_count, plan.rounds)
    if "start" in plan.groups:
        steps += launch_steps(target, workload, plan.rounds)
    return steps


def peers_named(names: Sequence[str]) -> list[str]:
    """`timm` means both peers of timm, `openvino` all three of OpenVINO. An unknown name has no peers."""
    return [peer for peer in PEERS if any(peer == name or peer.startswith(f"{name}-") for name in names)]


def isas_from(isa: str) -> list[str]:
    """This instruction set and all slower ones but scalar, which is not meant to be fast."""
    isas = available_isas()
    return [isa, *(slower for slower in isas[isas.index(isa) + 1 :] if slower != "scalar")]
