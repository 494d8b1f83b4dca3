"""The default number of threads: affinity and the control group's quota."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gmixer.errors import EngineError
from gmixer.runtimes import threads


def groups(tmp_path: Path, membership: str, **files: str) -> tuple[Path, Path]:
    """A made-up /sys/fs/cgroup and /proc/self/cgroup."""
    for name, text in files.items():
        path = tmp_path / "cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "self").write_text(membership)
    return tmp_path / "cgroup", tmp_path / "self"


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu_DOT_max": "max 100000\n"}, None),
        ("0::/\n", {"cpu_DOT_max": "150000 100000\n"}, 1.5),
        ("0::/pod/box\n", {"pod__box__cpu_DOT_max": "max 100000\n", "pod__cpu_DOT_max": "200000 100000\n"}, 2.0),
        ("0::/pod/box\n", {"pod__box__cpu_DOT_max": "50000 100000\n", "pod__cpu_DOT_max": "200000 100000\n"}, 0.5),
        ("0::/not/visible/here\n", {"cpu_DOT_max": "300000 100000\n"}, 3.0),
        ("4:cpu,cpuacct:/job\n", {"cpu__job__cpu_DOT_cfs_quota_us": "-1\n"}, None),
        (
            "4:cpu,cpuacct:/job\n1:name=systemd:/job\n",
            {"cpu__job__cpu_DOT_cfs_quota_us": "250000\n", "cpu__job__cpu_DOT_cfs_period_us": "100000\n"},
            2.5,
        ),
    ],
)
def test_quota_is_the_tightest_of_the_groups_above(
    tmp_path: Path, membership: str, files: dict[str, str], quota: float | None
) -> None:
    root, own = groups(tmp_path, membership, **files)
    assert threads.cgroup_quota(root, own) == quota


@pytest.mark.parametrize(("allowed", "quota", "expected"), [(8, None, 8), (8, 2.5, 3), (2, 16.0, 2), (4, 0.2, 1)])
def test_default_respects_affinity_and_quota(
    allowed: int, quota: float | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(allowed)), raising=False)
    monkeypatch.setattr(threads, "cgroup_quota", lambda: quota)
    assert threads.default_threads() == expected


@pytest.mark.parametrize("wrong", [0, -1, 1025, 1.5, True, "2"])
def test_wrong_counts_are_refused(wrong: object) -> None:
    with pytest.raises(EngineError, match=r"wanted a whole number from 1 to 1,024, or None"):
        threads.check_threads(wrong)  # type: ignore[arg-type]
