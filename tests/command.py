"""The command in this process, in a separate process behind a pipe, and in a terminal."""

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

from typer.testing import CliRunner

from gmixer.cli import app
from gmixer.errors import GmixerError

GMIXER = [sys.executable, "-m", "gmixer"]


def call(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Runs the command in this process: ten times faster, for tests that need no process, terminal or descriptor."""
    words = list(map(str, arguments))
    result = CliRunner().invoke(app, words, input=stdin, env={"COLUMNS": "200"})
    status, stderr = result.exit_code, result.stderr
    if isinstance(result.exception, GmixerError):  # as in gmixer.cli.main
        status, stderr = 2, f"{stderr}gmixer: {result.exception}\n"
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(words, status, result.stdout, stderr)


def run(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a separate process, with pipes."""
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
