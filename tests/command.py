"""The command in a process of its own: behind a pipe, in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable

GMIXER = [sys.executable, "-m", "gmixer"]


def run(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a pipe."""
    finished = subprocess.run(
        [*GMIXER, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=os.environ | {"COLUMNS": "200"} | environment,  # typer frames its messages, and would wrap them
        timeout=120,
    )
    text = (finished.stdout.decode(errors="surrogateescape"), finished.stderr.decode(errors="surrogateescape"))
    assert "Traceback" not in text[1] or "--debug" in arguments, text[1]
    return subprocess.CompletedProcess(finished.args, finished.returncode, *text)


def run_in_terminal(*arguments: object, columns: int = 100) -> tuple[str, int]:
    """Runs the command in a terminal of that width; what it shows, without colours, and its exit status."""

    def become_the_command() -> None:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        os.execve(GMIXER[0], [*GMIXER, *map(str, arguments)], environment | {"TERM": "xterm-256color"})

    shown, status = shown_in_terminal(become_the_command)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r", "\n"), status


def shown_in_terminal(become: Callable[[], None]) -> tuple[bytes, int]:
    """What a child in a terminal of its own shows, and its exit status. become: replaces the child by a program."""
    pid, terminal = pty.fork()
    if pid == 0:
        become()
    shown = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux' way to say that the other side is closed
            break
        if not chunk:
            break
        shown += chunk
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
