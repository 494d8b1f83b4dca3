"""Which steps `gmixer bench` measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from gmixer.bench.ceiling import ceiling_steps
from gmixer.bench.forward import forward_steps
from gmixer.bench.row import Step
from gmixer.bench.stages import stage_step
from gmixer.bench.target import Target
from gmixer.options import FP32, Native, NativePrecision

MAX_CEILING_S = 0.5
STAGES_BATCH = 16  # the stages are measured at the batch that is nearest to this size


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    batches: Sequence[int]
    threads: Sequence[int]
    isas: Sequence[str]  # the network runs on the first; the ceiling is measured for each
    seconds: float  # of measuring in each process
    precision: NativePrecision = FP32


def plan_steps(target: Target, plan: Plan) -> list[Step]:
    batch = min(plan.batches, key=lambda batch: abs(batch - STAGES_BATCH))
    made = partial(Native, precision=plan.precision)
    ceilings = [made(isa=isa, threads=threads) for isa in plan.isas for threads in plan.threads]
    natives = {threads: made(isa=plan.isas[0], threads=threads) for threads in plan.threads}
    workloads = [
        target.workload(batch=batch, native=native, seconds=plan.seconds)
        for native in natives.values()
        for batch in plan.batches
    ]
    stages = target.workload(batch=batch, native=natives[max(plan.threads)], seconds=plan.seconds)
    return [
        *ceiling_steps(ceilings, seconds=min(plan.seconds / 4, MAX_CEILING_S)),
        *forward_steps(target, workloads),
        stage_step(target, stages),
    ]
