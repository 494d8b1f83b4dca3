"""Writes recorded/: what a refactor must not move. The tests beside this file compare today's code with it.

Run it only where a change is meant to move what is recorded, and say in the commit which and why:

    python tests/net/record.py [pixels networks commands starts flags wheel names training]

Without names it records all parts. A part that depends on versions or on the processor keeps the entries of other
machines, and adds or replaces its own. The recorded JSON files say under "made" when they were written, at which commit
of this repository, and with which versions.

First run: 2026-11-29, at commit d6e5b84 (the last one before the refactor), with the environment of README's test
command: Python 3.11.7 on an AMD EPYC (Zen 4) with AVX-512.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
sys.path[:0] = [str(HERE), str(HERE.parent)]

import net_probes  # noqa: E402 - by the path above

PACKAGES = ("gmixer", "numpy", "pillow", "simplejpeg", "safetensors", "torch", "torchvision", "typer", "scikit-image")


def recorded(part: str) -> Any:
    return json.loads((RECORDED / f"{part}.json").read_text())


def made() -> dict[str, str]:
    """When, at which commit, by which versions."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
    found = {"date": date.today().isoformat(), "commit": commit.stdout.strip(), "python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def main(*parts: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        probes: dict[str, Callable[[], dict[str, Any]]] = {
            "pixels": net_probes.pixels,
            "networks": net_probes.networks,
            "commands": lambda: net_probes.commands(root),
            "starts": lambda: net_probes.starts(root),
            "flags": net_probes.flags,
            "wheel": net_probes.wheel_files,
            "names": net_probes.public_names,
            "training": lambda: net_probes.training(root),
        }
        RECORDED.mkdir(exist_ok=True)
        for part in parts or probes:
            new, path = probes[part](), RECORDED / f"{part}.json"
            if path.exists():
                new = with_other_machines(part, recorded(part), new)
            path.write_text(json.dumps({"made": made(), **new}, indent=0, ensure_ascii=False) + "\n")
            print(f"{path}: {path.stat().st_size:,} bytes")


def with_other_machines(part: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """new, with what only other machines, or other versions of Python, can record.

    With other embedded weights, the records of other machines are void: those machines must record again.
    """
    if part == "training" and old["embedded"] != new["embedded"]:
        return new
    if part == "networks" and not np.allclose(old["logits"]["embedded"], new["logits"]["embedded"], rtol=0, atol=1e-3):
        return new
    if part in ("networks", "starts"):
        return {**{name: value for name, value in old.items() if name != "made"}, **new}
    if part == "training":
        return {**new, "bits": {**old["bits"], **new["bits"]}}
    return new


if __name__ == "__main__":
    main(*sys.argv[1:])
