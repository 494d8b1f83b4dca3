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

from gmixer import _native
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


def rows_here() -> dict[str, list[str]]:
    """The names of the rows of products that this CPU supports, by precision, as the checks print them."""
    return {
        precision: [
            f"{precision} {isa} {extension}".strip()
            for isa in _native.available_isas(precision)
            for extension in _native.available_extensions(isa, precision)
        ]
        for precision in ("fp32", "bf16", "int8")
    }


def assert_all_ran(output: str, rows: dict[str, list[str]], *reported: str) -> None:
    """Both networks and the ceiling on exactly these rows, and the integers of int8; the resize; the pool on 1, 2, 4
    threads; every mistake."""
    listed = {precision: ", ".join(names) for precision, names in rows.items()}
    checked = re.findall(r"core_check (\w+): (.*); \d+ values, [1-9]\d* images", output)
    assert sorted(checked) == sorted((mlp, names) for mlp in ("gelu", "swiglu") for names in listed.values())
    assert f"linear_check: {listed['int8']}; {20 * len(rows['int8'])} products bit for bit\n" in output
    assert "resize_check: 1000 windows" in output
    assert f"ceiling_check: {', '.join(listed.values())}\n" in output
    assert sorted(re.findall(r"\d+000 jobs on (\d) threads, 0 items", output)) == ["1", "2", "4"]
    assert set(re.findall(r"reports_(\w+) \.+ +Passed", output)) == set(reported)


@pytest.mark.slow
def test_every_row_as_shipped(build_and_run: Callable[..., str]) -> None:
    assert_all_ran(build_and_run(), rows_here())


# Compiling a row for the sanitizers takes longer than all else here: none for what cannot run.
EXTENSIONS = {
    "avx512_vnni": "int8 avx512 vnni",
    "avx512_bw": "int8 avx512 bw",
    "avx512_bf16": "bf16 avx512 bf16",
    "avx2_vnni_vex": "int8 avx2 vnni",
    "avx2_vnni_evex": "int8 avx2 vnni-evex",
}


def absent() -> set[str]:
    isas = {"avx512", "avx2", "neon"} - {*available_isas()}
    here = {row for rows in rows_here().values() for row in rows}
    return isas | {name for name, row in EXTENSIONS.items() if row not in here}


@pytest.mark.slow
def test_no_address_is_wrong_and_nothing_undefined(build_and_run: Callable[..., str]) -> None:
    output = build_and_run("-DGMIXER_SANITIZE=address,undefined", f"-DGMIXER_UNSANITIZED={';'.join(absent())}")
    assert_all_ran(output, rows_here(), "overrun", "leak", "overflow")


@pytest.mark.slow
def test_threads_do_not_race(build_and_run: Callable[..., str]) -> None:
    """All rows of a precision read and write the same memory at the same time. The sanitizer sees only some of them."""
    unsanitized = f"-DGMIXER_UNSANITIZED={';'.join(absent() | EXTENSIONS.keys())}"
    assert_all_ran(build_and_run("-DGMIXER_SANITIZE=thread", unsanitized), rows_here(), "race")


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() in ("aarch64", "arm64"), reason="this is such a machine: the tests above ran")
def test_arm64_under_emulation(build_and_run: Callable[..., str], need: Need) -> None:
    need(shutil.which("aarch64-linux-gnu-g++"), "a compiler for arm64", debian="g++-aarch64-linux-gnu")
    need(shutil.which("qemu-aarch64"), "an emulator for arm64", debian="qemu-user")
    rows = {
        "fp32": ["fp32 neon", "fp32 scalar"],
        "bf16": ["bf16 neon bf16", "bf16 scalar"],  # the emulated CPU has both extensions
        "int8": ["int8 neon dotprod", "int8 scalar"],
    }
    assert_all_ran(build_and_run(f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAINS / 'arm64.cmake'}"), rows)
