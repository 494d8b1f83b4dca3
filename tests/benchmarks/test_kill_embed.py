"""kill_embed.py, with few moments: kill -9, then finish."""

from __future__ import annotations

from pathlib import Path

from benchmarks.kill_embed import outcomes


def test_a_killed_run_is_finished_to_the_same_bytes(tmp_path: Path) -> None:
    found = list(outcomes(tmp_path, moments=3, photos=160, part_size=10, seed=3))
    assert sum(outcome.killed_s is not None for outcome in found) == 3 and all(outcome.well for outcome in found), found
