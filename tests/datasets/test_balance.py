"""balance.py: how many images each class has."""

from __future__ import annotations

from pathlib import Path

from gmixer.datasets import Balance, balance, described, open_images, open_split
from labelled import folders, image, write


def test_classes_are_counted_in_their_order(tmp_path: Path) -> None:
    found = balance(open_images(folders(tmp_path, {"b": 3, "a": 1, "c": 5}), classes=["c", "none", "b", "a"]))
    assert found == Balance((("c", 5), ("none", 0), ("b", 3), ("a", 1)), unlabelled=0)
    assert (found.largest, found.smallest, found.empty) == (("c", 5), ("none", 0), ("none",))


def test_numbers_and_what_has_no_label(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": image(i) for i in range(4)})
    (tmp_path / "a.csv").write_text("path,label\n0.png,2\n1.png,\n2.png,0\n3.png,2\n")
    found = balance(open_images(tmp_path / "a.csv"))
    assert found == Balance((("class 0", 1), ("class 1", 0), ("class 2", 2)), unlabelled=1)


def test_numbers_go_up_to_the_classes_of_the_model(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": image(i) for i in range(3)})
    (tmp_path / "a.csv").write_text("path,label,split\n0.png,2,train\n1.png,0,train\n2.png,2,val\n")
    parts = open_split(tmp_path / "a.csv", num_classes=1000)
    assert "; 1,000 classes, " in described(parts.train, parts.val, num_classes=1000)[0]
    assert len(balance(open_images(folders(tmp_path / "f", {"a": 1, "b": 1})), 1000).classes) == 2


def test_no_labels_at_all(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": image(i) for i in range(2)})
    (tmp_path / "a.csv").write_text("path,label\n0.png,\n1.png,\n")
    found = balance(open_images(tmp_path / "a.csv", classes=["ant"]))
    assert found.classes == (("ant", 0),) and found.unlabelled == 2
    assert Balance((), 2).largest is None and Balance((), 2).smallest is None


def test_a_person_is_told_the_sizes_before_a_run(tmp_path: Path) -> None:
    for part, counts in (("train", {"a": 3, "b": 5, "c": 4}), ("val", {"a": 1, "b": 1, "c": 1})):
        folders(tmp_path / part, counts)
    parts = open_split(tmp_path)
    expected = "12 images to learn from, 3 held out; 3 classes, the smallest of 3 (a), the largest of 5 (b)"
    assert described(parts.train, parts.val) == [expected]
    assert described(parts.val, parts.val) == ["3 images to learn from, 3 held out; 3 classes of 1 each"]


def test_a_person_is_told_what_is_missing(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": image(i) for i in range(4)})
    rows = "path,label,split\n0.png,0,train\n1.png,,train\n2.png,7,train\n3.png,0,val\n4.png,0,val\n"
    (tmp_path / "a.csv").write_text(rows)
    parts = open_split(tmp_path / "a.csv")
    first, *others = described(parts.train, parts.val)
    assert first == (
        "3 images to learn from, 2 held out; 8 classes, the smallest of 0 (class 1), the largest of 1 (class 0)"
    )
    assert others == [
        "without a label: 1 image to learn from, 0 held out",
        "no image to learn from: class 1, class 2, class 3, class 4, class 5 and 1 more",
        "1 file is named but missing (4.png): the number of images includes missing files",
    ]
