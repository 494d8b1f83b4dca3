"""The side of fresh.py that runs in the process: arguments as JSON on stdin, the answer as JSON on stdout."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from typing import Any

from gmixer.errors import GmixerError


def main() -> None:
    module, _, function = sys.argv[1].partition(":")
    arguments = json.load(sys.stdin)
    answers_to = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is not the answer
    answer: dict[str, Any]
    try:
        value = getattr(importlib.import_module(module), function)(**arguments)
        answer = {"value": value, "peak_bytes": peak_bytes()}
    except GmixerError as error:
        answer = {"error": {"type": type(error).__name__, "message": str(error)}}
    with open(answers_to, "w") as file:
        json.dump(answer, file)


def peak_bytes() -> int:
    """The most memory that this process ever had resident."""
    try:
        # Not ru_maxrss: on Linux it takes over that of the parent, from whose memory the child was spawned.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
