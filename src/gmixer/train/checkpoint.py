"""The state of a run on disk: one file, replaced only by a whole new one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gmixer.errors import InputError
from gmixer.files import atomic_write


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Raises OSError where the disk is full or refuses; what was there before is then still there, and whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
    except RuntimeError as error:  # how torch says that a write failed
        raise OSError(f"{path}: {error}") from error
    _sync_folder(path.parent)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """None where there is none. Raises InputError for a file that is none of ours."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many types
        raise InputError(f"{path} is no checkpoint of a run ({error}); move it away to start anew") from error
    if not isinstance(state, dict) or "step" not in state:
        raise InputError(f"{path} is no checkpoint of a run; move it away to start anew")
    return state


def _sync_folder(folder: Path) -> None:
    """The new name must be on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
