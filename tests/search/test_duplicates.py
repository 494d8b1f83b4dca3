"""Groups of copies: which images, which one to keep; the page that shows them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gmixer
from browsing import PHONE, Browse
from gmixer.errors import InputError
from gmixer.search import duplicates_page as page_module
from gmixer.search.duplicates import Duplicates, find_duplicates
from gmixer.search.duplicates_page import duplicates_page, write_duplicates_page
from stored_rows import embed_files, stamp, write_rows

EVIL = "</script><img src=x onerror=alert(1)>\"'&\n\u202e.jpg"


def paths(found: Duplicates) -> list[list[tuple[str, str]]]:
    return [[(Path(copy.path).name, copy.kind) for copy in group] for group in found.groups]


def row(path: str, vector: Sequence[float] | None, size: int = 100, px: int = 10, **more: Any) -> dict[str, Any]:
    failed = {} if vector else {"error_kind": "corrupt", "error_message": "it is"}
    return {"path": path, "vector": vector, "bytes": size, "width": px, "height": px, **failed, **more}


def test_real_copies_of_photos(photos: list[Path], predictor: gmixer.Predictor, tmp_path: Path) -> None:
    files = list(photos)
    image = Image.open(photos[0]).convert("RGB")
    larger = image.resize((image.width * 2, image.height * 2), Image.Resampling.LANCZOS)
    for name, copy in (("large.png", larger), ("small.jpg", image.resize((image.width // 2, image.height // 2)))):
        copy.save(tmp_path / name)
        files.append(tmp_path / name)
    shutil.copy(tmp_path / "large.png", tmp_path / "large (1).png")
    shutil.copy(tmp_path / "small.jpg", tmp_path / "small (1).jpg")
    files += [tmp_path / "small (1).jpg", tmp_path / "large (1).png"]
    for with_hash in (True, False):
        stored = embed_files(tmp_path / f"out {with_hash}", predictor, files, with_hash=with_hash)
        found = find_duplicates(stored)
        assert found.threshold == 0.95 and found.images == 10 and len(found.groups) == 1
        kinds = dict(paths(found)[0])
        assert paths(found)[0][:2] == [("large.png", "keep"), ("large (1).png", "exact")]
        assert kinds.keys() == {"large.png", "large (1).png", photos[0].name, "small.jpg", "small (1).jpg"}
        assert [kinds[name] for name in (photos[0].name, "small.jpg", "small (1).jpg")] == ["near"] * 3
        assert found.exact_by == ("SHA-256" if with_hash else "size and vector")
        copies = sum(copy.stat().st_size for copy in [photos[0], *files[7:]])
        assert found.bytes_of_copies == copies


def test_the_one_to_keep_and_the_order(tmp_path: Path) -> None:
    rows = [
        row("b.jpg", [1, 0, 0, 0], size=50),
        row("b (1).jpg", [1, 0, 0, 0], size=50),
        row("large.jpg", [1, 0.1, 0, 0], px=20, size=10),
        row("alone.jpg", [0, 0, 1, 0]),
        row("d.jpg", [0, 1, 0, 0], size=7),
        row("many-bytes.jpg", [0, 2, 0.1, 0], size=900),
        row("broken.jpg", None),
    ]
    found = find_duplicates(write_rows(tmp_path / "out", stamp(), rows, part_size=2), threshold=0.9)
    assert paths(found) == [
        [("large.jpg", "keep"), ("b.jpg", "near"), ("b (1).jpg", "near")],
        [("many-bytes.jpg", "keep"), ("d.jpg", "near")],
    ]
    assert (found.images, found.without_vector, found.without_direction) == (6, 1, 0)
    assert found.groups[0][1].similarity == pytest.approx(1 / 1.01**0.5, abs=1e-6)
    exact = find_duplicates(write_rows(tmp_path / "exact", stamp(), rows), threshold=1)
    assert paths(exact) == [[("b.jpg", "keep"), ("b (1).jpg", "exact")]], "the shorter path is kept"


def test_exact_by_sha256_is_not_exact_by_vector(tmp_path: Path) -> None:
    rows = [row("a", [1, 0, 0, 0], sha256="1"), row("b", [1, 0, 0, 0], sha256="2"), row("c", [1, 0, 0, 0], sha256="1")]
    found = find_duplicates(write_rows(tmp_path / "out", stamp(with_hash=True), rows))
    assert paths(found) == [[("a", "keep"), ("b", "near"), ("c", "exact")]]
    assert json.loads(json.dumps(found.to_dict()))["groups"][0][2]["sha256"] == "1"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_without_a_direction_are_counted_and_never_nan(dtype: str, tmp_path: Path) -> None:
    bad = [np.nan, 0, 0, 0]
    rows = [row("zero", [0] * 4), row("nan", bad), row("inf", [np.inf, 0, 0, 0]), row("zero too", [0] * 4)]
    rows += [row("good", [1, 2, 3, 4]), row("as good", [10, 20, 30, 40], size=5)]
    found = find_duplicates(write_rows(tmp_path / "out", stamp(dtype=dtype), rows), threshold=0.5)
    assert found.without_direction == 4
    assert sorted(paths(found)) == [[("good", "keep"), ("as good", "near")], [("zero", "keep"), ("zero too", "exact")]]
    assert "NaN" not in json.dumps(found.to_dict())


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_rows(count: int, tmp_path: Path) -> None:
    rows = [row(f"{i}.jpg", [1, 1, 1, 1]) for i in range(count)]
    found = find_duplicates(write_rows(tmp_path / "out", stamp(), rows))
    assert found.images == count and [len(group) for group in found.groups] == ([count] if count > 1 else [])
    assert "images compared" in duplicates_page(found, place="out").replace("image compared", "images compared")
    only_bad = find_duplicates(write_rows(tmp_path / "bad", stamp(), [row("x", None)] * count))
    assert (only_bad.images, only_bad.without_vector, only_bad.groups) == (0, count, [])


def test_a_threshold_that_nobody_measured_is_asked_for(tmp_path: Path) -> None:
    stored = write_rows(tmp_path / "out", stamp(model="my/model"), [row("a", [1, 0, 0, 0])])
    with pytest.raises(InputError, match=r"no threshold is measured for my/model: pass one .*--threshold"):
        find_duplicates(stored)
    assert find_duplicates(stored, threshold=0.9).groups == []
    for wrong in (0, 1.01, -1, float("nan"), "0.9", True):
        with pytest.raises(InputError, match="threshold is"):
            find_duplicates(stored, threshold=wrong)  # type: ignore[arg-type]


def test_progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    rows = [row(str(i), [i + 1, 1, 0, 0]) for i in range(5)]
    find_duplicates(write_rows(tmp_path / "out", stamp(), rows), on_progress=lambda *given: seen.append(given))
    assert seen == [(5, 5)]


# ---- the page


@pytest.fixture
def found(tmp_path: Path) -> Duplicates:
    folder = tmp_path / "images"
    folder.mkdir()
    rows = []
    for i, color in enumerate(("teal", "teal", "navy", "navy", "olive")):
        data = io.BytesIO()
        Image.new("RGB", (60 + i, 40), color).save(data, "PNG")
        (folder / f"{i}.png").write_bytes(data.getvalue())
        vector = [1.0, float(color == "navy"), float(color == "olive"), 0]
        rows.append(row(str(folder / f"{i}.png"), vector, size=len(data.getvalue()), px=60 + i, label=EVIL))
    rows.append(row(EVIL, [1, 0, 0, 0], px=1))
    return find_duplicates(write_rows(tmp_path / "out", stamp(), rows), threshold=0.99)


def test_names_are_text_and_the_page_loads_nothing(found: Duplicates, tmp_path: Path) -> None:
    page = duplicates_page(found, place=EVIL)
    assert "<img src=x" not in page and "</script" not in page and "\u202e" not in page
    assert page.count("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;") >= 6
    assert "default-src 'none'; img-src data:; style-src 'sha256-" in page and "script-src" not in page
    assert page.count("data:image/jpeg;base64,") == 4 and ">gone<" in page
    write_duplicates_page(found, tmp_path / "page.html", place=EVIL)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


def test_the_page_in_a_browser(found: Duplicates, tmp_path: Path, browse: Browse) -> None:
    write_duplicates_page(found, tmp_path / "page.html", place=EVIL)
    for size, dark in (((1280, 800), False), (PHONE, True)):
        with browse(tmp_path / "page.html", size, dark=dark) as page:
            assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
            assert page.evaluate("document.images.length") == 4
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, background[4:-1].split(","))) < 200) == dark, "the style is there"


def test_a_large_page_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "MOST_PICTURES", 5)
    monkeypatch.setattr(page_module, "MOST_OF_A_GROUP", 3)
    vectors = np.eye(4).repeat([6, 2, 2, 2], axis=0).tolist()
    rows = [row(f"{i}.jpg", vector) for i, vector in enumerate(vectors)]
    page = duplicates_page(find_duplicates(write_rows(tmp_path / "out", stamp(), rows)), place="out")
    assert "6 images, 3 shown" in page and page.count("<figure") == 5 and "2 more groups are not on this page" in page
    assert "No thumbnail could be made" in page
