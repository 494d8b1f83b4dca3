"""pull: the files of a model → the Hub's cache, up to date and checked."""

from __future__ import annotations

import os

from gmixer.catalogue import EMBEDDED_MODEL, find_model
from gmixer.errors import InputError
from gmixer.options import WeightsSource
from gmixer.weights.find import Checkpoint, find_checkpoint, find_pretrained, hub_repo, is_path, names_a_model
from gmixer.weights.hub import CONFIG_FILE, WEIGHTS_FILE, Repo, fetch


def pull(source: str, weights: WeightsSource = WeightsSource()) -> Checkpoint:
    """Brings the cache up to date with the Hub, and returns the checkpoint.

    source: a pretrained model's name, or `hf-hub:organization/model[@revision]`.
    Each file's checksum is compared with the Hub's, including files that were in the cache before.
    Raises UnknownModelError, WeightsError, InputError.
    """
    cache_dir = weights.cache_dir
    if repo := Repo.parse(source):
        config = fetch(repo, CONFIG_FILE, cache_dir=cache_dir)
        fetch(Repo(repo.id, config.parent.name), WEIGHTS_FILE, cache_dir=cache_dir)
        return find_checkpoint(source, weights)
    if not names_a_model(source) and is_path(source):
        way_out = "a file or folder needs no pull"
        if not os.path.exists(source):
            way_out = f"for the repository on the Hub say hf-hub:{source}; {way_out}"
        raise InputError(f"{source!r} is neither a model's name nor hf-hub:organization/model; {way_out}")
    full_name, _, pretrained = find_model(source)
    if pretrained and full_name != EMBEDDED_MODEL:
        fetch(hub_repo(full_name), WEIGHTS_FILE, cache_dir=cache_dir)
    return find_pretrained(full_name, weights)
