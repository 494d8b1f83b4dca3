"""The queries on the table of models, against timm's own registry."""

from __future__ import annotations

import itertools

import pytest
import timm

from gmixer.models import registry

OWN = "gmixer_8_64*"  # timm does not know it


def timm_family(names: list[str]) -> list[str]:
    """timm's own Mixers; gmixer_8_64 is there only if another test has registered it."""
    return [name for name in names if name.startswith(("mixer_", "gmixer_")) and not name.startswith("gmixer_8_64")]


@pytest.mark.parametrize("pretrained", [False, True])
@pytest.mark.parametrize("include_tags", [None, False, True])
@pytest.mark.parametrize(
    "filter", ["", "gmixer*", "mixer_b16_224", "mixer_b16_224.*", "*in21k", ["mixer_l*", "gmixer_2*"]]
)
@pytest.mark.parametrize("exclude", ["", "*miil*", ["mixer_l16_224", "gmixer*"]])
def test_lists_equal_timms(pretrained: bool, include_tags: bool | None, filter: object, exclude: object) -> None:
    arguments = {"pretrained": pretrained, "include_tags": include_tags}
    theirs = timm_family(timm.list_models(filter, exclude_filters=exclude, **arguments))
    ours = registry.list_models(filter, exclude_filters=exclude, **arguments)  # type: ignore[arg-type]
    assert [name for name in ours if not name.startswith("gmixer_8_64")] == theirs


def test_list_pretrained_equals_timms() -> None:
    ours = registry.list_pretrained(exclude_filters=OWN)
    assert ours == timm_family(timm.list_pretrained())
    assert "gmixer_8_64.distill_in1k" in registry.list_pretrained("gmixer_8*")


def test_names_equal_timms() -> None:
    names = [
        "gmixer_24_224",
        "gmixer_24_224.ra3_in1k",
        "gmixer_24_224.nonsense",
        "gmixer_12_224",
        "gmixer_99",
        "mixer_b16_224",
    ]
    for name, question in itertools.product(names, ("is_model", "is_model_pretrained")):
        assert getattr(registry, question)(name) == getattr(timm.models, question)(name), (name, question)


def test_listing_needs_no_torch() -> None:
    import subprocess
    import sys

    program = "import gmixer, sys; print(len(gmixer.list_models())); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
