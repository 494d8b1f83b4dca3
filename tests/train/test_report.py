"""The report page: what it says, that names from strangers' files stay text, and how a real browser takes it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.datasets import UNKNOWN, LabeledImages, Split
from gmixer.errors import ImageError
from gmixer.evaluate.outcomes import Outcomes, score_batch
from gmixer.models.mixer import Mixer
from gmixer.train import Recipe, read_recipe, train
from gmixer.train.initial_model import InitialModel
from gmixer.train.report import MISTAKES, THUMBNAIL_PX, render, write_report
from gmixer.train.run_summary import RunSummary
from labelled import folders
from training import Watching

SCRIPT = "<script>document.title='ran'</script>"
IMAGE = "<img src=x onerror=\"document.title='ran'\">"
BREAKS_OUT = "\"'></td></style></title><b>"
CSP = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


class Made:
    """Images of one colour, with the names and classes of the test."""

    source = "photos"
    soft = None
    notes = ()

    def __init__(self, classes: list[str], labels: list[int], names: list[str] | None = None) -> None:
        self.classes, self.labels = classes, np.array(labels, np.int64)
        self._names = names or [f"photos/{i}.jpg" for i in range(len(labels))]

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, i: int) -> str:
        return self._names[i]

    def read(self, i: int) -> bytes:
        if self._names[i] == "gone":
            raise ImageError("missing", "no such file", "gone")
        out = BytesIO()
        Image.new("RGB", (400, 300), (i, 90, 160)).save(out, "JPEG")
        return out.getvalue()


def summary(
    folder: Path,
    classes: list[str],
    labels: list[int],
    predicted: list[int],
    *,
    sure: list[float] | None = None,
    names: list[str] | None = None,
    unreadable: dict[str, str] | None = None,
    recipe: Recipe | None = None,
) -> RunSummary:
    """Of a run where images with `labels` were held out, and the model predicted `predicted`, with logits `sure`."""
    logits = np.zeros((len(labels), len(classes)), np.float32)
    logits[np.arange(len(predicted)), predicted] = sure or 1.0
    known = [i for i, label in enumerate(labels) if label != UNKNOWN]
    outcomes = score_batch(known, logits[known], [[labels[i]] for i in known]) if known else _no_outcomes(len(classes))
    variant = VARIANTS["gmixer_8_64"]
    model = Mixer(replace(variant.model, num_classes=len(classes)))
    images: LabeledImages = Made(classes, labels, names)
    return RunSummary(
        recipe=recipe or read_recipe("probe"),
        initial=InitialModel(model, variant.data, "gmixer_8_64.distill_in1k", classes, True),
        parts=Split(images, images, is_drawn=True),
        outcomes=outcomes,
        unreadable=unreadable or {},
        folder=folder,
    )


def _no_outcomes(K: int) -> Outcomes:
    one = score_batch([0], np.zeros((1, K), np.float32), [[0]])
    return Outcomes(**{name: column[:0] for name, column in vars(one).items()})


def text_of(page: str) -> str:
    """What a reader sees, roughly: without head and tags, each run of white space one space."""
    body = re.sub(r"</?(?:b|bdi|code)\b[^>]*>", "", page.partition("</head>")[2])
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def hostile(folder: Path) -> RunSummary:
    return summary(
        folder,
        [SCRIPT, IMAGE, BREAKS_OUT],
        [0, 1, 2, 2],
        [1, 0, 0, 2],
        names=[f"{SCRIPT}.jpg", f"{IMAGE}.jpg", "line\nbreak\udcff\u202egpj.jpg", "b.jpg"],
        unreadable={SCRIPT: IMAGE},
        recipe=read_recipe("finetune").changed({"about": SCRIPT, "loss.teacher": IMAGE, "loss.teacher_share": 0.5}),
    )


# ---- what it says


def test_the_accuracy_comes_with_its_interval_and_what_guessing_would_reach(tmp_path: Path) -> None:
    text = text_of(render(summary(tmp_path, ["cat", "dog"], [0] * 12 + [1] * 28, [0] * 10 + [1] * 30)))
    assert "95.0 % top-1" in text
    assert "95 % interval: 83.5 … 98.6 %, from 40 held-out images" in text  # Wilson's of 38 of 40
    assert "38 right, 2 wrong" in text and "Always guessing “dog” would be right in 70.0 %" in text
    assert "few images were held out" in text and "top-5" not in text


def test_top5_is_said_of_more_than_five_classes_and_few_only_of_few(tmp_path: Path) -> None:
    text = text_of(render(summary(tmp_path, list("abcdef"), [0] * 400, [5] * 400)))
    assert " 0.0 % top-1" in text and "100.0 % top-5" in text  # after the class said, a comes first of the equal ones
    assert "few images were held out" not in text


def test_the_matrix_counts_what_was_taken_for_what(tmp_path: Path) -> None:
    page = render(summary(tmp_path, ["cat", "dog", "emu"], [0, 0, 0, 1, 2], [0, 0, 1, 1, 0]))
    rows = re.findall(r'<tr><th scope="row" title=.*?</tr>', page, re.DOTALL)
    assert [re.findall(r"<td[^>]*>(\d*)</td>", row) for row in rows] == [["2", "1", ""], ["", "1", ""], ["1", "", ""]]
    assert 'title="cat → dog: 1 of 3"' in page and "--tone:var(--good);--share:0.667" in page


def test_of_many_classes_the_most_confused_pairs_are_listed(tmp_path: Path) -> None:
    classes = [f"c{i}" for i in range(31)]
    page = render(summary(tmp_path, classes, [7, 7, 7, 8, 8, 9], [9, 9, 7, 3, 3, 1]))
    pairs = re.search(r'<table class="pairs">.*?</table>', page, re.DOTALL)
    assert pairs and 'class="matrix"' not in page
    assert text_of("</head>" + pairs[0]) == "class taken for images c7 c9 2 of 3 c8 c3 2 of 2"  # 9 for 1 but once
    assert "All 31 classes" in text_of(page)


def test_the_classes_are_there_the_worst_first(tmp_path: Path) -> None:
    text = text_of(render(summary(tmp_path, ["cat", "dog", "emu"], [0, 0, 1, 1], [0, 0, 0, 1])))
    assert "dog 2 2 1 50 % cat 2 2 2 100 % emu 0 0 – – not measured" in text


def test_the_mistakes_are_those_the_model_was_surest_of(tmp_path: Path) -> None:
    n = MISTAKES + 6
    sure = [1.0 + 0.2 * i for i in range(n)]
    page = render(summary(tmp_path, ["cat", "dog"], [0] * n, [1] * n, sure=sure))
    shown = re.findall(r'dim small">(photos/\d+\.jpg)<', page)
    assert shown == [f"photos/{i}.jpg" for i in range(n - 1, n - 1 - MISTAKES, -1)]
    assert f"The {MISTAKES} of {n} wrong answers with the highest probability" in text_of(page)
    assert "is cat, taken for dog (100 %)" in text_of(page)
    thumbnails = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    first = Image.open(BytesIO(base64.b64decode(thumbnails[0])))
    assert len(thumbnails) == MISTAKES and first.size == (THUMBNAIL_PX, THUMBNAIL_PX * 3 // 4)
    assert abs(first.getpixel((80, 60))[0] - (n - 1)) <= 3  # type: ignore[index] # it is that image


def test_an_image_that_is_gone_costs_its_thumbnail(tmp_path: Path) -> None:
    text = text_of(render(summary(tmp_path, ["cat", "dog"], [0, 1], [1, 1], names=["gone", "b.jpg"])))
    assert "gone is cat, taken for dog" in text


def test_a_page_of_nothing_measured(tmp_path: Path) -> None:
    page = render(summary(tmp_path, ["cat", "dog"], [UNKNOWN, UNKNOWN], [0, 0]))
    assert "Nothing was measured" in text_of(page) and "2 to learn from have no label" in text_of(page)
    assert "<figure>" not in page and 'class="matrix"' not in page


def test_what_could_not_be_read_is_listed(tmp_path: Path) -> None:
    unreadable = {f"{i}.jpg": "is empty" for i in range(103)}
    text = text_of(render(summary(tmp_path, ["cat", "dog"], [0, 1], [0, 1], unreadable=unreadable)))
    assert "103 could not be read" in text and "99.jpg: is empty … and 3 more" in text


def test_the_recipe_and_the_commands_are_there(tmp_path: Path) -> None:
    text = text_of(render(summary(tmp_path / "my run", ["cat", "dog"], [0, 1], [0, 1])))
    assert f"gmixer classify photo.jpg --model '{tmp_path}/my run/model'" in text
    assert f'gmixer.load("{tmp_path}/my run/model")' in text and f'"local-dir:{tmp_path}/my run/model"' in text
    assert 'method = "probe"' in text and "val_fraction = 0.2" in text and "[model]" in text


def test_curves_are_there_for_every_screen_but_not_for_a_probe(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("step,epoch,loss,top1,top5,n\n1,1,2.0,0.5,1,2\n2,2,1.0,0.6,1,2\n")
    finetuned = summary(tmp_path, ["cat", "dog"], [0, 1], [0, 1], recipe=read_recipe("finetune"))
    assert len(set(re.findall(r"data:image/png;base64,[^\"]+", render(finetuned)))) == 4
    assert "image/png" not in render(summary(tmp_path, ["cat", "dog"], [0, 1], [0, 1]))


# ---- hostile names


def test_names_are_text_whatever_they_hold(tmp_path: Path) -> None:
    page = render(hostile(tmp_path))
    assert "<script" not in page and "<img src=x" not in page and "</td></style>" not in page
    assert page.count("&lt;script&gt;") > 5  # heading, tables, mistakes, files
    assert "line\\nbreak\\udcff\\u202egpj.jpg" in page
    write_report(hostile(tmp_path))
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    page = render(summary(tmp_path, ["cat", "dog"], [0, 1], [1, 1]))
    links = re.findall(r"""(?:src|href|srcset)\s*=\s*["']?([^"'\s>]+)""", page)
    assert links and all(link.startswith("data:image/") for link in links)
    assert "url(" not in page and "@import" not in page
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page


# ---- in a browser


@pytest.fixture
def browse(tmp_path: Path, need: Callable[..., None]) -> Callable[..., tuple[str, list[str]]]:
    """A page → the document as Chromium has it after loading, and what its console said."""
    chromium = shutil.which("chromium")
    need(chromium, "chromium", debian="chromium")

    def open_page(page: str) -> tuple[str, list[str]]:
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        quiet = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
                 "--disable-sync", "--enable-logging=stderr")  # fmt: skip
        done = subprocess.run(
            [str(chromium), "--headless", "--no-sandbox", *quiet, f"--user-data-dir={tmp_path / 'profile'}",
             "--dump-dom", path.as_uri()],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page


def test_a_browser_shows_hostile_names_as_text_and_has_nothing_to_complain_of(
    tmp_path: Path, browse: Callable[..., tuple[str, list[str]]]
) -> None:
    document, console = browse(render(hostile(tmp_path / "run")))
    assert not console
    assert "<title>run – gmixer train</title>" in document and "<script" not in document
    assert "document.title='ran'" in text_of(document)


def test_escaping_alone_keeps_names_from_running(tmp_path: Path, browse: Callable[..., tuple[str, list[str]]]) -> None:
    page, policies = CSP.subn("", render(hostile(tmp_path / "run")))
    document, console = browse(page)
    assert policies == 1 and not console and "<title>run – gmixer train</title>" in document


def test_the_policy_alone_keeps_scripts_from_running(
    tmp_path: Path, browse: Callable[..., tuple[str, list[str]]]
) -> None:
    page = render(summary(tmp_path / "run", ["cat", "dog"], [0, 1], [1, 1])).replace("</main>", f"{SCRIPT}</main>")
    document, console = browse(page)
    assert "<title>run – gmixer train</title>" in document and "Content Security Policy" in console[0]


def test_all_images_show_and_nothing_is_wider_than_the_screen(
    tmp_path: Path, browse: Callable[..., tuple[str, list[str]]]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "val.csv").write_text("step,epoch,loss,top1,top5,n\n1,1,2.0,0.5,1,2\n2,2,1.0,0.6,1,2\n")
    classes = [f"a class with a long name {'and-without-a-place-to-break' * (i % 2)} {i}" for i in range(30)]
    of_run = summary(folder, classes, list(range(30)), [0] * 30, names=["x" * 300] * 30, recipe=read_recipe("finetune"))
    measure = """<script>addEventListener("load", () => { document.body.dataset.measured = [
        innerWidth, document.documentElement.scrollWidth, document.images.length,
        [...document.images].filter(i => i.naturalWidth && i.clientWidth > 50).length]; })</script></body>"""
    page = CSP.sub("", render(of_run)).replace("</body>", measure)
    # In a frame: Chromium's own window is never narrower than 500 px.
    framed = """<body><iframe width=WIDTH height=900></iframe><script>const f = document.querySelector("iframe");
        f.srcdoc = PAGE; f.onload = () => setTimeout(() => {
        document.body.dataset.measured = f.contentDocument.body.dataset.measured; }, 0)</script></body>"""
    for px in (1280, 390):
        wrapped = framed.replace("WIDTH", str(px)).replace("PAGE", json.dumps(page).replace("</", "<\\/"))
        document, _ = browse(wrapped)
        found = re.search(r'data-measured="(\d+),(\d+),(\d+),(\d+)"', document)
        assert found, document[-500:]
        inner, wide, images, seen = map(int, found.groups())
        assert wide <= inner == px
        assert images == seen == MISTAKES + 1


# ---- at the end of a run


def test_a_run_ends_with_a_report_a_card_and_a_model_that_loads(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"cat": 8, "dog": 12})
    (data / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    listener = Watching()
    trained = train(data, read_recipe("probe"), tmp_path / "run", listener=listener)
    assert re.fullmatch(r"\d+ images to learn from, \d+ held out; 2 classes.*\(cat\).*\(dog\)", listener.messages[0])
    assert trained.report == tmp_path / "run" / "report.html"
    text = text_of(trained.report.read_text(encoding="utf-8"))
    assert "broken.png" in text and "1 could not be read" in text
    assert "2 classes: cat, dog" in (trained.model_folder / "README.md").read_text(encoding="utf-8")
    assert [label.name for label in gmixer.load(trained.model_folder).labels] == ["cat", "dog"]


def test_a_report_that_fails_costs_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(summary: RunSummary) -> Path:
        raise OSError("no space left on device")

    monkeypatch.setattr("gmixer.train.report.write_report", fail)
    listener = Watching()
    trained = train(
        folders(tmp_path / "data", {"cat": 8, "dog": 8}), read_recipe("probe"), tmp_path / "run", listener=listener
    )
    assert trained.report is None
    assert listener.messages[-1] == "the model is saved, but its report is incomplete: no space left on device"
    assert gmixer.load(trained.model_folder).classify(np.zeros((64, 64, 3), np.uint8), k=2)
