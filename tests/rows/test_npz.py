"""npz.py: the arrays of `gmixer embed`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gmixer.rows.npz import open_npz

ABOUT: dict[str, str | int] = {"model": "m", "image_px": 64}
VECTORS = np.arange(6, dtype=np.float32).reshape(2, 3)
FAILED = {"path": "c.png", "error_kind": "corrupt", "error_message": "cut short"}


def test_good_rows_and_failed_rows_have_their_own_arrays(tmp_path: Path) -> None:
    with open_npz(tmp_path / "out.npz", channels=3, about=ABOUT) as writer:
        writer.write([{"path": "a.png", "vector": VECTORS[0]}, FAILED])
        writer.write([{"path": "b.png", "vector": VECTORS[1], "note": "is grey"}])
    with np.load(tmp_path / "out.npz") as stored:  # without allow_pickle
        assert stored.files == [
            "vectors", "paths", "notes", "failed_paths", "failed_kinds", "failed_messages", "model", "image_px"
        ]  # fmt: skip
        np.testing.assert_array_equal(stored["vectors"], VECTORS)
        assert stored["vectors"].dtype == np.float32
        assert stored["paths"].tolist() == ["a.png", "b.png"]
        assert stored["notes"].tolist() == ["", "is grey"]
        assert stored["failed_paths"].tolist() == ["c.png"]
        assert stored["failed_kinds"].tolist() == ["corrupt"]
        assert stored["failed_messages"].tolist() == ["cut short"]
        assert str(stored["model"]) == "m" and int(stored["image_px"]) == 64
    assert os.listdir(tmp_path) == ["out.npz"]


def test_without_good_rows_the_vectors_still_have_their_width(tmp_path: Path) -> None:
    with open_npz(tmp_path / "out.npz", channels=3, about=ABOUT) as writer:
        writer.write([FAILED])
    with np.load(tmp_path / "out.npz") as stored:
        assert stored["vectors"].shape == (0, 3) and stored["vectors"].dtype == np.float32
        assert stored["paths"].shape == (0,) and stored["paths"].dtype.kind == "U"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.npz"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), open_npz(path, channels=3, about=ABOUT) as writer:
        writer.write([FAILED])
        raise KeyboardInterrupt
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["out.npz"]


def test_a_folder_that_is_not_there_is_refused_before_any_row(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_npz(tmp_path / "no" / "out.npz", channels=3, about=ABOUT):
        raise AssertionError("the block began")
