"""Is gmixer well on this machine? A table of checks; each looks at one thing and says what to do where it is wrong.

    finding.py     what a check finds
    install.py     gmixer, its packages, Pillow's codecs, PyTorch
    core.py        the native core: does it load, does every instruction set compute right
    reference.py   the network in numpy, float64: the judge of the core
    embedded.py    the embedded model against its golden answer (golden.json, made by tools/make_golden.py)
    resources.py    threads
    cache.py       the Hub's cache, and free disk
    hub_access.py    the Hub itself: the one check that touches the network
    forked.py      a forked child, for native code that may die

Modules here are imported one by one, inside the check: one that cannot be imported is one failed check.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping

from gmixer.doctor.finding import Finding, Outcome, Status, failed
from gmixer.doctor.install import REINSTALL
from gmixer.errors import GmixerError

__all__ = ["CHECKS", "Finding", "Status", "examine"]

# Name → the function, in the order in which they are looked at: what others stand on first, the network last.
CHECKS: dict[str, str] = {
    "gmixer": "install.gmixer",
    "packages": "install.packages",
    "codecs": "install.codecs",
    "PyTorch": "install.pytorch",
    "native core": "core.native_core",
    "instruction sets": "core.instruction_sets",
    "same bits": "core.same_bits",
    "embedded weights": "embedded.weights",
    "transform": "embedded.transform",
    "golden answer": "embedded.answer",
    "threads": "resources.threads",
    "cache": "cache.cache",
    "cached models": "cache.cached_models",
    "downloads": "cache.downloads",
    "disk": "cache.disk",
    "Hub": "hub_access.hub",
}


def examine(
    checks: Mapping[str, str] = CHECKS, *, on_error: Callable[[Exception], None] = lambda error: None
) -> Iterator[Finding]:
    """A finding for every check, as they are made. One that raises is a failed check, and stops no other.

    on_error: called with what a check raised.
    """
    for name, home in checks.items():
        try:
            module, _, function = home.partition(".")
            look: Callable[[], Outcome] = getattr(importlib.import_module(f"gmixer.doctor.{module}"), function)
            outcome = look()
        except Exception as error:
            on_error(error)
            outcome = _raised(error)
        yield Finding(name, *outcome)


def _raised(error: Exception) -> Outcome:
    words = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, GmixerError):
        return failed(str(error), "put right what it says; gmixer doctor --debug shows where it came from")
    if isinstance(error, ImportError):
        return failed(words, REINSTALL)
    return failed(f"the check itself failed, with {words}", "report it, with what gmixer doctor --debug prints")
