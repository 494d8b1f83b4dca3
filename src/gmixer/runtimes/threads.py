"""How many threads this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from gmixer.checks import whole
from gmixer.errors import EngineError, InputError

_CGROUP_ROOT = Path("/sys/fs/cgroup")
MAX_THREADS = 1024


def default_threads() -> int:
    """The CPUs of this process's affinity mask, at most the CPU quota of its control group; at least 1."""
    allowed, quota = allowed_processors(), cgroup_quota()
    return max(1, min(allowed, math.ceil(quota)) if quota is not None else allowed)


def allowed_processors() -> int:
    """The CPUs of this process's affinity mask; all CPUs on a system without affinity masks."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int | None) -> int:
    """The number given, or the default for None. Raises EngineError unless it is a whole number up to MAX_THREADS."""
    if threads is None:
        return default_threads()
    try:
        return whole("threads", threads, least=1, most=MAX_THREADS)
    except InputError as error:
        raise EngineError(f"{error}, or None") from None


def cgroup_quota(root: Path = _CGROUP_ROOT, membership: Path = Path("/proc/self/cgroup")) -> float | None:
    """How many CPUs this process may use in the mean, by its control groups and their parents; None: no limit."""
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
    """The group and all its parents. In a container the path may be the host's; the root is then the right group."""
    parts = [part for part in path.split("/") if part and part != ".."]
    return [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
