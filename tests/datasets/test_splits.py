"""splits.py: what is for training and what is held out, where the data says so."""

from __future__ import annotations

import pytest

from gmixer.datasets.splits import WORDS, abbreviate, named_splits, split_word, split_word_in, splits_of
from gmixer.errors import InputError


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("imagenet1k-validation-17.tar", "val"),
        ("my_valid.csv", "val"),
        ("TEST.parquet", "test"),
        ("train2017_04.tar", "train"),
        ("evaluation-0.tar", "test"),
        ("my dev.parquet", "val"),
        ("trains.parquet", None),
        ("train-00000-of-00001-a09b74b3ef9c3b56.parquet", "train"),
        ("constraint-01.tar", None),
    ],
)
def test_a_word_in_a_name_is_a_whole_word(file: str, word: str | None) -> None:
    assert split_word_in(file) == word


def test_the_words_and_what_stands_between_them_are_those_of_hugging_face() -> None:
    from datasets import data_files

    theirs = {"train": data_files.Split.TRAIN, "val": data_files.Split.VALIDATION, "test": data_files.Split.TEST}
    for word, keywords in ((word, data_files.SPLIT_KEYWORDS[split]) for word, split in theirs.items()):
        assert {name for name, ours in WORDS.items() if ours == word} == set(keywords)
    for mark in [*data_files.NON_WORDS_CHARS.replace("0-9", ""), "7"]:
        assert split_word(f"a{mark}train{mark}b") == "train"


def test_a_name_that_says_two_things() -> None:
    assert split_word("train_val") is None
    with pytest.raises(InputError, match=r"the name of train_val\.tar holds train and val"):
        split_word_in("train_val.tar")


def test_words() -> None:
    assert [split_word(word) for word in (" Train ", "VAL", "validation", "cat", "")] == [
        "train",
        "val",
        "val",
        None,
        None,
    ]


def test_a_whole_name_counts_before_one_with_the_same_word() -> None:
    assert named_splits(["train", "train_small", "Testing", "seg_val"]) == {
        "train": "train",
        "Testing": "test",
        "seg_val": "val",
    }


def test_beside_both_splits_others_are_left_out_and_named() -> None:
    splits, notes = splits_of({"a": "train", "b": "val", "pred": None}, "here")
    assert splits == {"train": ["a"], "val": ["b"]} and "left out" in notes[0] and "pred" in notes[0]


def test_test_is_held_out_where_nothing_else_is() -> None:
    assert splits_of({1: "train", 2: "test", 3: "train"}, "here") == (
        {"train": [1, 3], "val": [2]},
        ("there is no val split, so the test split is measured",),
    )
    parts, notes = splits_of({1: "train", 2: "test", 3: "val"}, "here")
    assert parts == {"train": [1], "val": [3]} and "left out" in notes[0]
    assert splits_of({1: None, 2: None}, "here") == ({"whole": [1, 2]}, ())


def test_all_say_it_or_none() -> None:
    with pytest.raises(InputError, match="here: b is neither train nor val"):
        splits_of({"a": "train", "b": None}, "here")


def test_some_of_many() -> None:
    assert abbreviate(["a"]) == "a" and abbreviate("abcd") == "a, b, c …"
