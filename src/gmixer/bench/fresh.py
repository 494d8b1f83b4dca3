"""Calls a function in a fresh Python process. Its caches, allocator and threads hold nothing of earlier measurements,
and its peak of memory is its own. fresh_main.py runs in that process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gmixer import errors
from gmixer.errors import EngineError, GmixerError


class ProcessFailed(EngineError):
    """The process ended without an answer."""


@dataclass(frozen=True, slots=True)
class Finished:
    value: Any
    peak_bytes: int  # of resident memory


def in_fresh_process(
    function: Callable[..., Any], arguments: Mapping[str, Any], *, environment: Mapping[str, str] | None = None
) -> Finished:
    """function: at the top level of a module that the process can import. Arguments and result must be JSON.

    The process searches modules where this process does.

    Raises the function's own GmixerError. Any other failure raises ProcessFailed with the last line of stderr.
    """
    command = [sys.executable, "-m", "gmixer.bench.fresh_main", f"{function.__module__}:{function.__name__}"]
    request = json.dumps({"path": sys.path, "arguments": dict(arguments)})
    done = subprocess.run(command, input=request.encode(), capture_output=True, env=environment)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        said = words[-1] if words else f"the process that measures ended with status {done.returncode} and said nothing"
        error = ProcessFailed(said)
        error.add_note(done.stderr.decode(errors="replace"))  # --debug shows it
        raise error
    answer = json.loads(done.stdout)
    if "error" in answer:
        kind = getattr(errors, answer["error"]["type"], GmixerError)
        raise kind(answer["error"]["message"])
    return Finished(answer["value"], answer["peak_bytes"])
