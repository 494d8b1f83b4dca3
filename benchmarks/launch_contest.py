"""Whole processes, from start to end; and what `import gmixer` adds to a bare Python."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import launcher, networks
from benchmarks.contest import Contest, Contestant, Measurement, Run, ends
from benchmarks.forward_contest import export_step
from gmixer.bench.jpegs import TYPICAL, drawn_jpeg
from gmixer.bench.row import Step, TableRow
from gmixer.bench.stats import Spread
from gmixer.bench.target import Target
from gmixer.bench.workload import Workload
from gmixer.catalogue import EMBEDDED_MODEL
from gmixer.errors import EngineError
from gmixer.options import FP32, NativePrecision, WeightsSource
from gmixer.weights.convert import convert

PACKAGES = ("torch", "timm", "onnx", "onnxruntime")
SCRIPTS = Path(__file__).parent / "scripts"


def launch_steps(target: Target, workload: Workload, rounds: int) -> list[Step]:
    """In fp32: against the peers' scripts. In another precision: from converted folders, against their originals."""
    image = target.scratch / "one.jpg"
    image.write_bytes(drawn_jpeg(*TYPICAL, seed=0))
    if workload.precision == FP32:
        first, contests = [export_step(target, workload)], _from_originals(target, workload, image)
    else:
        first, contests = _from_converted(target, workload.precision, image)
    return [*first, *(step for contest in contests for step in contest.steps(rounds))]


def _from_originals(target: Target, workload: Workload, image: Path) -> list[Contest]:
    return [
        _contest(
            f"gmixer classify, {target.name}",
            [
                ("gmixer", "gmixer classify", _classify(image, target.source, target.variant)),
                *([("timm", "timm script", _timm(target, image))] if _timm_knows(target) else []),
                ("onnxruntime", "ONNX Runtime script", _onnx(target, workload, image)),
            ],
        ),
        _contest(
            "gmixer classify, the embedded model",
            [("gmixer", "gmixer classify", _classify(image, EMBEDDED_MODEL))],
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


def _from_converted(target: Target, precision: NativePrecision, image: Path) -> tuple[list[Step], list[Contest]]:
    """The steps that convert, and the contests: of the target's model and of the embedded one."""
    models = {target.name: (target.source, target.variant), EMBEDDED_MODEL: (EMBEDDED_MODEL, None)}
    steps: list[Step] = []
    contests: list[Contest] = []
    for name, (source, variant) in models.items():
        folder = target.scratch / f"converted-{len(steps)}"
        weights = WeightsSource(name=variant)
        steps.append(Step(f"converting {name}", partial(_convert, source, folder, precision, weights)))
        commands = [
            ("gmixer", "converted folder", _classify(image, str(folder))),
            ("gmixer-fp32", "its original, fp32", _classify(image, source, variant)),
        ]
        contests.append(_contest(f"gmixer classify, {name}, {precision}", commands, rivals=False))
    return steps, contests


def _convert(source: str, folder: Path, precision: NativePrecision, weights: WeightsSource) -> list[TableRow]:
    convert(source, folder, precision, weights)
    return []


def _classify(image: Path, source: str, variant: str | None = None) -> list[str]:
    named = ["--name", variant] if variant else []
    return [sys.executable, "-m", "gmixer", "classify", str(image), "--model", source, *named]


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
        title=f"{what}: the whole process, its files in the disk cache",
        unit="start",
        runs=[Run([Contestant(key, label, rivals)], _Launch(key, command)) for key, label, command in commands],
        remark=remark,
    )


@dataclass(slots=True)
class _Launch:
    key: str
    command: list[str]
    warm: bool = False  # whether its files are in the disk cache

    def __call__(self) -> Mapping[str, Measurement]:
        if not self.warm:
            _launch(self.command)
            self.warm = True
        return {self.key: _launch(self.command)}


def _launch(command: list[str]) -> Measurement:
    """Raises EngineError if the command fails."""
    done = subprocess.run([sys.executable, "-I", "-S", launcher.__file__, *command], capture_output=True, text=True)
    if done.returncode or (measured := json.loads(done.stdout))["status"]:
        lines = done.stderr.strip().splitlines()
        raise EngineError(lines[-1] if lines else f"{command[0]} failed without a message")
    return Measurement(ms=measured["seconds"] * 1e3, peak_mib=measured["peak_bytes"] / 2**20)


def _timm_knows(target: Target) -> bool:
    """timm has no gmixer_8_64, and no name for a folder or file of the user's own."""
    return target.variant is not None and target.variant != EMBEDDED_MODEL.partition(".")[0]


def _timm(target: Target, image: Path) -> list[str]:
    return [sys.executable, str(SCRIPTS / "timm_classify.py"), str(image), str(target.variant), target.source]


def _onnx(target: Target, workload: Workload, image: Path) -> list[str]:
    data = workload.checkpoint().data
    network = target.scratch / networks.ONNX_FILE
    numbers = [
        str(data.resize_px),
        str(data.image_px),
        *(",".join(map(str, values)) for values in (data.mean, data.std)),
    ]
    return [sys.executable, str(SCRIPTS / "onnx_classify.py"), str(image), str(network), *numbers]
