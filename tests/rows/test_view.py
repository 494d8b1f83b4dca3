"""view.py, answers.py, facts.py: the same row as JSON, in a pipe, as CSV and in a terminal."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from gmixer.errors import ImageError
from gmixer.results import Ancestor, Class, Prediction
from gmixer.rows.answers import Answer, open_answers
from gmixer.rows.facts import Fact
from gmixer.rows.view import LineView, TerminalView, open_view

CLASSES = (Class(281, "n02123045", "tabby, tabby cat", 0.75), Class(282, "n02123159", "tiger cat", 0.125))
PARENTS = (Ancestor("n02121808", "domestic cat", 0.875), Ancestor("n00001740", "entity", 1.0))
GOOD = Answer("a.png", Prediction(CLASSES, "m"))
ROLLED = Answer("a.png", Prediction(CLASSES, "m", PARENTS))
BAD = Answer("b\x1b[2J.png", ImageError("corrupt", "cut\nshort", "b.png"))


def drawn(row: Answer | Fact, columns: int = 80) -> list[str]:
    """What a terminal of this width shows, without colours."""
    stream = io.StringIO()
    TerminalView(Console(file=stream, width=columns, force_terminal=True, highlight=False)).row(row)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()


def test_json_is_one_object_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    view = open_answers(as_json=True, as_csv=False, k=2, rollup=False)
    view.row(GOOD)
    view.remark("not for a script")
    view.row(BAD)
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert good == {"path": "a.png"} | GOOD.found.to_dict()  # type: ignore[union-attr]
    assert bad == {"path": BAD.path, "error": {"kind": "corrupt", "message": "cut\nshort"}}
    assert view.console is None


def test_csv_has_a_column_for_each_class_and_empty_cells(capsys: pytest.CaptureFixture[str]) -> None:
    view = open_answers(as_json=False, as_csv=True, k=2, rollup=True)
    for row in (ROLLED, BAD, Answer("c.png", Prediction(CLASSES[:1], "m", note="is grey"))):
        view.row(row)
    assert capsys.readouterr().out == (
        "path,error_kind,error_message,index_1,synset_1,label_1,probability_1,index_2,synset_2,label_2,probability_2,"
        "rollup,note\n"
        'a.png,,,281,n02123045,"tabby, tabby cat",0.750000,282,n02123159,tiger cat,0.125000,'
        "0.875000 domestic cat; 1.000000 entity,\n"
        'b\x1b[2J.png,corrupt,"cut\nshort",,,,,,,,,,\n'
        'c.png,,,281,n02123045,"tabby, tabby cat",0.750000,,,,,,is grey\n'
    )


def test_a_pipe_gets_one_line_that_cannot_control_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    view = open_view()
    assert isinstance(view, LineView)
    for row in (GOOD, ROLLED, BAD, Fact("model", "m\tn", 9)):
        view.row(row)
    view.remark("not for a pipe")
    assert capsys.readouterr().out == (
        "a.png\t0.7500 tabby, tabby cat\t0.1250 tiger cat\n"
        "a.png\t0.7500 tabby, tabby cat\t0.1250 tiger cat\trollup\t0.8750 domestic cat\t1.0000 entity\n"
        "b\\x1b[2J.png\terror\tcut\\nshort\n"
        "model\tm\\tn\n"
    )


def test_a_terminal_gets_a_bar_for_each_class() -> None:
    assert drawn(GOOD) == [
        "a.png",
        "   75.0% ███████████████      tabby, tabby cat",
        "   12.5% ██▌                  tiger cat",
    ]
    assert drawn(ROLLED)[3:] == ["   87.5% domestic cat · 100.0% entity"]
    assert drawn(BAD) == ["b\\x1b[2J.png", "  cut\\nshort"]
    assert drawn(Answer("a.png", Prediction((), "m"))) == ["a.png", "  no class is that probable"]


@pytest.mark.parametrize("columns", [30, 50, 100, 300])
def test_a_drawing_keeps_to_the_width(columns: int) -> None:
    long = Class(0, "", "word " * 60, 0.5)
    lines = drawn(Answer("a.png", Prediction((long,), "m", PARENTS * 20)), columns)
    assert max(map(len, lines)) <= min(columns, 100)
    assert lines[1].endswith("…")


def test_facts_line_up_and_long_ones_fold() -> None:
    assert drawn(Fact("model", "m", 8)) == ["model     m"]
    lines = drawn(Fact("weights", "word " * 6, 8), columns=30)
    assert [line.rstrip() for line in lines] == ["weights   word word word word", "          word word"]


def test_a_terminal_gets_remarks() -> None:
    stream = io.StringIO()
    TerminalView(Console(file=stream, width=80)).remark("a [b]remark", "dim")
    assert stream.getvalue() == "a [b]remark\n"
