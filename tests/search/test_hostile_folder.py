"""200 good and 200 hostile files through `gmixer duplicates` and `gmixer map`: each row is counted once."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

import gmixer
from browsing import Browse
from command import call
from gmixer.bulk.stored import StoredEmbeddings
from hostile_files import good, hostile
from stored_rows import embed_files

NAMES = (
    "</script><script>alert(1)</script>",
    "\"'&<b>",
    "line\nbreak",
    "\u202eright",
    "$(touch x)",
    "=1+1",
    "{{ 7 * 7 }}",
)


@pytest.fixture(scope="module")
def stored(predictor: gmixer.Predictor, tmp_path_factory: pytest.TempPathFactory) -> StoredEmbeddings:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "images").mkdir()
    files = []
    for i, (name, data) in enumerate([*good(200), *hostile(200)]):
        files.append(folder / "images" / f"{i:03}{NAMES[i % len(NAMES)].replace('/', '∕')}{name}")
        files[-1].write_bytes(data)
    return embed_files(folder / "out", predictor, files)


def test_each_row_is_counted_once(stored: StoredEmbeddings, tmp_path: Path, browse: Browse) -> None:
    files = ("--csv", tmp_path / "a.csv", "--html", tmp_path / "a.html")
    finished = call("duplicates", stored.place, "--json", *files)
    found = json.loads(finished.stdout)
    assert finished.returncode == 0 and finished.stderr == ""
    assert found["images"] + found["without_vector"] == 400 and found["images"] >= 200
    paths = [copy["path"] for group in found["groups"] for copy in group]
    assert len(paths) == len(set(paths)) > 20
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert [row["path"] for row in csv.DictReader(file)] == paths
    assert all([copy["kind"] for copy in group].index("keep") == 0 for group in found["groups"])
    with browse(tmp_path / "a.html") as page:
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        assert page.evaluate("document.scripts.length") == 0 and "{{ 7 * 7 }}" in page.content()


def test_each_point_is_on_the_map(stored: StoredEmbeddings, tmp_path: Path, browse: Browse) -> None:
    finished = call("map", stored.place, "-o", tmp_path / "map.html")
    (points,) = re.findall(r"html: (\d+) points", finished.stderr)
    (without,) = re.findall(r"without a vector, left out: (\d+)", finished.stderr)
    assert int(points) + int(without) == 400
    with browse(tmp_path / "map.html") as page:
        assert page.evaluate("N") == int(points)
        assert page.evaluate("Object.values(data.thumbnails).filter(Boolean).length") == int(points)
        assert page.evaluate("X.every(Number.isFinite) && Y.every(Number.isFinite)")
        assert page.evaluate("data.paths.some(path => path.includes('line\\\\nbreak'))")
