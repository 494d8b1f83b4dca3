"""The number of threads that gmixer uses on this machine, and its reason."""

from __future__ import annotations

import os

from gmixer.doctor.finding import Outcome, ok, warning


def threads() -> Outcome:
    """The default number of threads, against processors, affinity mask, control group and OMP_NUM_THREADS."""
    from gmixer.runtimes.threads import allowed_processors, cgroup_quota, default_threads

    machine, allowed, quota, taken = os.cpu_count() or 1, allowed_processors(), cgroup_quota(), default_threads()
    fact = f"{taken} on {machine} processor{'s' * (machine > 1)}"
    if quota is not None and quota < allowed:
        fact += f": the control group allows {quota:.2g} processors' time"
    elif allowed < machine:
        fact += f": this process's affinity allows {allowed}"
    if quota is not None and quota < 1:
        return warning(
            f"{fact}; every answer takes {1 / quota:.1f} times as long as on a whole processor",
            "give the container or job at least one CPU",
        )
    omp = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if omp.isdecimal() and 0 < int(omp) < taken:
        return warning(
            f"{fact}; OMP_NUM_THREADS={omp} has no effect, because the core uses no OpenMP",
            f"for that many threads: --threads {omp}, in Python gmixer.load(…, threads={omp})",
        )
    if omp.isdecimal() and int(omp) > taken:
        return warning(
            f"{fact}; OMP_NUM_THREADS={omp} makes numpy and PyTorch start more than can run",
            "unset OMP_NUM_THREADS",
        )
    return ok(fact)
