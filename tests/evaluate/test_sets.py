"""sets.py: which images count, and which classes are correct."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gmixer.errors import InputError
from gmixer.evaluate.sets import open_set
from gmixer.evaluate.subsets import SUBSETS
from gmixer.labels import imagenet_1k, labels_for
from labelled import folders, image, write

IMAGENET = imagenet_1k()
VAL = "ILSVRC2012_val_000000"


def labels_by_folder(root: Path, names: list[str]) -> dict[str, int]:
    test = open_set(folders(root, dict.fromkeys(names, 1)), IMAGENET)
    return {Path(test.images.name(i)).parent.name: int(test.images.labels[i]) for i in test.numbers}


def test_folders_called_by_numbers_are_class_indices(tmp_path: Path) -> None:
    """ImageNet-V2's: sorted as words, 10 would come before 2."""
    assert labels_by_folder(tmp_path, ["0", "2", "10", "999"]) == {"0": 0, "2": 2, "10": 10, "999": 999}


def test_a_number_that_is_no_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1000"):
        labels_by_folder(tmp_path, ["1", "1000"])


def test_folders_called_by_synsets_are_found_by_them(tmp_path: Path) -> None:
    chosen = [998, 3, 515]
    found = labels_by_folder(tmp_path, [IMAGENET[i].synset for i in chosen])
    assert found == {IMAGENET[i].synset: i for i in chosen}


def test_names_are_never_matched_by_their_place(tmp_path: Path) -> None:
    """The data's classes in sorted order are cat, dog; the model's are not."""
    own = labels_for(3, ["dog", "bird", "cat"])
    test = open_set(folders(tmp_path / "a", {"cat": 2, "dog": 1}), own)
    assert test.images.labels.tolist() == [2, 2, 0] and test.numbers.tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="the class wolf; the model knows dog, bird, cat; wanted the same classes"):
        open_set(folders(tmp_path / "b", {"cat": 1, "wolf": 1}), own)
    with pytest.raises(InputError, match="wanted the same classes"):  # numbers say nothing of classes that have names
        open_set(folders(tmp_path / "c", {"0": 1, "1": 1}), own)
    with pytest.raises(InputError, match="wanted the same classes"):
        open_set(folders(tmp_path / "d", {"cat": 1, "dog": 1}), IMAGENET)


def test_a_number_is_a_name_where_the_classes_are_called_by_numbers(tmp_path: Path) -> None:
    """Eleven classes learnt from folders 0 … 10 are sorted as words: 0, 1, 10, 2, …"""
    own = labels_for(11, sorted(map(str, range(11))))
    rows = [f"{number}.png,{number}" for number in range(11)]
    write(tmp_path, {f"{number}.png": image(number) for number in range(11)})
    (tmp_path / "data.csv").write_text("\n".join(["path,label", *rows]))
    test = open_set(tmp_path / "data.csv", own)
    assert [own[label].name for label in test.images.labels] == [str(number) for number in range(11)]


@pytest.mark.parametrize("of", ["a", "r"])
def test_subsets_count_their_own_classes_alone_even_where_some_have_no_image(of: str, tmp_path: Path) -> None:
    synsets = [IMAGENET[i].synset for i in SUBSETS[of][5:8]]  # type: ignore[index]
    test = open_set(folders(tmp_path, dict.fromkeys(synsets, 1)), IMAGENET, of)  # type: ignore[arg-type]
    assert test.allowed is not None and np.array_equal(test.allowed, SUBSETS[of])  # type: ignore[index]
    assert set(test.images.labels) <= set(test.allowed.tolist())


def test_images_of_another_set_are_refused(tmp_path: Path) -> None:
    root = folders(tmp_path, {IMAGENET[0].synset: 1, IMAGENET[6].synset: 1})  # 6 is in A, 0 is not
    with pytest.raises(InputError, match="n01440764, not one of the 200 classes of ImageNet-A"):
        open_set(root, IMAGENET, "a")


def test_named_sets_are_for_imagenets_classes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model has others"):
        open_set(folders(tmp_path, {"cat": 1, "dog": 1}), labels_for(2, ["cat", "dog"]), "a")


@pytest.fixture
def val(tmp_path: Path) -> Path:
    """Pictures 1 to 4 of the validation set, in folders that are in another order than they."""
    where = {"n01443537": [4, 2], "n01440764": [1, 3]}
    files = {f"{synset}/{VAL}{n:02}.JPEG": image(n) for synset, numbers in where.items() for n in numbers}
    return write(tmp_path / "val", files)


def real(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "real.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_real_labels_go_by_the_number_in_the_name_and_may_be_several_or_none(val: Path, tmp_path: Path) -> None:
    score_batch = [[5], [6, 7], [], [8]]
    test = open_set(val, IMAGENET, "real", real_labels=real(tmp_path, score_batch))
    assert test.correct is not None
    found = {Path(test.images.name(int(i))).name: test.correct[int(i)] for i in test.numbers}
    assert found == {f"{VAL}01.JPEG": [5], f"{VAL}02.JPEG": [6, 7], f"{VAL}04.JPEG": [8]}


def test_real_labels_go_by_the_path_that_a_table_keeps(tmp_path: Path) -> None:
    """As Hugging Face's Parquet files of ImageNet have it."""
    images = [{"bytes": image(n), "path": f"{VAL}{n:02}_n01440764.JPEG"} for n in (4, 2, 1)]
    pq.write_table(pa.table({"image": images, "label": [0, 0, 0]}), tmp_path / "validation-0.parquet")
    test = open_set(
        tmp_path / "validation-0.parquet", IMAGENET, "real", real_labels=real(tmp_path, [[5], [6, 7], [], []])
    )
    assert test.correct is not None and [test.correct[int(i)] for i in test.numbers] == [[6, 7], [5]]


@pytest.mark.parametrize("content", ["{", {}, [[0], "a"], [[0], [1000], [], []], [[0], [-1], [], []], [[0], [0.5]]])
def test_files_that_are_not_real_json(content: object, val: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"real\.json"):
        open_set(val, IMAGENET, "real", real_labels=real(tmp_path, content))


def test_real_labels_of_too_few_images(val: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ILSVRC2012_val_00000003"):
        open_set(val, IMAGENET, "real", real_labels=real(tmp_path, [[0], [1], [2]]))


def test_real_and_its_labels_go_together(val: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="go together"):
        open_set(val, IMAGENET, "real")
    with pytest.raises(InputError, match="go together"):
        open_set(val, IMAGENET, real_labels=real(tmp_path, [[0]]))


def test_images_without_a_label_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, {f"{i}.png": image(i) for i in range(3)})
    table = tmp_path / "t.csv"
    table.write_text("path,label\n0.png,3\n1.png,-1\n2.png,5\n")
    test = open_set(table, IMAGENET)
    assert test.numbers.tolist() == [0, 2]
    table.write_text("path,label\n0.png,-1\n1.png,-1\n")
    with pytest.raises(InputError, match="no image with a label"):
        open_set(table, IMAGENET)
