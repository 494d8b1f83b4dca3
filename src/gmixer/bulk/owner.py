"""Which process holds a lock, so that another one on the same machine sees at once that it is dead."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """started: a process number is used again, but not with the same start."""
    return {"machine": _machine(), "pid": os.getpid(), "started": _started(os.getpid())}


def is_dead(process: Mapping[str, Any]) -> bool:
    """process: of this_process(). False also if it cannot be known, as for a process of another machine."""
    if _machine() is None or process.get("machine") != _machine():
        return False
    return _started(process["pid"]) != process.get("started")


@cache
def _machine() -> str | None:
    """This start of this machine, and the container in which process numbers count; None where the system has none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """In ticks since the start of the machine; None for a process that does not run."""
    try:
        facts = Path(f"/proc/{pid:d}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if facts[0] in "ZX" else facts[19]  # a zombie has ended; see proc(5)
