"""gmixer index and gmixer search, as a person or a script meets them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import gmixer
from command import call, run, run_in_terminal
from made_embeddings import embed_into, made_vectors, write_part

HOSTILE = {
    "<script>alert(1)<b>.png": "<img src=x onerror=alert(1)>",
    'it\'s "quoted" & {{ 7 * 7 }}.png': "a\u202eb",
    "new\nline\x1b[31m.png": "'); DROP TABLE images; --",
    "plain.png": "cat",
}


@pytest.fixture(scope="module")
def folder(photos: list[Path], predictor: gmixer.Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pieces of photos under hostile names, embedded in e.parquet, and their index."""
    folder = tmp_path_factory.mktemp("search")
    images = {}
    for photo, (name, label) in zip(photos, HOSTILE.items(), strict=False):
        image = Image.open(photo).convert("RGB")
        image.thumbnail((120, 90))
        image.save(folder / name)
        images[str(folder / name)] = label
    embed_into(folder / "e.parquet", predictor, images)
    finished = call("index", folder / "e.parquet", "-o", folder / "index")
    assert finished.returncode == 0 and finished.stderr == "", finished
    assert finished.stdout == f"{folder}/index: 4 rows; 4 added\nexact search: every row is compared\n"
    return folder


def test_a_pipe_gets_lines(folder: Path) -> None:
    finished = run("search", folder / "index", folder / "plain.png", "-k", "2")
    first, second = finished.stdout.splitlines()
    assert finished.returncode == 0 and "\x1b" not in finished.stdout
    assert first == f"1.0000\t{folder}/plain.png\tcat\t" and float(second.split("\t")[0]) < 1
    assert finished.stderr == "2 of 4 rows; exact search\n"  # and nothing of LanceDB's


def test_json_lines_of_a_query_by_row(folder: Path) -> None:
    finished = call("search", folder / "index", "--row", folder / "plain.png", "--json")
    rows = [json.loads(line) for line in finished.stdout.splitlines()]
    assert finished.returncode == 0 and finished.stderr == ""
    assert [row["rank"] for row in rows] == [1, 2, 3] and {row["label"] for row in rows} == set(HOSTILE.values()) - {
        "cat"
    }
    assert set(rows[0]) == {
        *("rank", "similarity", "path", "label", "top_label", "top_probability", "width", "height", "bytes")
    }
    assert "without the query itself" in call("search", folder / "index", "--row", folder / "plain.png").stderr


def test_a_terminal_gets_a_table(folder: Path) -> None:
    shown, status = run_in_terminal("search", folder / "index", folder / "plain.png")
    assert status == 0 and re.search(r" 1  1\.0000 █", shown) and "cat" in shown
    assert "\\x1b[31m" in re.sub(r"\s", "", shown)  # the escape in a name is shown, and does nothing


def test_standard_input_and_several_images(folder: Path) -> None:
    name = folder / "plain.png"
    finished = call("search", folder / "index", "-", "-k", "1", stdin=name.read_bytes())
    assert finished.stdout.startswith(f"1.0000\t{name}")
    twice = call("search", folder / "index", name, "--row", name, name, "-k", "4")
    assert len(twice.stdout.splitlines()) == 3


def test_a_condition_chooses_rows(folder: Path) -> None:
    hostile = HOSTILE["new\nline\x1b[31m.png"].replace("'", "''")
    finished = call("search", folder / "index", folder / "plain.png", "--where", f"label = '{hostile}'", "--json")
    assert [json.loads(line)["label"] for line in finished.stdout.splitlines()] == ["'); DROP TABLE images; --"]
    nothing = call("search", folder / "index", folder / "plain.png", "--where", "label = 'dog'")
    assert nothing.returncode == 0 and nothing.stdout == "" and nothing.stderr == "no row fits the condition\n"
    refused = call("search", folder / "index", folder / "plain.png", "--where", "colour = 'red'")
    assert refused.returncode == 2 and "No field named colour" in refused.stderr and "top_label" in refused.stderr


def test_what_cannot_be_a_query(folder: Path) -> None:
    for arguments, said in (
        (["a cat"], "no text side"),
        (["cat.jpg"], "cat.jpg: no such file"),
        ([folder], "is a folder, not an image"),
        ([folder / "e.parquet"], "does not start like an image"),
        (["--row", "cat.jpg"], "no row 'cat.jpg'"),
        ([], "wanted a query"),
        ([folder / "plain.png", "--html", folder / "x.txt"], "wanted .html"),
        ([folder / "plain.png", "-m", "gmixer_9"], "gmixer_9"),
        ([folder / "plain.png", "--index-options", "[1]"], "--index-options is no JSON object"),
    ):
        finished = call("search", folder / "index", *arguments)
        assert finished.returncode == 2 and said in finished.stderr and finished.stdout == "", arguments


