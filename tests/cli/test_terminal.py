"""terminal.py: only the command itself writes to stderr."""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command import GMIXER, shown_in_terminal

# The command, with a decoder that writes as C libraries do, past Python.
LOUD = [
    sys.executable,
    "-c",
    """
import os, sys, warnings
from PIL import PngImagePlugin
true_load = PngImagePlugin.PngImageFile.load
def load(image):
    os.write(2, b"from a decoder\\n")
    return true_load(image)
PngImagePlugin.PngImageFile.load = load
from gmixer.cli import main
main()
""",
]


def run(command: list[str], *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    line = [*command, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def photos(photos: list[Path]) -> list[Path]:
    """PNGs only: LOUD makes no other decoder speak."""
    pngs = [path for path in photos if path.suffix == ".png"]
    assert len(pngs) == 2
    return [*pngs, pngs[0]]


@pytest.fixture
def broken_tiff(tmp_path: Path) -> Path:
    """libtiff writes a line about each of its many strips."""
    out = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(out, "TIFF", compression="tiff_lzw", strip_size=1)
    data = bytearray(out.getvalue())
    data[10] ^= 255
    path = tmp_path / "broken.tif"
    path.write_bytes(data)
    return path


def test_libtiff_writes_to_stderr_by_itself(broken_tiff: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    program = "import sys; from PIL import Image; Image.open(sys.argv[1]).load()"
    assert "Using code not yet in table" in run([sys.executable, "-c", program], broken_tiff).stderr


@pytest.mark.parametrize("isolate", [[], ["--isolate"]])
def test_a_broken_tiff_is_one_row_and_one_line(broken_tiff: Path, isolate: list[str]) -> None:
    finished = run(GMIXER, "classify", broken_tiff, "--json", *isolate)
    assert finished.stderr == "1 of 1 could not be read\n"
    assert '"kind": "corrupt"' in finished.stdout and finished.returncode == 1


def test_a_decoder_is_not_heard(photos: list[Path], tmp_path: Path) -> None:
    quiet = run(GMIXER, "classify", *photos, "absent.png", "--json")
    loud = run(LOUD, "classify", *photos, "absent.png", "--json")
    assert (loud.stdout, loud.stderr, loud.returncode) == (quiet.stdout, "1 of 4 could not be read\n", 1)
    assert "from a decoder" not in run(LOUD, "embed", *photos, "-o", tmp_path / "out.npz").stderr


def test_with_debug_it_is(photos: list[Path]) -> None:
    assert "from a decoder\n" in run(LOUD, "classify", *photos, "--json", "--debug").stderr


def test_the_same_where_stderr_leads_elsewhere(photos: list[Path], tmp_path: Path) -> None:
    arguments = " ".join(map(str, ["classify", *photos, "absent.png", "--json"]))
    python, flag, program = LOUD
    for redirection, wanted in {
        f"2>{tmp_path}/log": "1 of 4 could not be read\n",
        f"2>>{tmp_path}/log": "1 of 4 could not be read\n" * 2,
        "2>&-": "",
        "2>&- <&-": "",
    }.items():
        command = [python, flag, program]
        finished = run(["sh", "-c", f'exec "$@" {arguments} {redirection}', "sh"], *command)
        assert (finished.returncode, len(finished.stdout.splitlines())) == (1, 4), redirection
        if wanted:
            assert (tmp_path / "log").read_text() == wanted
    both = run(["sh", "-c", f'exec "$@" {arguments} 2>&1', "sh"], *LOUD).stdout.splitlines()
    assert len(both) == 5 and both[4] == "1 of 4 could not be read"


def test_a_closed_stderr_is_no_place_for_a_file(photos: list[Path], tmp_path: Path) -> None:
    """The next file opened would get descriptor 2, and what a C library says."""
    output = tmp_path / "out.npz"
    command = ["sh", "-c", f'exec "$@" embed {photos[0]} --debug -o {output} 2>&- <&-', "sh", *LOUD]
    assert run(command).returncode == 0
    assert b"from a decoder" not in output.read_bytes()
    with np.load(output) as stored:
        assert len(stored["vectors"]) == 1


def test_the_command_still_speaks_for_itself(photos: list[Path]) -> None:
    """Afterwards descriptor 2 is what it was; a mistake of its own still has its traceback."""
    mistake = LOUD[2].replace("main()\n", "import gmixer.rows.view as v\nv.WriterView.row = lambda *_: 1 / 0\nmain()\n")
    finished = run([*LOUD[:2], mistake], "classify", *photos, "--json")
    assert "ZeroDivisionError" in finished.stderr and "from a decoder" not in finished.stderr
    leave = "leave = os._exit\nos._exit = lambda status: (os.write(2, b'afterwards'), leave(status))\n"  # how main ends
    after = LOUD[2].replace("main()\n", f"{leave}main()\n")
    assert run([*LOUD[:2], after], "classify", *photos, "--json").stderr == "afterwards"


def test_faulthandler_still_tells_of_a_crash(photos: list[Path]) -> None:
    program = LOUD[2].replace('os.write(2, b"from a decoder\\n")', "os.abort()")
    environment = os.environ | {"PYTHONFAULTHANDLER": "1"}
    finished = run([*LOUD[:2], program], "classify", photos[0], env=environment)
    assert finished.returncode < 0 and "Fatal Python error: Aborted" in finished.stderr
    assert "decode.py" in finished.stderr


def test_progress_is_shown_and_the_decoder_not(photos: list[Path]) -> None:
    def become_the_command() -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.execve(LOUD[0], [*LOUD, "classify", *map(str, photos * 10), "--json"], os.environ | {"TERM": "xterm"})

    shown, status = shown_in_terminal(become_the_command)
    assert status == 0
    assert b"30/30" in shown and b"from a decoder" not in shown
