"""balance.py: how many pictures each class has."""

from __future__ import annotations

from pathlib import Path

from gmixer.datasets import Balance, balance, open_pictures
from labelled import folders, picture, write


def test_classes_are_counted_in_their_order(tmp_path: Path) -> None:
    found = balance(open_pictures(folders(tmp_path, {"b": 3, "a": 1, "c": 5}), classes=["c", "none", "b", "a"]))
    assert found == Balance((("c", 5), ("none", 0), ("b", 3), ("a", 1)), unlabelled=0)
    assert (found.largest, found.smallest, found.empty) == (("c", 5), ("none", 0), ("none",))


def test_numbers_and_what_has_no_label(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": picture(i) for i in range(4)})
    (tmp_path / "a.csv").write_text("path,label\n0.png,2\n1.png,\n2.png,0\n3.png,2\n")
    found = balance(open_pictures(tmp_path / "a.csv"))
    assert found == Balance((("class 0", 1), ("class 1", 0), ("class 2", 2)), unlabelled=1)


def test_no_labels_at_all(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": picture(i) for i in range(2)})
    (tmp_path / "a.csv").write_text("path,label\n0.png,\n1.png,\n")
    found = balance(open_pictures(tmp_path / "a.csv", classes=["ant"]))
    assert found.classes == (("ant", 0),) and found.unlabelled == 2
    assert Balance((), 2).largest is None and Balance((), 2).smallest is None
