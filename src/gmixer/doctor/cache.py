"""The Hub's cache: whether it can be used, its models, unfinished downloads, and free disk space."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gmixer.catalogue import EMBEDDED_MODEL, find_model, model_names
from gmixer.doctor.finding import Outcome, failed, ok, warning
from gmixer.errors import WeightsError
from gmixer.weights.find import PREFERRED_MODEL, find_checkpoint, hub_repo, preferred_model
from gmixer.weights.hub import WEIGHTS_FILE, cache_folder, cached

OTHER_CACHE = "set HF_HUB_CACHE to a folder of your own"


def cache() -> Outcome:
    """Where the cache is, and whether it can be read and written. Tries both, because permissions alone do not tell."""
    folder = cache_folder()
    there = folder.exists()
    try:
        if there:
            os.listdir(folder)
    except OSError as error:
        return failed(f"{folder} cannot be read: {error.strerror}", f"correct its permissions, or {OTHER_CACHE}")
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)):
            pass
    except OSError as error:
        what = "cannot be written to" if there else "does not exist and cannot be made"
        return warning(f"{folder} {what}: {error.strerror}; nothing new can be fetched", OTHER_CACHE)
    return ok(f"{folder}, readable and writable" if there else f"{folder}; the first download makes it")


def cached_models() -> Outcome:
    """The known models in the cache, and whether their files are complete according to their headers."""
    complete, damaged = [], {}
    for name in _on_the_hub():
        path = cached(hub_repo(name), WEIGHTS_FILE)
        if path is None:
            continue
        try:
            find_checkpoint(name)
        except WeightsError as error:
            damaged[name] = str(error)
        else:
            complete.append(f"{name} ({path.stat().st_size / 2**20:.1f} MiB)")
    if damaged:
        remedy = "fetch it again: " + "; ".join(f"gmixer pull {name}" for name in damaged)
        return failed("; ".join(f"{name}: {why}" for name, why in damaged.items()), remedy)
    fact = f"{', '.join(complete) or 'none'}; --model auto takes {preferred_model()}"
    if preferred_model() == PREFERRED_MODEL:
        return ok(fact)
    small, large = (find_model(name)[2] for name in (EMBEDDED_MODEL, PREFERRED_MODEL))
    assert small is not None and large is not None  # both are in the catalogue
    return ok(
        f"{fact} ({small.top1:.0f} % on tiny-ImageNet)",
        f"better, with {large.top1:.0f} % on ImageNet-1k: gmixer pull {PREFERRED_MODEL}",
    )


def downloads() -> Outcome:
    """Files of killed downloads. The Hub's library neither resumes nor deletes them."""
    left = list(cache_folder().glob("models--*/blobs/*.incomplete"))
    if not left:
        return ok("no unfinished files")
    repositories = sorted({path.parts[-3].removeprefix("models--").replace("--", "/") for path in left})
    size_mib = sum(path.stat().st_size for path in left) / 2**20
    files = f"{len(left)} unfinished file{'s' * (len(left) > 1)}, {size_mib:.1f} MiB, of {', '.join(repositories)}"
    folder = shlex.quote(str(cache_folder()))
    return warning(files, f"if no download is running: find {folder} -name '*.incomplete' -delete")


def disk() -> Outcome:
    """Free disk space at the cache, against the size of the largest model that gmixer knows."""
    bytes_of = {name: _float32_bytes(name) for name in _on_the_hub()}
    largest = max(bytes_of, key=lambda name: bytes_of[name])
    free = shutil.disk_usage(_nearest(cache_folder())).free
    fact = (
        f"{free / 2**30:.1f} GiB free at the cache; {largest}, the largest model, takes {bytes_of[largest] / 2**30:.1f}"
    )
    if free >= bytes_of[largest]:
        return ok(fact)
    fact += f", {PREFERRED_MODEL} {bytes_of[PREFERRED_MODEL] / 2**30:.1f}"
    return warning(fact, "free disk space there, or set HF_HUB_CACHE to a folder on another disk")


def _on_the_hub() -> Iterator[str]:
    return (name for name in model_names() if find_model(name)[2] is not None and name != EMBEDDED_MODEL)


def _float32_bytes(name: str) -> int:
    _, variant, pretrained = find_model(name)
    return 4 * variant.of(pretrained).parameters


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest parent that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
