"""`gmixer embed` is killed at random moments, then finished: are the bytes those of a run without a kill?

    python -m benchmarks.kill_embed --moments 50

Each moment is a new folder: kill -9 once, at a time drawn from the length of an undisturbed run, then the same command
again. It prints a line a moment, and exits with 1 if one of them gives other bytes or makes more than one part twice.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

MODEL = "gmixer_8_64.distill_in1k"


@dataclass(frozen=True)
class Outcome:
    """killed_s: after the start; None if the command was faster. finished: parts at the kill. made_twice: of these,
    and of parts without their record, how many the second run wrote again. different: files that only one of the two
    outputs has, or that have other bytes.
    """

    killed_s: float | None
    finished: int
    made_twice: int
    different: tuple[str, ...]

    @property
    def well(self) -> bool:
        return not self.different and self.made_twice <= 1


def draw_photos(folder: Path, count: int) -> None:
    """JPEGs of smooth colours, and every tenth of them damaged."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        path = folder / f"{i:05}.jpg"
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(path, quality=90)
        if i % 10 == 9:
            path.write_bytes(path.read_bytes()[:2_000])


def command(photos: Path, out: Path, part_size: int, model: str = MODEL) -> list[str]:
    return [
        *(sys.executable, "-m", "gmixer", "embed", str(photos), "-o", f"{out}/"),
        *("--model", model, "--part-size", str(part_size), "--hash"),
    ]


def finish(embed: list[str]) -> float:
    """Seconds. Raises CalledProcessError if the command could not run; damaged images are well."""
    begun = time.monotonic()
    run = subprocess.run(embed, capture_output=True, text=True)
    if run.returncode > 1:
        raise subprocess.CalledProcessError(run.returncode, embed, run.stdout, run.stderr)
    return time.monotonic() - begun


def files_of(out: Path) -> dict[str, bytes]:
    """All that a run leaves, without its locks."""
    paths = sorted(path for path in out.rglob("*") if path.is_file() and "locks" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def kill_and_finish(embed: list[str], out: Path, after_s: float, expected: dict[str, bytes]) -> Outcome:
    process = subprocess.Popen(embed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after_s)
        killed = None
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed = after_s
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*.parquet")}
    finish(embed)
    twice = sum(time_ns != (out / name).stat().st_mtime_ns for name, time_ns in times.items())
    found = files_of(out)
    different = tuple(name for name in sorted(found | expected) if found.get(name) != expected.get(name))
    return Outcome(killed, len(times), twice, different)


def outcomes(folder: Path, *, moments: int, photos: int, part_size: int, seed: int) -> Iterator[Outcome]:
    """Until that many runs were killed. folder: empty, for the photos and the outputs."""
    draw_photos(folder / "photos", photos)
    whole = folder / "whole"
    embed = command(folder / "photos", whole, part_size)
    duration_s = finish(embed)
    expected = files_of(whole)
    rng, kills = random.Random(seed), 0
    for i in range(5 * moments):  # a run may be faster than the first one, and not be killed
        out = folder / f"out-{i}"
        outcome = kill_and_finish(command(folder / "photos", out, part_size), out, rng.uniform(0, duration_s), expected)
        kills += outcome.killed_s is not None
        yield outcome
        if kills == moments:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--photos", type=int, default=2_000)
    parser.add_argument("--part-size", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    well = kills = others = 0
    with tempfile.TemporaryDirectory() as scratch:
        found = outcomes(
            Path(scratch), moments=given.moments, photos=given.photos, part_size=given.part_size, seed=given.seed
        )
        for outcome in found:
            kills += outcome.killed_s is not None
            well += outcome.well and outcome.killed_s is not None
            others += not outcome.well
            moment = "not killed" if outcome.killed_s is None else f"killed after {outcome.killed_s:.2f} s"
            same = f"OTHER BYTES: {', '.join(outcome.different)}" if outcome.different else "the same bytes"
            print(f"{moment}, {outcome.finished} parts there, {outcome.made_twice} made twice, {same}", flush=True)
    print(f"{well} of {kills} kills: the same bytes, and at most one part made twice")
    sys.exit(0 if well == given.moments and not others else 1)


if __name__ == "__main__":
    main()
