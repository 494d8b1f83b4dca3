"""The machine and the code that a measurement was made with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import gmixer
from gmixer.isa import available_isas
from gmixer.runtimes import default_threads


@dataclass(frozen=True, slots=True)
class Machine:
    cpu: str
    processors: int  # this process may use
    isas: tuple[str, ...]  # best first
    load: float  # average number of running processes in the minute before the first measurement
    date: str
    gmixer: str
    commit: str | None  # of a checkout; ends with "-dirty" if files differ from it
    python: str
    packages: dict[str, str]  # name → version

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def this_machine(packages: Sequence[str] = ("numpy", "pillow")) -> Machine:
    """packages: their versions are recorded, if they are installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return Machine(
        cpu=cpu_name(),
        processors=default_threads(),
        isas=tuple(available_isas()),
        load=os.getloadavg()[0],
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        gmixer=gmixer.__version__,
        commit=_commit(),
        python=platform.python_version(),
        packages=versions,
    )


def cpu_name() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of the checkout that gmixer is imported from; None for an installed gmixer."""
    checkout = Path(gmixer.__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    describe = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    try:
        said = subprocess.run(describe, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() or None
