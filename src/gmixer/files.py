"""Writing a file so that the file is always whole: either the old content or the new content, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yields a path in the same folder. The block writes a file there; when the block ends, that file becomes `path`.

    If the block raises, the new file is deleted, and the old file stays. The new file gets the permissions that the
    umask gives every new file, even if the block wrote a private temporary file, as safetensors does.
    shared: others may write the same `path` at the same time. Each file is whole, and the last one stays.

    Raises OSError where the folder cannot be written to, before the block runs; FileNotFoundError where the block wrote
    nothing.
    """
    unfinished = path.with_name(f".{path.name}.{f'{_unique()}.' if shared else ''}unfinished")
    mode = check_writable(path)
    try:
        yield unfinished
        if os.stat(unfinished).st_mode != mode:
            os.chmod(unfinished, mode & 0o777)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def check_writable(path: Path) -> int:
    """Makes and deletes a file beside `path`. Returns the mode that a new file gets: os.umask cannot tell it without
    changing it, for all threads.

    Raises OSError, with the name of `path`, where a new file cannot be made.
    """
    trial = path.with_name(f".{path.name}.{_unique()}.trial")
    try:
        with open(trial, "wb") as file:
            mode = os.fstat(file.fileno()).st_mode
        trial.unlink()
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    return mode


def _unique() -> str:
    """Random, because the processes of two containers may have the same number."""
    return os.urandom(8).hex()
