"""What a signal does to a command."""

from __future__ import annotations

import signal
import sys


def exit_on_sigterm() -> None:
    """SIGTERM ends the command as an interrupt does: `finally` and `with` remove scratch folders and end processes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
