"""PretrainedCfg against timm's own, field by field."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import timm

from gmixer.catalogue import EMBEDDED_MODEL, find_model, model_names
from gmixer.timm_compat.pretrained_cfg import PretrainedCfg, pretrained_cfg_of
from gmixer.weights import find_checkpoint

FLAGS = list(product([False, True], [False, True]))


def without_url(cfg: dict[str, Any]) -> list[tuple[str, Any]]:
    """In order. timm's URL of each file is not in gmixer's table; the Hub has the same weights."""
    return [(key, value) for key, value in cfg.items() if key != "url"]


def test_fields_and_defaults_are_timms() -> None:
    theirs = fields(timm.models.PretrainedCfg)
    assert [(field.name, field.default) for field in fields(PretrainedCfg)] == [(f.name, f.default) for f in theirs]


@pytest.mark.parametrize(("remove_source", "remove_null"), FLAGS)
@pytest.mark.parametrize("name", [name for name in model_names() if name != EMBEDDED_MODEL])
def test_rows_are_timms(name: str, remove_source: bool, remove_null: bool) -> None:
    theirs = timm.get_pretrained_cfg(name)
    ours = pretrained_cfg_of(*find_model(name))
    told = ours.to_dict(remove_source, remove_null)
    assert without_url(told) == without_url(theirs.to_dict(remove_source, remove_null))
    assert ("url" in told) == (not remove_source)
    assert ours.url == ""
    assert ours.has_weights == bool(theirs.has_weights)


@pytest.mark.parametrize(("remove_source", "remove_null"), FLAGS)
def test_to_dict_of_what_no_row_has(remove_source: bool, remove_null: bool) -> None:
    said: dict[str, Any] = {
        "url": "u",
        "file": "f",
        "state_dict": {},
        "hf_hub_id": "h",
        "hf_hub_filename": "n",
        "source": "s",
        "pool_size": (7, 7),
        "label_names": ("a",),
        "interpolation": None,
    }
    theirs = timm.models.PretrainedCfg(**said).to_dict(remove_source, remove_null)
    assert list(PretrainedCfg(**said).to_dict(remove_source, remove_null).items()) == list(theirs.items())
    empty = timm.models.PretrainedCfg().to_dict(remove_source, remove_null)
    assert PretrainedCfg().to_dict(remove_source, remove_null) == empty
    assert PretrainedCfg().to_dict() == timm.models.PretrainedCfg().to_dict()


def test_has_weights_by_any_source() -> None:
    assert not PretrainedCfg(state_dict={}, hf_hub_filename="x").has_weights
    for source in ({"url": "u"}, {"file": "f"}, {"hf_hub_id": "h"}):
        assert PretrainedCfg(**source).has_weights  # type: ignore[arg-type]


def test_embedded_model_is_a_file() -> None:
    cfg = pretrained_cfg_of(*find_model(EMBEDDED_MODEL))
    assert cfg.hf_hub_id is None
    assert cfg.file is not None and Path(cfg.file) == find_checkpoint(EMBEDDED_MODEL).path
    assert Path(cfg.file).is_file()


def test_embedded_model_is_as_registered_with_timm() -> None:
    """In a process of its own: timm's registry cannot forget."""
    program = f"""
import gmixer, timm
gmixer.register_with_timm()
ours, theirs = (home.get_pretrained_cfg({EMBEDDED_MODEL!r}).to_dict() for home in (gmixer, timm))
assert ours.pop("url") == ""
assert list(ours.items()) == list(theirs.items()), (ours, theirs)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_untrained_has_no_source() -> None:
    cfg = pretrained_cfg_of(*find_model("gmixer_12_224.untrained"))
    assert (cfg.tag, cfg.file, cfg.hf_hub_id) == ("untrained", None, None)
    assert not cfg.has_weights


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        PretrainedCfg().num_classes = 5  # type: ignore[misc]


def test_needs_no_torch_and_no_numpy_but_for_the_embedded_file() -> None:
    program = f"""
import sys, gmixer
assert gmixer.get_pretrained_cfg("mixer_b16_224").num_classes == 1000
assert "numpy" not in sys.modules
assert gmixer.get_pretrained_cfg({EMBEDDED_MODEL!r}).file
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
