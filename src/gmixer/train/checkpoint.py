"""The file of a run's state, which is replaced only by a complete new file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gmixer.errors import InputError
from gmixer.files import atomic_write


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Raises OSError where the disk is full or refuses; the file that was there before is then unchanged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
    except RuntimeError as error:  # torch's error for a failed write
        raise OSError(f"{path} could not be written; the disk may be full") from error
    _sync_folder(path.parent)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """None where there is no file. Raises InputError for a file that is no checkpoint of a run."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many types
        raise InputError(
            f"{path} is no checkpoint of a run: it is damaged or of another kind; move it away to start again"
        ) from error
    if not isinstance(state, dict) or "step" not in state:
        raise InputError(f"{path} is no checkpoint of a run; move it away to start again")
    return state


def _sync_folder(folder: Path) -> None:
    """Makes sure that the new name is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
