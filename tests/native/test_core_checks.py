"""The core without Python: tests/native, built with the shipped flags, under sanitizers and for another machine."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from gmixer.isa import available_isas
from gmixer.runtimes import default_threads

ROOT = Path(__file__).parents[2]
TOOLCHAINS = ROOT / "tests" / "native"
Need = Callable[..., None]


def run(*command: str | Path) -> str:
    """What the command printed; fails the test, showing it, if its exit status is not 0."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
    return done.stdout


@pytest.fixture
def build_and_run(tmp_path: Path, need: Need) -> Callable[..., str]:
    """Builds the checks with options of CMake's and runs them all; gives their output."""

    def tool(name: str, debian: str) -> Path:
        # The test extra installs them beside Python, which is not on the PATH of .venv/bin/pytest.
        found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
        need(found, name, debian=debian)
        return Path(str(found))

    def build(*options: str) -> str:
        cmake, ctest, ninja = tool("cmake", "cmake"), tool("ctest", "cmake"), tool("ninja", "ninja-build")
        jobs = str(default_threads())
        generator = ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}")
        run(cmake, "-S", ROOT, "-B", tmp_path, *generator, "-DGMIXER_TESTS=ON", *options)
        run(cmake, "--build", tmp_path, "--parallel", jobs)
        return run(ctest, "--test-dir", tmp_path, "--parallel", jobs, "--output-on-failure", "--verbose")

    return build


def assert_all_ran(output: str, isas: list[str], *reported: str) -> None:
    """Both networks and the ceiling on exactly these rows; the resize; the pool on 1, 2, 4 threads; every mistake."""
    checked = sorted(re.findall(r"core_check (\w+): (.*); \d+ values", output))
    assert checked == [("gelu", ", ".join(isas)), ("swiglu", ", ".join(isas))]
    assert "resize_check: 1000 windows" in output
    assert f"ceiling_check: {', '.join(isas)}\n" in output
    assert sorted(re.findall(r"\d+000 jobs on (\d) threads, 0 items", output)) == ["1", "2", "4"]
    assert set(re.findall(r"reports_(\w+) \.+ +Passed", output)) == set(reported)


@pytest.mark.slow
def test_every_row_as_shipped(build_and_run: Callable[..., str]) -> None:
    assert_all_ran(build_and_run(), available_isas())


# Compiling a row for the sanitizers takes longer than all else here: none for what cannot run.
UNSANITIZED = f"-DGMIXER_UNSANITIZED={';'.join({'avx512', 'avx2', 'neon'} - {*available_isas()})}"


@pytest.mark.slow
def test_no_address_is_wrong_and_nothing_undefined(build_and_run: Callable[..., str]) -> None:
    output = build_and_run("-DGMIXER_SANITIZE=address,undefined", UNSANITIZED)
    assert_all_ran(output, available_isas(), "overrun", "leak", "overflow")


@pytest.mark.slow
def test_threads_do_not_race(build_and_run: Callable[..., str]) -> None:
    assert_all_ran(build_and_run("-DGMIXER_SANITIZE=thread", UNSANITIZED), available_isas(), "race")


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() in ("aarch64", "arm64"), reason="this is such a machine: the tests above ran")
def test_arm64_under_emulation(build_and_run: Callable[..., str], need: Need) -> None:
    need(shutil.which("aarch64-linux-gnu-g++"), "a compiler for arm64", debian="g++-aarch64-linux-gnu")
    need(shutil.which("qemu-aarch64"), "an emulator for arm64", debian="qemu-user")
    assert_all_ran(build_and_run(f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAINS / 'arm64.cmake'}"), ["neon", "scalar"])
