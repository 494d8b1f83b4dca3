"""A function of this package, called in a fresh Python process: nothing that was measured before is left in its caches,
its allocator or its threads, and its peak of memory is its own. child.py is the other side.
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
class Answer:
    value: Any
    peak_bytes: int  # of resident memory, over the process's life


def in_fresh_process(
    function: Callable[..., Any], arguments: Mapping[str, Any], *, environment: Mapping[str, str] | None = None
) -> Answer:
    """function: of a module's top level. Its arguments and what it returns must be JSON.

    Raises what it raised, where that is a GmixerError; else ProcessFailed with the last words of its stderr.
    """
    command = [sys.executable, "-m", "gmixer.bench.fresh_main", f"{function.__module__}:{function.__name__}"]
    done = subprocess.run(command, input=json.dumps(dict(arguments)).encode(), capture_output=True, env=environment)
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
    return Answer(answer["value"], answer["peak_bytes"])
