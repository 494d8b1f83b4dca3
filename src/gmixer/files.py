"""A file that is written is whole, or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Gives a path beside `path` to write to, which takes its place once the block ends. Where the block raises,
    nothing of it is left, and what was there before stays.

    shared: another process may be writing the same file.
    """
    unfinished = path.with_name(f".{path.name}.{f'{os.getpid()}.' if shared else ''}unfinished")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
