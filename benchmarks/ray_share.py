"""Two actors of Ray against two plain processes, side by side on this machine, each of one thread.

    python -m benchmarks.ray_share --photos 512 --rounds 3

The two processes of gmixer.bulk.embed share the parts as --part 1/2 and 2/2. Both ways alternate, and both are timed
from the second part that is written to the last, so without the start of processes and the load of the model.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.folder_contest import draw_photos
from gmixer.bench.stats import Spread
from gmixer.bench.target import Target, open_target

SHARE = """
import sys
import gmixer
from gmixer.bulk import PartOptions
photos, out, model, name, size, turn = sys.argv[1:]
predictor = gmixer.load(model, name=name or None, threads=1)
gmixer.bulk.embed(photos, out, model=predictor, parts=PartOptions(part_size=int(size), share=(int(turn), 2)))
"""
ON_RAY = """
import sys
import gmixer
from gmixer.bulk import PartOptions, Ray
photos, out, model, name, size = sys.argv[1:]
on = Ray(actors=2, threads=1)
predictor = gmixer.load(model, name=name or None, threads=1)
gmixer.bulk.embed(photos, out, model=predictor, parts=PartOptions(part_size=int(size), on=on))
"""


def rate(out: Path, part_size: int) -> float:
    """Images a second, from the first two parts to the last."""
    times = sorted(path.stat().st_mtime for path in out.glob("part-*.parquet"))
    return (len(times) - 2) * part_size / (times[-1] - times[1])


def plain(photos: Path, out: Path, target: Target, part_size: int) -> None:
    words = [sys.executable, "-c", SHARE, str(photos), str(out), target.source, target.variant or "", str(part_size)]
    processes = [subprocess.Popen([*words, str(turn)]) for turn in (1, 2)]
    if sum(process.wait() != 0 for process in processes):
        raise SystemExit("a plain process has failed")


def on_ray(photos: Path, out: Path, target: Target, part_size: int) -> None:
    words = [sys.executable, "-c", ON_RAY, str(photos), str(out), target.source, target.variant or "", str(part_size)]
    subprocess.run(words, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=512)
    parser.add_argument("--part-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="gmixer_24_224", help="a bare variant has drawn weights")
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    shares = []
    with open_target(given.model) as target:
        folder = target.scratch
        (folder / "photos").mkdir()
        draw_photos(folder / "photos", given.photos)
        for turn in range(given.rounds):
            rates = {}
            ways = (plain, on_ray) if turn % 2 else (on_ray, plain)  # the machine's speed changes
            for way in ways:
                out = folder / f"{way.__name__}-{turn}"
                way(folder / "photos", out, target, given.part_size)
                rates[way] = rate(out, given.part_size)
            shares.append(rates[on_ray] / rates[plain])
            print(f"plain {rates[plain]:.1f}, Ray {rates[on_ray]:.1f} images a second: {shares[-1]:.1%}", flush=True)
    spread = Spread.of(shares)
    print(f"Ray reaches {spread.median:.1%} ({spread.least:.1%} … {spread.greatest:.1%}, n = {spread.n})")


if __name__ == "__main__":
    main()
