"""The Hub's cache, as tests need it."""

from __future__ import annotations

from pathlib import Path


def hub_cache(folder: Path, repo_id: str, weights: Path) -> Path:
    """A cache as huggingface_hub lays it out, with these weights as the main revision of one repository."""
    repo = folder / ("models--" + repo_id.replace("/", "--"))
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    (repo / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (repo / "snapshots" / ("0" * 40) / "model.safetensors").symlink_to(weights)
    return folder
