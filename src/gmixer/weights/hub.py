"""The cache that huggingface_hub keeps, and timm with it: weights that are there already need no network."""

from __future__ import annotations

import os
from pathlib import Path

from gmixer.errors import WeightsError

WEIGHTS_FILE = "model.safetensors"


def cached_weights(repo_id: str, *, cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """model.safetensors of `repo_id` as the cache holds it. Raises WeightsError where it does not."""
    from huggingface_hub import constants, try_to_load_from_cache  # here: 40 ms that no other way of loading needs

    folder = Path(cache_dir or constants.HF_HUB_CACHE)
    found = try_to_load_from_cache(repo_id, WEIGHTS_FILE, cache_dir=folder)
    if not isinstance(found, str):
        raise WeightsError(
            f"the weights of {repo_id} are not on this machine (looked in {folder}); pass the folder or the "
            f".safetensors file that holds them, or download them: hf download {repo_id}"
        )
    return Path(found)
