"""Checks whether gmixer works on this machine. Each check has one subject, and names a remedy if it fails.

    finding.py         Finding: the answer of a check
    install.py         gmixer, its packages, Pillow's codecs, the extras
    native_core.py     the native core: whether it loads, and whether every instruction set and precision is correct
    reference.py       the network in numpy: in float64 the truth, in bf16 and int8 the error that these have
    embedded.py        the embedded model against its golden answer (golden.json, made by tools/make_golden.py)
    processors.py      the number of threads, and its reason
    cache.py           the Hub's cache, and free disk
    hub_connection.py  the Hub itself: the only check that uses the network
    child_process.py   a forked child, for native code that may crash

A check imports its module when it runs, so a module that cannot be imported fails one check.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping

from gmixer.doctor.finding import Finding, Outcome, Status, failed
from gmixer.doctor.install import REINSTALL
from gmixer.errors import GmixerError

__all__ = ["CHECKS", "Check", "Finding", "Status", "examine", "imported_check"]

Check = Callable[[], Outcome]


def imported_check(module: str, function: str) -> Check:
    """A check that imports gmixer.doctor.<module> when it runs."""

    def check() -> Outcome:
        outcome: Outcome = getattr(importlib.import_module(f"gmixer.doctor.{module}"), function)()
        return outcome

    return check


# Name → check, in the order in which they run. A check comes after those that it depends on; the network comes last.
CHECKS: dict[str, Check] = {
    "gmixer": imported_check("install", "gmixer"),
    "packages": imported_check("install", "packages"),
    "codecs": imported_check("install", "codecs"),
    "more formats": imported_check("install", "more_formats"),
    "PyTorch": imported_check("install", "pytorch"),
    "native core": imported_check("native_core", "native_core"),
    "instruction sets": imported_check("native_core", "instruction_sets"),
    "bf16 and int8": imported_check("native_core", "low_precisions"),
    "same bits": imported_check("native_core", "same_bits"),
    "embedded weights": imported_check("embedded", "weights"),
    "transform": imported_check("embedded", "transform"),
    "golden answer": imported_check("embedded", "answer"),
    "threads": imported_check("processors", "threads"),
    "cache": imported_check("cache", "cache"),
    "cached models": imported_check("cache", "cached_models"),
    "downloads": imported_check("cache", "downloads"),
    "disk": imported_check("cache", "disk"),
    "Hub": imported_check("hub_connection", "hub"),
}


def examine(
    checks: Mapping[str, Check] = CHECKS, *, on_error: Callable[[Exception], None] = lambda error: None
) -> Iterator[Finding]:
    """Runs the checks, and yields a finding for each. A check that raises is a failed check; the others still run.

    on_error: called with the exception of a check.
    """
    for name, check in checks.items():
        try:
            outcome = check()
        except Exception as error:
            on_error(error)
            outcome = _raised(error)
        yield Finding(name, *outcome)


def _raised(error: Exception) -> Outcome:
    words = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, GmixerError):
        return failed(str(error), "correct what the message names; gmixer doctor --debug shows where it was raised")
    if isinstance(error, ImportError):
        return failed(words, REINSTALL)
    return failed(f"the check itself failed, with {words}", "report it, with what gmixer doctor --debug prints")
