"""progress.py: a bar in a terminal, and nothing elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from gmixer.rows.progress import progress_bar


def shown(stream: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())


def terminal() -> tuple[io.StringIO, Console]:
    stream = io.StringIO()
    return stream, Console(file=stream, width=80, force_terminal=True)


def test_without_a_terminal_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("files", 10) as bar:
        bar.update(3, 10)
        bar.restart(5)
        bar.line("a line")
        assert not bar.shown
    assert capsys.readouterr() == ("", "")


def test_it_counts() -> None:
    stream, console = terminal()
    with progress_bar("files", 10, console=console) as bar:
        assert bar.shown
        bar.update(3)
        bar.update(10)
    assert "10/10 files" in shown(stream)


def test_the_total_may_come_later() -> None:
    stream, console = terminal()
    with progress_bar("images", console=console) as bar:
        bar.update(4, 8)
    assert "0/? images" in shown(stream) and "4/8 images" in shown(stream)


def test_it_begins_again_and_says_what_it_does() -> None:
    stream, console = terminal()
    with progress_bar(console=console, figure="percent") as bar:
        bar.restart(50, done=25)
        bar.line("a [b]line\x1b]0;mine\x07")
        bar.update(50, text="epoch 1.00")
    assert "100 % epoch 1.00" in shown(stream)
    assert "a [b]line\\x1b]0;mine\\x07" in shown(stream)
