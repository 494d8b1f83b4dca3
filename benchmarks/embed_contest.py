"""`gmixer embed` on a folder of JPEGs: against the model alone, from a slow S3, and against timm's way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import slow_s3, tree_launcher
from benchmarks.contest import Contest, Contestant, Measurement, Run, ratios
from benchmarks.folder_contest import draw_photos
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.row import Step
from gmixer.bench.stats import Spread
from gmixer.bench.target import Target
from gmixer.bench.workload import Workload
from gmixer.errors import EngineError

GROUPS = ("local", "s3", "timm")
PACKAGES = {"local": ("pyarrow",), "s3": ("moto", "s3fs"), "timm": ("timm", "torch")}
FIRST = "000000.jpg"  # of the drawn photos
CHUNKS = 2  # gmixer embed and the model alone alternate after this share of the photos
BUCKET = "photos"
PAUSE_MS = 20.0
WORKERS = (0, 2)  # of torch's loader
BATCH = 64  # of timm
SCRIPTS = Path(__file__).parent / "scripts"


def local_steps(target: Target, workload: Workload, count: int, rounds: int) -> list[Step]:
    """From a folder to a folder of parts, against the model alone in the same process."""
    sources = _chunks(target.scratch / "local", count)
    run = _AgainstModel(workload, [str(folder) for folder in sources], target.scratch, count)
    return run.contest("local", f"{count} local JPEGs").steps(rounds)


def s3_steps(target: Target, workload: Workload, count: int, rounds: int, server: slow_s3.SlowS3) -> list[Step]:
    """The same from an S3 that pauses before each answer."""
    folders = _chunks(target.scratch / "s3", count)
    sources = [f"s3://{BUCKET}/{folder.name}/" for folder in folders]
    run = _AgainstModel(workload, sources, target.scratch, count, server)
    what = f"{count} JPEGs on S3, {PAUSE_MS:.0f} ms later"
    return [Step("uploading the photos", partial(_upload, folders, server)), *run.contest("s3", what).steps(rounds)]


def timm_steps(target: Target, workload: Workload, count: int, rounds: int) -> list[Step]:
    """From a folder to one Parquet file, against a script with timm. Each is a whole process with its children."""
    (folder,) = _chunks(target.scratch / "timm", count, chunks=1)
    model = [str(workload.variant), workload.source]

    def out(key: str) -> str:
        return str(target.scratch / f"{key}.parquet")

    scripts = [_Script("gmixer", "gmixer", ["gmixer_embed.py", str(folder), out("gmixer"), *model], count)]
    for workers in WORKERS:
        label = f"timm, {workers} worker{'s' * (workers != 1)}"
        key = f"timm-{workers}"
        words = ["timm_embed.py", str(folder.parent), out(key), *model, str(workers), str(BATCH)]
        scripts.append(_Script(key, label, words, count))
    contest = Contest(
        group="timm",
        what=f"{count} JPEGs to a Parquet file",
        title=f"{count} JPEGs to vectors in a Parquet file, timm in batches of {BATCH}; without the start",
        unit="image",
        runs=[Run([Contestant(script.key, script.label)], script) for script in scripts],
        remark=partial(_remark_on_whole, scripts),
    )
    return contest.steps(rounds)


@dataclass(frozen=True)
class _AgainstModel:
    workload: Workload
    sources: Sequence[str]
    scratch: Path
    count: int
    server: slow_s3.SlowS3 | None = None
    server_shares: list[float] = field(default_factory=list)  # of all processors, while gmixer embed runs

    def contest(self, group: str, what: str) -> Contest:
        threads = self.workload.threads
        return Contest(
            group=group,
            what=what,
            title=f"{what}, to a folder of parts, {self.workload.precision}, {threads} thread{'s' * (threads != 1)}",
            unit="image",
            runs=[
                Run(
                    [Contestant("gmixer", "gmixer embed"), Contestant("model", "the model alone", rival=False)],
                    self._measure,
                )
            ],
            remark=self._remark,
        )

    def _measure(self) -> Mapping[str, Measurement]:
        arguments = {
            "workload": asdict(self.workload),
            "sources": list(self.sources),
            "scratch": str(self.scratch),
            "count": self.count,
            "storage": self.server.options if self.server else {},
            "server_pid": self.server.pid if self.server else None,
        }
        done = in_fresh_process(measure_embed, arguments)
        self.server_shares.append(done.value.pop("server_share"))
        peak_mib = done.peak_bytes / 2**20
        return {key: Measurement(ms=s * 1e3 / self.count, peak_mib=peak_mib) for key, s in done.value.items()}

    def _remark(self, ms: Mapping[str, Sequence[float]]) -> str:
        said = f"gmixer embed reaches {_in_per_cent(ratios(ms['model'], ms['gmixer']))} of the model's own rate"
        if self.server:
            said += f"; the server took {_in_per_cent(self.server_shares)} of the processors meanwhile"
        return said


def measure_embed(
    workload: dict[str, Any],
    sources: list[str],
    scratch: str,
    count: int,
    storage: dict[str, Any],
    server_pid: int | None,
) -> dict[str, float]:
    """Runs in a fresh process. Returns the seconds of gmixer embed, and those of the model alone for as many images.

    Both have run before: the imports of the first call are not measured. The two alternate source by source, because
    the speed of the machine changes. server_share: of all processors. Raises EngineError if an image was lost.
    """
    import os
    from tempfile import TemporaryDirectory

    from gmixer.bench.workload import drawn_images
    from gmixer.bulk import embed
    from gmixer.options import Storage

    predictor = Workload.from_dict(workload).load_predictor()
    batch = predictor.runtime.batch_hint
    x_BCHW = drawn_images(predictor.model, batch)
    predictor.forward(x_BCHW)
    reached = Storage(options=storage)
    seconds = {"gmixer": 0.0, "model": 0.0}
    each, server_s = count // len(sources), 0.0

    def ours(source: str, out: str) -> None:
        nonlocal server_s
        server_before_s = cpu_s_of(server_pid)
        begin = time.perf_counter()
        stored = embed(source, out, model=predictor, storage=reached)
        seconds["gmixer"] += time.perf_counter() - begin
        server_s += cpu_s_of(server_pid) - server_before_s
        if (found := stored.table(["path"], readable=True).num_rows) != each:
            raise EngineError(f"{source} became {found} vectors; wanted {each}")

    def model_alone() -> None:
        begin = time.perf_counter()
        for done in range(0, each, batch):
            predictor.forward(x_BCHW[: min(batch, each - done)])
        seconds["model"] += time.perf_counter() - begin

    with TemporaryDirectory(dir=scratch) as folder:
        embed(f"{sources[0].rstrip('/')}/{FIRST}", f"{folder}/first", model=predictor, storage=reached)
        for number, source in enumerate(sources):
            turns: list[Callable[[], None]] = [partial(ours, source, str(Path(folder) / str(number))), model_alone]
            for turn in turns if number % 2 == 0 else reversed(turns):
                turn()
    share = server_s / seconds["gmixer"] / len(os.sched_getaffinity(0))
    return seconds | {"server_share": share}


def cpu_s_of(pid: int | None) -> float:
    return slow_s3.cpu_s(pid) if pid is not None else 0.0


def _chunks(folder: Path, count: int, chunks: int = CHUNKS) -> list[Path]:
    """Folders with count / chunks photos each."""
    folders = [folder / str(number) for number in range(chunks)]
    for chunk in folders:
        chunk.mkdir(parents=True)
        draw_photos(chunk, count // chunks)
    return folders


def _upload(folders: Sequence[Path], server: slow_s3.SlowS3) -> list[Any]:
    import fsspec

    files = fsspec.filesystem("s3", **server.options)
    files.mkdir(BUCKET)
    for folder in folders:
        files.put(str(folder), f"{BUCKET}/{folder.name}", recursive=True)
    return []


@dataclass(frozen=True)
class _Script:
    """words: the file in scripts/, and its arguments. peaks_mib, starts_s: of each round."""

    key: str
    label: str
    words: Sequence[str]
    count: int
    peaks_mib: list[float] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)

    def __call__(self) -> Mapping[str, Measurement]:
        """Raises EngineError if the script fails, or loses an image."""
        name, *arguments = self.words
        launch = [sys.executable, "-I", "-S", tree_launcher.__file__, sys.executable, str(SCRIPTS / name), *arguments]
        done = subprocess.run(launch, capture_output=True, text=True)
        if done.returncode or (measured := json.loads(done.stdout))["status"]:
            lines = done.stderr.strip().splitlines()
            raise EngineError(lines[-1] if lines else f"{name} failed without a message")
        said = json.loads(measured["said"])
        if said["rows"] != self.count:
            raise EngineError(f"{name} wrote {said['rows']} vectors; wanted {self.count}")
        self.peaks_mib.append(measured["peak_bytes"] / 2**20)
        self.starts_s.append(measured["seconds"] - said["seconds"])
        return {self.key: Measurement(ms=said["seconds"] * 1e3 / self.count, peak_mib=self.peaks_mib[-1])}


def _remark_on_whole(scripts: Sequence[_Script], ms: Mapping[str, Sequence[float]]) -> str:
    ours, *theirs = scripts
    measured = [script for script in scripts if script.starts_s]
    starts = ", ".join(f"{script.label} {Spread.of(script.starts_s).median:.1f} s" for script in measured)
    shares = "; ".join(
        f"{_in_per_cent(ratios(ours.peaks_mib, script.peaks_mib))} of {script.label}"
        for script in theirs
        if len(script.peaks_mib) == len(ours.peaks_mib)  # otherwise it failed
    )
    return f"the start of the process takes: {starts}. The peak memory of gmixer is {shares}"


def _in_per_cent(fractions: Sequence[float]) -> str:
    part = Spread.of(fractions)
    return f"{part.median:.1%} ({part.least:.1%} … {part.greatest:.1%}, n = {part.n})"
