"""From nothing to the first answer: whole processes, and what `import gmixer` adds to a bare Python."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gmixer.bench import contestants, launch
from gmixer.bench.contest import Contest, Entrant, Result, Turn
from gmixer.bench.jpegs import TYPICAL, drawn_jpeg
from gmixer.bench.peers import export_step
from gmixer.bench.row import Step, ends
from gmixer.bench.stats import Spread
from gmixer.bench.target import Subject
from gmixer.catalogue import EMBEDDED_MODEL
from gmixer.errors import EngineError
from gmixer.options import WeightsSource
from gmixer.weights import find_checkpoint

PACKAGES = ("torch", "timm", "onnx", "onnxruntime")
SCRIPTS = Path(__file__).parent / "scripts"


def start_steps(subject: Subject, *, rounds: int, threads: int) -> list[Step]:
    picture = subject.scratch / "one.jpg"
    picture.write_bytes(drawn_jpeg(*TYPICAL, seed=0))
    network = subject.scratch / contestants.ONNX_FILE
    classify = [sys.executable, "-m", "gmixer", "classify", str(picture)]
    named = ["--name", subject.variant] if subject.variant else []
    contests = [
        _contest(
            f"gmixer classify, {subject.name}",
            [
                ("gmixer", "gmixer classify", [*classify, "--model", subject.source, *named]),
                *([("timm", "timm script", _timm(subject, picture))] if _timm_knows(subject) else []),
                ("onnxruntime", "ONNX Runtime script", _onnx(subject, picture, network)),
            ],
        ),
        _contest(
            "gmixer classify, the embedded model",
            [("gmixer", "gmixer classify", [*classify, "--model", EMBEDDED_MODEL])],
        ),
        _contest(
            "import gmixer",
            [
                ("import", "import gmixer", [sys.executable, "-c", "import gmixer"]),
                ("python", "bare Python", [sys.executable, "-c", "pass"]),
            ],
            rivals=False,
            remark=_beyond_python,
        ),
    ]
    return [export_step(subject, batch=1, threads=threads), *(step for c in contests for step in c.steps(rounds))]


def _beyond_python(ms: Mapping[str, Sequence[float]]) -> str:
    beyond = Spread.of([ours - bare for ours, bare in zip(ms["import"], ms["python"], strict=True)])
    return f"import gmixer takes {beyond.median:.1f} ms beyond bare Python ({ends(beyond)}, n = {beyond.n})"


def _contest(
    what: str,
    commands: Sequence[tuple[str, str, list[str]]],
    *,
    rivals: bool = True,
    remark: Callable[[Mapping[str, Sequence[float]]], str] | None = None,
) -> Contest:
    return Contest(
        group="start",
        what=what,
        title=f"{what}: the whole process, from nothing to its end, the files in the disk's cache",
        unit="start",
        turns=[Turn([Entrant(key, label, rivals)], _Launch(key, command)) for key, label, command in commands],
        remark=remark,
    )


@dataclass(slots=True)
class _Launch:
    key: str
    command: list[str]
    warm: bool = False  # whether its files are in the disk's cache by now

    def __call__(self) -> Mapping[str, Result]:
        if not self.warm:
            _launch(self.command)
            self.warm = True
        return {self.key: _launch(self.command)}


def _launch(command: list[str]) -> Result:
    """Raises EngineError where it fails."""
    launcher = [sys.executable, "-I", "-S", launch.__file__, *command]
    done = subprocess.run(launcher, capture_output=True, text=True)
    if done.returncode or (told := json.loads(done.stdout))["status"]:
        words = done.stderr.strip().splitlines()
        raise EngineError(words[-1] if words else f"{command[0]} failed without a word")
    return Result(ms=told["seconds"] * 1e3, peak_mib=told["peak_bytes"] / 2**20)


def _timm_knows(subject: Subject) -> bool:
    """timm has no gmixer_8_64; weights of a shape of one's own have no name there."""
    return subject.variant is not None and subject.variant != EMBEDDED_MODEL.partition(".")[0]


def _timm(subject: Subject, picture: Path) -> list[str]:
    return [sys.executable, str(SCRIPTS / "timm_classify.py"), str(picture), str(subject.variant), subject.source]


def _onnx(subject: Subject, picture: Path, network: Path) -> list[str]:
    data = find_checkpoint(subject.source, WeightsSource(name=subject.variant)).data
    numbers = [
        str(data.resize_px),
        str(data.image_px),
        *(",".join(map(str, values)) for values in (data.mean, data.std)),
    ]
    return [sys.executable, str(SCRIPTS / "onnx_classify.py"), str(picture), str(network), *numbers]