def test_what_cannot_be_indexed(folder: Path, tmp_path: Path) -> None:
    made = write_part(tmp_path / "made.parquet", made_vectors(3)).place
    other = call("index", made, "-o", folder / "index")
    assert other.returncode == 2 and "do not compare" in other.stderr and "gmixer_8_64.distill_in1k" in other.stderr
    for source in (folder / "plain.png", folder / "index", "nothing"):
        refused = call("index", source, "-o", tmp_path / "index")
        assert refused.returncode == 2 and f"{source} holds no stored embeddings" in refused.stderr
    assert not (tmp_path / "index").exists()


def test_counts_and_a_row_again(tmp_path: Path) -> None:
    vectors = made_vectors(4)
    vectors[3] = 0
    source = write_part(tmp_path / "e.parquet", vectors, error_kind=["corrupt", None, None, None]).place
    first = call("index", source, "-o", tmp_path / "index").stdout.splitlines()[0]
    assert first.endswith(
        "index: 2 rows; 2 added, 1 left out without a vector, 1 left out with a vector that is zero or not finite"
    )
    assert "2 rows; 2 unchanged, 1 left" in call("index", source, source, "-o", tmp_path / "index").stdout.replace(
        "4 unchanged, 2 left", "2 unchanged, 1 left"
    )


def test_an_approximate_index_says_its_recall(tmp_path: Path) -> None:
    source = write_part(tmp_path / "e.parquet", made_vectors(101_000, channels=4)).place
    finished = call("index", source, "-o", tmp_path / "index")
    assert finished.stderr == "building an approximate index over 101,000 rows …\n"
    assert re.search(
        r"search: \d+ of 101 lists; recall@10 (0\.9[5-9]\d|1\.000) against exact search, on 100 of the rows",
        finished.stdout,
    )
    found = call("search", tmp_path / "index", "--row", "7.jpg")
    assert re.search(r"^10 of 101,000 rows, without the query itself; approximate search, recall@10 ", found.stderr)


def test_the_page_shows_text_as_text(folder: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    shutil.copytree(folder, here)
    page = tmp_path / "a.html"
    gone = folder / "gone.png"
    finished = call("search", folder / "index", folder / "plain.png", "--html", page, "--where", "1 < 2")
    assert finished.returncode == 0 and not gone.exists()
    text = page.read_text()
    assert "<script" not in text and "onerror=alert(1)&gt;" in text and "{{ 7 * 7 }}" in text
    assert "new\\nline\\x1b[31m.png" in text and "\u202e" not in text and "1 &lt; 2" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert text.count('src="data:image/jpeg;base64,') == 5  # the query and four rows
    assert "http" not in text.replace('http-equiv="Content', "")
    assert '<div class="label"><bdi>cat</bdi></div>' in text  # not on one line with the prediction


def test_the_page_has_a_word_for_a_file_that_is_gone(folder: Path, predictor: gmixer.Predictor, tmp_path: Path) -> None:
    image = tmp_path / "was here.png"
    shutil.copy(folder / "plain.png", image)
    embed_into(tmp_path / "e.parquet", predictor, {str(image): "cat"})
    call("index", tmp_path / "e.parquet", "-o", tmp_path / "index")
    image.unlink()
    finished = call("search", tmp_path / "index", folder / "plain.png", "--html", tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert finished.returncode == 0 and text.count("data:image/jpeg") == 1 and "<span>gone</span>" in text


def test_no_command_and_no_import_loads_lancedb() -> None:
    heavy = ("lancedb", "pyarrow", "numpy")
    code = f"import gmixer, gmixer.search, gmixer.cli, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_in_a_browser(width: int, scheme: str, folder: Path, tmp_path: Path, need: object) -> None:
    """Offline: all images are shown, nothing is refused, nothing runs, and nothing is wider than the screen."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    need(chromium, "Chromium", debian="chromium")  # type: ignore[operator]
    call("search", folder / "index", folder / "plain.png", "--html", tmp_path / "a.html")
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: said.append("a dialog"))
        page.goto((tmp_path / "a.html").as_uri())
        wide, broken, paper = page.evaluate(
            "[document.documentElement.scrollWidth, [...document.images].filter(i => !i.naturalWidth).length,"
            " getComputedStyle(document.body).backgroundColor]"
        )
        browser.close()
    assert not said and wide == width and broken == 0
    assert paper == {"light": "rgb(246, 247, 249)", "dark": "rgb(17, 20, 26)"}[scheme]
