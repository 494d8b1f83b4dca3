"""Which steps there are: gmixer by itself, or contests with its peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gmixer.bench import photos, pictures, start
from gmixer.bench.ceiling import ceiling_steps
from gmixer.bench.forward import forward_steps
from gmixer.bench.peers import PEERS, packages_of, peer_steps
from gmixer.bench.photos import photo_steps
from gmixer.bench.pictures import picture_steps
from gmixer.bench.row import Step
from gmixer.bench.stages import stage_step
from gmixer.bench.start import start_steps
from gmixer.bench.target import Subject
from gmixer.isa import available_isas

GROUPS = ("forward", "pictures", "photos", "start")  # of contests
MAX_CEILING_S = 0.5
STAGES_BATCH = 16  # the stages are measured at the batch that is nearest to this


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    batches: Sequence[int]
    threads: Sequence[int]
    isas: Sequence[str]  # the first is the one that is taken
    seconds: float  # of measuring, for a process


@dataclass(frozen=True, kw_only=True, slots=True)
class ContestPlan(Plan):
    rounds: int
    groups: Sequence[str]  # of GROUPS
    peers: Sequence[str]  # of PEERS, for the forward pass
    photos: Path | None  # a folder of the user's own
    photo_count: int

    def packages(self) -> list[str]:
        """What must be installed, each once."""
        needed = packages_of(self.peers) if "forward" in self.groups else []
        for group, module in (("pictures", pictures), ("photos", photos), ("start", start)):
            needed += module.PACKAGES if group in self.groups else ()
        return list(dict.fromkeys(needed))


def own_steps(subject: Subject, plan: Plan) -> list[Step]:
    batches, threads, isa, seconds = plan.batches, plan.threads, plan.isas[0], plan.seconds
    return [
        *ceiling_steps(plan.isas, threads, seconds=min(seconds / 4, MAX_CEILING_S)),
        *forward_steps(subject, batches=batches, threads=threads, isa=isa, seconds=seconds),
        stage_step(
            subject,
            batch=min(batches, key=lambda batch: abs(batch - STAGES_BATCH)),
            threads=max(threads),
            isa=isa,
            seconds=seconds,
        ),
    ]


def contest_steps(subject: Subject, plan: ContestPlan) -> list[Step]:
    steps: list[Step] = []
    rounds, most_threads = plan.rounds, max(plan.threads)
    if "forward" in plan.groups:
        steps += peer_steps(
            subject,
            rounds=rounds,
            peers=plan.peers,
            batches=plan.batches,
            threads=plan.threads,
            isas=plan.isas,
            seconds=plan.seconds,
        )
    if "pictures" in plan.groups:
        steps += picture_steps(subject, rounds=rounds, seconds=plan.seconds)
    if "photos" in plan.groups:
        steps += photo_steps(
            subject,
            rounds=rounds,
            threads=most_threads,
            isa=plan.isas[0],
            count=plan.photo_count,
            folder=plan.photos,
        )
    if "start" in plan.groups:
        steps += start_steps(subject, rounds=rounds, threads=most_threads)
    return steps


def peers_named(names: Sequence[str]) -> list[str]:
    """`timm` and `openvino` mean all of theirs; an empty list for a name that there is not."""
    return [peer for peer in PEERS if any(peer == name or peer.startswith(f"{name}-") for name in names)]


def isas_from(isa: str) -> list[str]:
    """This one, and the ones below it but for the scalar one, which is not meant to be fast."""
    isas = available_isas()
    return [isa, *(lower for lower in isas[isas.index(isa) + 1 :] if lower != "scalar")]
