"""What to cite: per model, and the same in CITATION.cff."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import gmixer
from gmixer.catalogue import VARIANTS, find_model, model_names
from gmixer.models.citation import bibtex

CFF = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text())


@pytest.mark.parametrize("name", list(model_names()))
def test_entries_of_every_model(name: str) -> None:
    full_name, variant, _ = find_model(name)
    text = bibtex(variant.model, tag=full_name.partition(".")[2])
    keys = re.findall(r"^@\w+\{(\w+),$", text, re.MULTILINE)
    assert keys[:3] == ["gmixer", "rw2019timm", "tolstikhin2021mixer"]
    assert ("shazeer2020glu" in keys) == name.startswith("gmixer")
    assert ("ridnik2021imagenet21k" in keys) == ("miil" in name)
    assert text.count("{") == text.count("}") and "VERSION" not in text


def test_the_file_says_the_same() -> None:
    text = bibtex(VARIANTS["gmixer_24_224"].model)
    assert CFF["cff-version"] == "1.2.0" and CFF["version"] == gmixer.__version__
    assert f"version = {{{gmixer.__version__}}}" in text
    own = re.sub(r"[{}]", "", re.search(r"title   = \{(.+)\},", text)[1])
    assert own == CFF["title"]
    for reference in CFF["references"]:
        assert reference["title"] in text.replace("{", "").replace("}", "")
        assert reference.get("doi", "") in text
        assert reference["url"].rpartition("/")[2] in text
        assert all(author["family-names"] in text for author in reference["authors"])
