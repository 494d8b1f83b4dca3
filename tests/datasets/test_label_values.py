"""label_values.py: one meaning of a label in every format."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datasets
from gmixer.datasets import UNKNOWN, open_images
from gmixer.datasets.label_values import numbered
from gmixer.errors import InputError
from labelled import image, write

# What the rows hold, as texts and as typed values; the classes; the labels.
ROWS: list[tuple[list[str], list[object], tuple[str, ...] | None, list[int]]] = [
    (["0", "1", "", "1"], [0, 1, None, 1], None, [0, 1, UNKNOWN, 1]),
    (["0.0", "1.0", "nan", "1.0"], [0.0, 1.0, float("nan"), 1.0], None, [0, 1, UNKNOWN, 1]),
    (["01", "1", "-1", "1e0"], ["01", "1", "-1", "1e0"], None, [1, 1, UNKNOWN, 1]),
    (["True", "false", "", "TRUE"], [True, False, None, True], ("False", "True"), [1, 0, UNKNOWN, 1]),
    ([" dog", "cat ", "", "dog"], [" dog", "cat ", None, "dog"], ("cat", "dog"), [1, 0, UNKNOWN, 1]),
    (
        ["cafe\u0301", "caf\u00e9", "NaN", "bar"],
        ["cafe\u0301", "caf\u00e9", None, "bar"],
        ("bar", "café"),
        [1, 1, -1, 0],
    ),
]


def in_every_format(root: Path, texts: list[str], typed: list[object]) -> dict[str, Path]:
    """The same four rows as a CSV file, as tars, as Parquet files and as a saved data set, of texts and of values."""
    names = [f"in/{i}.png" for i in range(4)]
    write(root, {name: image(i) for i, name in enumerate(names)})
    with open(root / "a.csv", "w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([["path", "label"], *zip(names, texts, strict=True)])
    for end, contents in {
        "cls": [text.encode() for text in texts],
        "json": [json.dumps({"label": value}).encode() for value in typed],
    }.items():
        with tarfile.open(root / f"{end}.tar", "w") as tar:
            for i, content in enumerate(contents):
                for name, data in ((f"{i}.png", image(i)), (f"{i}.{end}", content)):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    columns = {"texts": pa.array(texts), "typed": pa.array(typed), "categories": pa.array(typed).dictionary_encode()}
    for name, column in columns.items():
        pq.write_table(pa.table({"path": names, "label": column}), root / f"{name}.parquet")
    rows = datasets.Dataset.from_dict({"image": [image(i) for i in range(4)], "label": typed})
    rows.save_to_disk(root / "saved")
    sources = ("a.csv", "cls.tar", "json.tar", "texts.parquet", "typed.parquet", "categories.parquet", "saved")
    return {source: root / source for source in sources}


@pytest.mark.parametrize(("texts", "typed", "classes", "expected"), ROWS)
def test_a_label_means_the_same_in_every_format(
    texts: list[str], typed: list[object], classes: tuple[str, ...] | None, expected: list[int], tmp_path: Path
) -> None:
    model = classes or ("ant", "bee")  # as validate opens the data
    for source, path in in_every_format(tmp_path, texts, typed).items():
        measured = open_images(path, classes=model)
        assert (source, measured.labels.tolist()) == (source, expected)
        if len({label for label in expected if label != UNKNOWN}) > 1:
            learned = open_images(path)
            assert (source, learned.classes, learned.labels.tolist()) == (source, classes, expected)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["0.5", "1"], ["label 0.5", "whole numbers"]),
        ([0.5, 1.0], ["label 0.5", "whole numbers"]),
        ([float("inf"), 1.0], ["label inf"]),
        (["-2", "1"], ["label -2", "-1 for unknown"]),
        ([1, "dog"], ["numbers (1) and names (dog)"]),
        ([True, 1], ["numbers (1) and booleans (True)"]),
        ([[1, 2], 1], ["[1, 2]", "type list", "for each image"]),
        ([b"\xff\xfe", b"a"], ["no UTF-8 text"]),
    ],
)
def test_what_no_label_is(values: list[object], words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        numbered(values, "here")
    for word in ["here", "wanted", *words]:
        assert word in str(error.value)


def test_numbers_of_every_type_and_spelling() -> None:
    values = [3, 3.0, "3", "03", "+3", "3.", "3.00e0", "0.3e1", b"3", Decimal("3.0")]
    assert numbered(values, "here").index.tolist() == [3] * len(values)
    for name in ("1_0", "٣", "0x3", "1,000", "inf", "3 4", "1e99999", "9" * 5000):
        assert numbered([name, "3"], "here").classes == tuple(sorted((name, "3")))


def test_words_for_nothing_are_names_only_among_names() -> None:
    assert numbered(["0", "None", "NA", "null", "1"], "here").index.tolist() == [0, UNKNOWN, UNKNOWN, UNKNOWN, 1]
    assert numbered(["glioma", "none", "NaN"], "here").classes == ("glioma", "none")


def test_a_number_of_any_length_costs_nothing_more() -> None:
    labels = numbered([10**30, "7"], "here")
    assert labels.classes == ("7", str(10**30)) and labels.index.tolist() == [1, 0]
    assert numbered(["02134", "90210", "02134"], "here").written == {2134: "02134"}


def test_unknown_among_names_is_no_class() -> None:
    labels = numbered(["b", "-1", "", "a"], "here")
    assert labels.index.tolist() == [1, UNKNOWN, UNKNOWN, 0] and labels.classes == ("a", "b")


def test_names_are_numbered_in_sorted_order() -> None:
    labels = numbered(["b", None, "a", "b"], "here")
    assert labels.index.tolist() == [1, UNKNOWN, 0, 1] and labels.classes == ("a", "b")
    assert labels.index.dtype == np.int64
