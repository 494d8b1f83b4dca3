"""Time per image of the native engine beside ONNX Runtime and timm, with the same drawn weights.

    python benchmarks/forward.py [--model gmixer_24_224] [--against onnxruntime timm] [--batch 1 16] [--rounds 5]

Contestants take turns, each time in a fresh process; the ratio is formed round by round, so that it holds when the
machine's speed drifts. Needs gmixer[test]. Prints a Markdown table; --json prints the figures.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

PEERS = ["onnxruntime", "timm"]


def drawn_model(name: str):  # type: ignore[no-untyped-def]
    """timm's model with every weight drawn, the same in every process."""
    import timm
    import torch

    model = timm.create_model(name).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            std = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.2
            parameter.normal_(0, std, generator=generator)
    return model


def runner(contestant: str, name: str, threads: int, folder: Path) -> Callable[[np.ndarray], object]:
    """The forward pass of one contestant, ready to be called with (B, 3, H, W) float32."""
    if contestant == "gmixer":
        import gmixer

        return gmixer.load(folder, threads=threads).forward
    if contestant == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        return lambda x_BCHW: session.run(None, {"x": x_BCHW})
    import torch

    torch.set_num_threads(threads)
    model = drawn_model(name)

    def forward(x_BCHW: np.ndarray) -> object:
        with torch.inference_mode():
            return model(torch.from_numpy(x_BCHW))

    return forward


def time_one(contestant: str, name: str, batch: int, threads: int, folder: Path) -> float:
    """Median milliseconds an image, in this process."""
    from gmixer.config import find_model

    image_px = find_model(name)[1].model.image_px
    forward = runner(contestant, name, threads, folder)
    x_BCHW = np.random.default_rng(0).standard_normal((batch, 3, image_px, image_px), np.float32)
    forward(x_BCHW)
    times_ms = []
    while len(times_ms) < 5 or (sum(times_ms) < 1500 and len(times_ms) < 50):
        begin = time.perf_counter()
        forward(x_BCHW)
        times_ms.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times_ms) / batch


def prepare(name: str, folder: Path) -> None:
    """Writes the same weights as timm's folder and as ONNX."""
    import torch
    from timm.models import save_for_hf

    model = drawn_model(name)
    save_for_hf(model, folder, safe_serialization=True)
    size = model.pretrained_cfg["input_size"]
    # The tracing exporter: it needs no package besides onnx, and the graph is the same.
    axes = {"x": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(
        model,
        (torch.zeros(2, *size),),
        folder / "model.onnx",
        input_names=["x"],
        output_names=["logits"],
        dynamic_axes=axes,
        dynamo=False,
    )


def compare(
    name: str, contestants: list[str], *, batches: list[int], rounds: int, threads: int
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        prepare(name, Path(folder))
        for batch in batches:
            ms: dict[str, list[float]] = {contestant: [] for contestant in contestants}
            for _ in range(rounds):
                for contestant in contestants:
                    one = [contestant, name, str(batch), str(threads), folder]
                    run = [sys.executable, __file__, "--one", *one]
                    ms[contestant].append(float(subprocess.run(run, check=True, capture_output=True).stdout))
            for contestant, times in ms.items():
                ratios = [theirs / ours for theirs, ours in zip(times, ms["gmixer"], strict=True)]
                rows.append(
                    {
                        "model": name,
                        "batch": batch,
                        "contestant": contestant,
                        "ms_per_image": statistics.median(times),
                        "fastest_ms": min(times),
                        "slowest_ms": max(times),
                        "times_gmixer": statistics.median(ratios),
                        "rounds": rounds,
                        "threads": threads,
                    }
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gmixer_24_224")
    parser.add_argument("--against", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)  # one contestant, in its own process
    arguments = parser.parse_args()
    if arguments.one:
        contestant, name, batch, threads, folder = arguments.one
        print(time_one(contestant, name, int(batch), int(threads), Path(folder)))
        return
    rows = compare(
        arguments.model,
        ["gmixer", *arguments.against],
        batches=arguments.batch,
        rounds=arguments.rounds,
        threads=arguments.threads,
    )
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{date.today()}, {platform.machine()}, {arguments.threads} threads, n = {arguments.rounds} rounds\n")
    print("| batch | | ms an image, median (fastest … slowest) | times gmixer |\n| --- | --- | --- | --- |")
    for r in rows:
        spread = f"{r['ms_per_image']:.1f} ({r['fastest_ms']:.1f} … {r['slowest_ms']:.1f})"
        print(f"| {r['batch']} | {r['contestant']} | {spread} | {r['times_gmixer']:.2f} |")


if __name__ == "__main__":
    main()
