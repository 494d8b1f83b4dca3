"""The fresh process of fresh.py: it reads a request as JSON on stdin, and writes the answer as JSON on stdout."""

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
    request = json.load(sys.stdin)
    sys.path[:] = request["path"]
    answer_fd = os.dup(1)
    os.dup2(2, 1)  # text that a library prints is no part of the answer
    answer: dict[str, Any]
    try:
        value = getattr(importlib.import_module(module), function)(**request["arguments"])
        answer = {"value": value, "peak_bytes": peak_bytes()}
    except GmixerError as error:
        answer = {"error": {"type": type(error).__name__, "message": str(error)}}
    with open(answer_fd, "w") as file:
        json.dump(answer, file)


def peak_bytes() -> int:
    """The peak of this process's resident memory."""
    try:
        # On Linux, ru_maxrss starts at the parent's peak, because the child was spawned from the parent's memory.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
