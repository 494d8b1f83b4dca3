"""How many threads gmixer takes here, and why so many."""

from __future__ import annotations

import os

from gmixer.doctor.finding import Outcome, ok, warning


def threads() -> Outcome:
    """The default number of threads against the machine, the affinity mask, the control group and OMP_NUM_THREADS."""
    from gmixer.runtimes.threads import allowed_processors, cgroup_quota, default_threads

    machine, allowed, quota, taken = os.cpu_count() or 1, allowed_processors(), cgroup_quota(), default_threads()
    fact = f"{taken} on {machine} processor{'s' * (machine > 1)}"
    if quota is not None and quota < allowed:
        fact += f": the control group allows {quota:.2g} processors' time"
    elif allowed < machine:
        fact += f": this process's affinity allows {allowed}"
    if quota is not None and quota < 1:
        return warning(
            f"{fact}; every answer takes {1 / quota:.1f} times as long as on a whole one",
            "give the container or job at least one CPU",
        )
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if said.isdecimal() and 0 < int(said) < taken:
        return warning(
            f"{fact}; OMP_NUM_THREADS={said} is not heeded, as the core uses no OpenMP",
            f"to take as few: --threads {said}, in Python gmixer.load(…, threads={said})",
        )
    if said.isdecimal() and int(said) > taken:
        return warning(
            f"{fact}; OMP_NUM_THREADS={said} makes numpy and PyTorch start more than can run",
            "unset OMP_NUM_THREADS",
        )
    return ok(fact)
