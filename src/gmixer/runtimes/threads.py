"""How many threads this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from gmixer.errors import EngineError

_CGROUP_ROOT = Path("/sys/fs/cgroup")
MAX_THREADS = 1024


def default_threads() -> int:
    """The processors of this process's affinity mask, at most the CPU quota of its control group; at least 1."""
    allowed, quota = allowed_processors(), cgroup_quota()
    return max(1, min(allowed, math.ceil(quota)) if quota is not None else allowed)


def allowed_processors() -> int:
    """The processors of this process's affinity mask; where there is no such thing, all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int | None) -> int:
    if threads is None:
        return default_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
        raise EngineError(f"threads is {threads!r}; wanted a whole number from 1 to {MAX_THREADS}, or None")
    return threads


def cgroup_quota(root: Path = _CGROUP_ROOT, membership: Path = Path("/proc/self/cgroup")) -> float | None:
    """CPUs' worth of time a period, the tightest of this process's groups and those above; None: no limit."""
    quotas = []
    for line in _lines(membership):
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2: one hierarchy, "max 100000" or "150000 100000"
            for group in _upwards(root, path):
                fields = " ".join(_lines(group / "cpu.max")).split()
                if len(fields) == 2 and fields[0] != "max":
                    quotas.append(int(fields[0]) / int(fields[1]))
        elif "cpu" in controllers.split(","):  # version 1: -1 means no limit
            for group in _upwards(root / "cpu", path):
                quota_us = "".join(_lines(group / "cpu.cfs_quota_us"))
                period_us = "".join(_lines(group / "cpu.cfs_period_us"))
                if quota_us and period_us and int(quota_us) > 0:
                    quotas.append(int(quota_us) / int(period_us))
    return min(quotas, default=None)


def _upwards(root: Path, path: str) -> list[Path]:
    """The group itself and every one above it. In a container the path may be the host's: the root still counts."""
    parts = [part for part in path.split("/") if part and part != ".."]
    return [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
