"""Read images from strangers in a separate process. A bad file fails alone, even if it crashes or hangs the decoder."""

from pathlib import Path

import gmixer

good = (Path(__file__).parent / "photos" / "rocket.jpg").read_bytes()
uploads = {"good": good, "truncated": good[:5000], "empty": b"", "text": b"<script>alert(1)</script>"}
limits = gmixer.Limits(max_pixels=20_000_000, max_seconds=5, max_memory_bytes=2**30)
predictor = gmixer.load("gmixer_8_64.distill_in1k", isolate=True, limits=limits)
for name, result in zip(uploads, predictor.stream(uploads.values()), strict=True):
    if isinstance(result, gmixer.ImageError):
        print(f"{name}: {result.kind}: {result.reason}")
    else:
        print(f"{name}: {result.prediction[0].label}")
