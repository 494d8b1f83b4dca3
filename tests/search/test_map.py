"""The map: where points lie, their colors, and the page in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browsing import PHONE, Browse, until
from gmixer.errors import InputError
from gmixer.search.layout import lay_out
from gmixer.search.map import COLORS, OTHER, make_map
from gmixer.search.map_page import map_page, write_map_page
from stored_rows import stamp, write_rows

EVIL = "</script><script>document.title='ran'</script><!--\"'&\n\u2028\u202e.jpg"
COLORS_OF = ("teal", "navy", "olive", "maroon")


def clustered(count: int, channels: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    which = np.arange(count) % 4
    x_NC = np.eye(4, channels)[which] * 4 + rng.normal(size=(count, channels)) * 0.3
    return (x_NC / np.linalg.norm(x_NC, axis=1, keepdims=True)).astype(np.float32), which


# ---- the layout


def test_clusters_stay_together_and_the_layout_is_the_same_every_time() -> None:
    x_NC, which = clustered(60)
    steps: list[tuple[int, int]] = []
    place = lay_out(x_NC, threads=1, on_progress=lambda *given: steps.append(given))
    distance = np.linalg.norm(place[:, None] - place[None], axis=2) + 9 * np.eye(60)
    assert (which[distance.argsort(axis=1)[:, :5]] == which[:, None]).mean() > 0.97
    assert np.array_equal(place, lay_out(x_NC, threads=2))
    assert steps[-1] == (750, 750)
    span = np.ptp(place, axis=0)
    assert span.max() == pytest.approx(1) and np.abs(place).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_few_points(count: int) -> None:
    place = lay_out(clustered(count)[0], threads=1)
    assert place.shape == (count, 2) and np.isfinite(place).all()
    assert len(np.unique(place, axis=0)) == count


@pytest.mark.parametrize("count", [2, 60])
def test_equal_vectors_lie_beside_each_other(count: int) -> None:
    place = lay_out(np.full((count, 8), 8**-0.5, np.float32), threads=1)
    assert len(np.unique(place, axis=0)) == count and np.abs(place).max() < 0.1


def test_equal_vectors_among_others() -> None:
    x_NC = clustered(40)[0]
    place = lay_out(np.concatenate([x_NC, x_NC[:5], x_NC[:5]]), threads=1)
    assert np.isfinite(place).all() and len(np.unique(place, axis=0)) == 50
    assert np.linalg.norm(place[:5] - place[45:], axis=1).max() < 0.05


# ---- what is on it


def rows_of(count: int, **columns: Callable[[int], Any]) -> list[dict[str, Any]]:
    x_NC, which = clustered(count)
    rows = [{"path": f"{i}.jpg", "vector": x_NC[i].tolist(), "label": COLORS_OF[which[i]]} for i in range(count)]
    return [row | {name: column(i) for name, column in columns.items()} for i, row in enumerate(rows)]


def test_colors_by_label_prediction_and_cluster(tmp_path: Path) -> None:
    rows = rows_of(40, top_label=lambda i: f"class {i % 11}" if i else None)
    rows.append({"path": "bad.jpg", "error_kind": "corrupt", "error_message": "it is"})
    made = make_map(write_rows(tmp_path / "out", stamp(16), rows, part_size=9))
    by = {coloring.by: coloring for coloring in made.colorings}
    assert list(by) == ["label", "prediction", "cluster"]
    assert sorted(by["label"].names) == sorted(COLORS_OF) and by["label"].others == by["label"].unknown == 0
    assert [by["label"].names[g] for g in by["label"].group_N] == [row["label"] for row in rows[:-1]]
    prediction = by["prediction"]
    assert len(prediction.names) == COLORS and (prediction.others, prediction.unknown) == (3, 1)
    assert prediction.group_N[0] == OTHER and (prediction.group_N == OTHER).sum() == 10
    assert (made.rows, made.without_vector, len(made.pictures)) == (41, 1, 40)
    assert re.fullmatch(r"1: \w+ …", by["cluster"].names[0])


def test_without_labels_it_is_colored_by_cluster(tmp_path: Path) -> None:
    made = make_map(write_rows(tmp_path / "out", stamp(16), rows_of(20, label=lambda i: None)))
    assert [coloring.by for coloring in made.colorings] == ["cluster"]
    assert made.colorings[0].names == [str(number) for number in range(1, 9)]


def test_more_rows_than_points_are_taken_evenly(tmp_path: Path) -> None:
    stored = write_rows(tmp_path / "out", stamp(16), rows_of(50), part_size=7)
    made = make_map(stored, points=5)
    assert [picture.path for picture in made.pictures] == ["0.jpg", "12.jpg", "24.jpg", "37.jpg", "49.jpg"]
    assert (made.rows, made.without_vector) == (50, 0)
    with pytest.raises(InputError, match="points is 0"):
        make_map(stored, points=0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_without_a_direction_are_left_out_and_counted(dtype: str, tmp_path: Path) -> None:
    rows = rows_of(12)
    for i, number in ((3, 0), (5, np.nan), (6, np.inf)):
        rows[i]["vector"] = [number] * 16
    made = make_map(write_rows(tmp_path / "out", stamp(16, dtype=dtype), rows))
    assert (len(made.pictures), made.without_direction, made.without_vector) == (9, 3, 0)
    assert np.isfinite(made.place_N2).all()


# ---- the page


def test_the_same_rows_give_the_same_bytes_and_no_name_ends_the_script(tmp_path: Path) -> None:
    rows = rows_of(9, path=lambda i: f"{i}{EVIL}", label=lambda i: EVIL, top_label=lambda i: EVIL)
    stored = write_rows(tmp_path / "out", stamp(16), rows)
    page = map_page(make_map(stored), place=EVIL, most_thumbnails=4)
    assert page == map_page(make_map(stored), place=EVIL, most_thumbnails=4)
    assert page.count("</script>") == 2 and page.count("<script") == 2
    assert "\u2028" not in page and "\u202e" not in page
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert "unsafe" not in policy and policy.count("sha256-") == 2 and "default-src 'none'" in policy
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:)", page) and "url(" not in page and "@import" not in page
    data = json.loads(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0])
    assert data["paths"][0].startswith("0</script>") and len(data["thumbnails"]) == 4
    assert set(data["missing"].values()) == {"gone"}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("map")
    rows = rows_of(60, top_label=lambda i: f"class {i % 3}")
    for i, row in enumerate(rows):
        row["path"] = str(folder / f"{i}.png")
        Image.new("RGB", (30 + i, 40), row["label"]).save(row["path"])
        row["bytes"] = Path(row["path"]).stat().st_size
    rows[7]["path"] = EVIL
    write_map_page(
        make_map(write_rows(folder / "out", stamp(16), rows)), folder / "map.html", place=EVIL, thumbnails=50
    )
    return folder / "map.html"


def colors_seen(page: Any) -> int:
    """Of a coarse grid over the canvas."""
    return int(
        page.evaluate(
            "(() => { draw(); const seen = new Set(), d = context.getImageData(0, 0, canvas.width, canvas.height).data;"
            "for (let k = 0; k < d.length; k += 20) seen.add(d[k] << 16 | d[k + 1] << 8 | d[k + 2]);"
            "return seen.size })()"
        )
    )


def test_mouse_and_keys(page_file: Path, browse: Browse) -> None:
    with browse(page_file) as page:
        until(page, "drawnImages.length > 2")
        assert page.title().startswith("Map of </script>") and page.locator("#legend button").count() == 4
        assert colors_seen(page) > 4
        left, top = page.evaluate("drawnImages[0].slice(1, 3)")
        page.mouse.move(left + 5, top + 5)
        assert page.locator("#card").is_visible() and page.evaluate("hovered === drawnImages[0][0]")
        until(page, "byId('picture').naturalWidth > 0")
        scale = page.evaluate("view.scale")
        under = "(view.x + (700 - width / 2) / view.scale)"
        page.mouse.move(700, 300)
        place = page.evaluate(under)
        page.mouse.wheel(0, -200)
        until(page, f"view.scale > {scale} * 1.2")
        assert page.evaluate(under) == pytest.approx(place, abs=1e-6), "zoom keeps the place under the pointer"
        before = page.evaluate("view.x")
        page.mouse.down()
        page.mouse.move(600, 300, steps=4)
        page.mouse.up()
        assert page.evaluate("view.x") > before
        page.locator("#map").focus()
        for key, change in (
            ("ArrowRight", "view.x > {x}"),
            ("ArrowDown", "view.y > {y}"),
            ("+", "view.scale > {scale}"),
        ):
            now = page.evaluate("view")
            page.keyboard.press(key)
            assert page.evaluate(change.format(**now)), key
        page.keyboard.press("0")
        assert page.evaluate("view.scale") == pytest.approx(scale)
        page.keyboard.press("Enter")
        assert page.locator("#path").text_content() != ""
        page.keyboard.press("Escape")
        assert not page.locator("#card").is_visible()


def test_legend_search_and_colors(page_file: Path, browse: Browse) -> None:
    with browse(page_file, dark=True) as page:
        page.locator("#legend button").first.click()
        assert page.evaluate("matches.reduce((a, b) => a + b)") == 15
        page.locator("#legend button").first.click()
        page.fill("#search", "CLASS 1")
        assert page.locator("#found").text_content() == "20 of 60 match; Enter shows them"
        page.fill("#search", "onmatch")
        assert "0 of 60" in page.locator("#found").text_content()
        page.fill("#search", "ran'")
        page.keyboard.press("Enter")
        page.evaluate("select(7)")
        assert page.locator("#path").text_content().startswith("</script><script>")
        assert page.locator("#none").text_content() in ("gone", "no thumbnail in this file")
        page.fill("#search", "")
        page.select_option("#by", "1")
        assert page.locator("#legend span").first.text_content() == "class 0"
        light = page.evaluate("theme.paper")
        page.emulate_media(color_scheme="light")
        until(page, f"theme.paper !== '{light}'")
        page.locator("#images").click()
        assert colors_seen(page) > 4


def test_a_phone(page_file: Path, browse: Browse) -> None:
    with browse(page_file, PHONE, touch=True) as page:
        until(page, "drawnImages.length > 2")
        assert not page.locator("#search").is_visible(), "the legend is folded"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        left, top = page.evaluate("drawnImages[2].slice(1, 3)")
        page.touchscreen.tap(left + 5, top + 5)
        box = page.locator("#card").bounding_box()
        assert box["y"] > 500 and box["x"] >= 0 and box["x"] + box["width"] <= 390
        tools = page.locator("#tools").bounding_box()
        assert box["x"] + box["width"] <= tools["x"]
        scale = page.evaluate("view.scale")
        page.evaluate(
            """(() => { canvas.setPointerCapture = () => {}; const send = (kind, id, x) => canvas.dispatchEvent(
            new PointerEvent(kind, {pointerId: id, clientX: x, clientY: 400, pointerType: 'touch', bubbles: true}));
            send('pointerdown', 1, 150); send('pointerdown', 2, 200); send('pointermove', 2, 300);
            send('pointerup', 1, 150); send('pointerup', 2, 300); })()"""
        )
        assert page.evaluate("view.scale") == pytest.approx(3 * scale, rel=0.01)
        page.locator("summary").tap()
        assert page.locator("#legend").is_visible()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_points_in_a_browser(count: int, tmp_path: Path, browse: Browse) -> None:
    made = make_map(write_rows(tmp_path / "out", stamp(16), rows_of(count)))
    write_map_page(made, tmp_path / "map.html", place="out", thumbnails=0)
    with browse(tmp_path / "map.html") as page:
        assert page.evaluate("[N, Number.isFinite(view.scale), Number.isFinite(view.x)]") == [count, True, True]
        assert page.locator("#empty").count() == (1 if count == 0 else 0)
        assert (colors_seen(page) > 1) == (count > 0)


def test_many_points_are_plotted_at_once(tmp_path: Path, browse: Browse) -> None:
    from gmixer.search.map import Map, _coloring
    from gmixer.search.thumbnails import Picture

    rng = np.random.default_rng(0)
    names: list[str | None] = [COLORS_OF[i % 4] for i in range(20_000)]
    made = Map(
        model="m", place_N2=rng.uniform(-0.5, 0.5, (20_000, 2)), pictures=[Picture(f"{i}.jpg") for i in range(20_000)],
        labels=names, predictions=[None] * 20_000, colorings=[_coloring("label", names)], rows=20_000,
        without_vector=0, without_direction=0,
    )  # fmt: skip
    write_map_page(made, tmp_path / "map.html", place="out", thumbnails=0)
    with browse(tmp_path / "map.html") as page:
        assert colors_seen(page) >= 5 and page.evaluate("buffer !== null")
        page.fill("#search", "19999")
        assert page.locator("#found").text_content() == "1 of 20,000 match; Enter shows them"
        page.keyboard.press("Enter")
        until(page, "view.scale > home * 30")
        assert page.evaluate("nearest(width / 2 + panel.getBoundingClientRect().right / 2, height / 2, 20)") == 19_999
