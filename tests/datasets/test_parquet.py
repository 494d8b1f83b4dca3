"""parquet.py: images and labels in Parquet files."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gmixer.datasets import UNKNOWN, LabeledImages, columns, open_images, open_split, parquet
from gmixer.errors import ImageError, InputError
from labelled import image, write

MANY = 40


def table(path: Path, numbers: range, labels: list[object] | None = None, group_rows: int = 7, **more: object) -> Path:
    """The image of a row is image(number), its label the number modulo 3, unless said otherwise."""
    columns = {"image": [image(n) for n in numbers], "label": labels or [n % 3 for n in numbers], **more}
    pq.write_table(pa.table(columns), path, row_group_size=group_rows)
    return path


def contents(images: LabeledImages) -> list[bytes]:
    return [images.read(i) for i in range(len(images))]


@pytest.fixture(params=[True, False], ids=["held", "by groups"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(parquet, "MAX_HELD_BYTES", 0)
    return bool(request.param)


def test_every_row_comes_out_in_whatever_order_it_is_read(held: bool, tmp_path: Path) -> None:
    table(tmp_path / "a.parquet", range(23))
    table(tmp_path / "b.parquet", range(23, MANY))
    images = open_images(tmp_path)
    assert images.labels.tolist() == [n % 3 for n in range(MANY)]
    for i in np.random.default_rng(0).permutation(MANY):
        assert images.read(int(i)) == image(int(i))
    assert images.name(25) == f"{tmp_path}/b.parquet[2]"


def read_there(images: LabeledImages, i: int, answers: multiprocessing.SimpleQueue[bytes]) -> None:
    answers.put(images.read(i))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_another_process_reads_the_same(method: str, held: bool, tmp_path: Path) -> None:
    images = open_images(table(tmp_path / "a.parquet", range(MANY)))
    images.read(1)
    context = multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    process = context.Process(target=read_there, args=(images, 30, answers))
    process.start()
    answer = answers.get()
    process.join()
    assert answer == image(30)


def test_a_copy_carries_no_images(tmp_path: Path) -> None:
    images = open_images(table(tmp_path / "a.parquet", range(MANY)))
    assert isinstance(images, parquet.Rows) and len(images.column._held) == 6
    copy = pickle.loads(pickle.dumps(images))
    assert not copy.column._held
    assert contents(copy) == contents(images)


@pytest.mark.parametrize(
    "names",
    [
        ("train-0.parquet", "val-0.parquet"),
        ("x_train.parquet", "x-validation-1.parquet"),
        ("TRAINING1.parquet", "dev.parquet"),
    ],
)
def test_files_are_parts_by_their_names(names: tuple[str, str], tmp_path: Path) -> None:
    table(tmp_path / names[0], range(30))
    table(tmp_path / names[1], range(30, MANY))
    (tmp_path / "README.md").write_text("of no concern")
    split = open_split(tmp_path)
    assert not split.is_drawn
    assert contents(split.train) == [image(n) for n in range(30)]
    assert contents(split.val) == [image(n) for n in range(30, MANY)]
    assert contents(open_images(f"{tmp_path}/{names[1][:-9]}*")) == contents(split.val)


def test_their_folders_tell_the_split(tmp_path: Path) -> None:
    """As the Hub converts data sets: `default/train/0000.parquet`."""
    for split, numbers in (("train", range(30)), ("test", range(30, MANY))):
        (tmp_path / "default" / split).mkdir(parents=True)
        table(tmp_path / "default" / split / "0000.parquet", numbers)
    split = open_split(tmp_path)
    assert contents(split.train) == [image(n) for n in range(30)]
    assert contents(split.val) == [image(n) for n in range(30, MANY)]


def test_a_column_says_what_is_held_out(tmp_path: Path) -> None:
    words = ["train", "val", "train", "test"] * 5
    file = table(tmp_path / "a.parquet", range(20), split=words)
    assert contents(open_images(file, split="val")) == [image(n) for n in range(1, 20, 4)]
    train = open_images(file, split="train")
    assert contents(train) == [image(n) for n in range(0, 20, 2)]
    assert train.labels.tolist() == [n % 3 for n in range(0, 20, 2)]


def test_hugging_face_s_layout_with_class_names(tmp_path: Path) -> None:
    write(tmp_path, {"data/far.png": image(99)})
    cells = [{"bytes": image(0), "path": "0.png"}, {"bytes": None, "path": "far.png"}, None]
    names = {"info": {"features": {"label": {"names": ["zebra", "ape"], "_type": "ClassLabel"}}}}
    found = pa.table({"image": cells, "label": [1, 0, None]})
    found = found.replace_schema_metadata({"huggingface": json.dumps(names)})
    pq.write_table(found, tmp_path / "data/train.parquet")
    images = open_images(tmp_path)  # as a repository of the Hub: data/*.parquet
    assert images.classes == ("zebra", "ape")
    assert images.labels.tolist() == [1, 0, UNKNOWN]
    assert [images.read(i) for i in range(2)] == [image(0), image(99)]
    with pytest.raises(ImageError) as error:
        images.read(2)
    assert error.value.kind == "empty"
    assert error.value.source == f"{tmp_path}/data/train.parquet[2]"
    assert [images.name(i) for i in range(2)] == [
        f"{tmp_path}/data/train.parquet[0]::0.png",
        f"{tmp_path}/data/train.parquet[1]::far.png",
    ]


def test_files_whose_rows_are_called_something_and_files_whose_are_not(tmp_path: Path) -> None:
    """In any order: a row has its own name or none, and its own image."""
    path = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    large = pa.struct([("bytes", pa.binary()), ("path", pa.large_string())])
    columns = [
        pa.array([{"bytes": image(0), "path": "0.png"}, {"bytes": image(1), "path": "1.png"}] * 2, path),
        pa.array([image(2), image(3)]),
        pa.array([{"bytes": image(4)}]),
        pa.array([{"bytes": image(5), "path": None}]),
        pa.array([{"bytes": image(6), "path": "6.png"}], large),
    ]
    for order in (1, -1):
        folder = tmp_path / str(order)
        folder.mkdir()
        for number, column in enumerate(columns[::order]):
            labels = [j % 2 for j in range(len(column))]
            pq.write_table(pa.table({"image": column, "label": labels}), folder / f"{number}.parquet", row_group_size=1)
        images = open_images(folder)
        found = {images.name(i).removeprefix(f"{folder}/"): images.read(i) for i in range(len(images))}
        places = range(5)[::order]
        assert found == {
            f"{places[0]}.parquet[0]::0.png": image(0),
            f"{places[0]}.parquet[1]::1.png": image(1),
            f"{places[0]}.parquet[2]::0.png": image(0),
            f"{places[0]}.parquet[3]::1.png": image(1),
            f"{places[1]}.parquet[0]": image(2),
            f"{places[1]}.parquet[1]": image(3),
            f"{places[2]}.parquet[0]": image(4),
            f"{places[3]}.parquet[0]": image(5),
            f"{places[4]}.parquet[0]::6.png": image(6),
        }


@pytest.mark.parametrize(
    ("second", "refused"), [(["zebra", "ape"], False), (["ape", "zebra"], True), (["zebra"], True), (None, False)]
)
def test_every_file_names_the_same_classes(second: list[str] | None, refused: bool, tmp_path: Path) -> None:
    """Else a number would be one animal in the first file and another in the second."""
    for number, names in enumerate((["zebra", "ape"], second)):
        found = pa.table({"image": [image(number), image(number + 2)], "label": [0, 0 if names == ["zebra"] else 1]})
        info = {"info": {"features": {"label": {"names": names}}}}
        if names is not None:
            found = found.replace_schema_metadata({"huggingface": json.dumps(info)})
        pq.write_table(found, tmp_path / f"{number}.parquet")
    if not refused:
        assert open_images(tmp_path).classes == ("zebra", "ape")
        return
    with pytest.raises(InputError, match=r"1\.parquet names other classes than .*0\.parquet; wanted the same"):
        open_images(tmp_path)


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (pa.array(["b", "a", None, "b"]), ("a", "b"), [1, 0, UNKNOWN, 1]),
        (pa.array(["b", "a", None, "b"]).dictionary_encode(), ("a", "b"), [1, 0, UNKNOWN, 1]),
        (pa.array([2, 0, None, -1], pa.int16()), None, [2, 0, UNKNOWN, UNKNOWN]),
        (pa.array([2.0, 0.0, float("nan"), None]), None, [2, 0, UNKNOWN, UNKNOWN]),
        (pa.array([True, False, None, True]), ("False", "True"), [1, 0, UNKNOWN, 1]),
    ],
)
def test_labels_of_every_type(
    labels: pa.Array, classes: tuple[str, ...] | None, expected: list[int], tmp_path: Path
) -> None:
    pq.write_table(pa.table({"image": [image(n) for n in range(4)], "label": labels}), tmp_path / "a.parquet")
    images = open_images(tmp_path / "a.parquet")
    assert images.classes == classes
    assert images.labels.tolist() == expected


def test_a_column_of_paths_starts_from_the_file(tmp_path: Path) -> None:
    write(tmp_path, {"in/0.png": image(0), "in/1.png": image(1)})
    found = pa.table({"file_name": ["in/1.png", "in/0.png"], "label": ["x", "y"]})
    pq.write_table(found, tmp_path / "a.parquet")
    assert contents(open_images(tmp_path / "a.parquet")) == [image(1), image(0)]


def test_paths_as_windows_writes_them(tmp_path: Path) -> None:
    write(tmp_path, {"in/0.png": image(0), "in/1.png": image(1)})
    paths = ["in\\1.png", "in\\0.png"]
    cells = {"paths": paths, "categories": pa.array(paths).dictionary_encode()}
    cells["structs"] = [{"bytes": None, "path": path} for path in paths]
    for name, column in cells.items():
        pq.write_table(pa.table({"image": column, "label": ["x", "y"]}), tmp_path / f"{name}.parquet")
        assert contents(open_images(tmp_path / f"{name}.parquet")) == [image(1), image(0)]


def test_a_teacher_s_answers_lie_beside_the_images(tmp_path: Path) -> None:
    file = table(
        tmp_path / "a.parquet",
        range(3),
        labels=[-1, -1, -1],
        teacher_index=[[5, 900], [], [7]],
        teacher_probability=[[0.75, 0.25], None, [0.5]],
    )
    soft = open_images(file).soft
    assert soft is not None
    assert soft.index.tolist() == [[5, 900], [-1, -1], [7, -1]]
    assert soft.probability.tolist() == [[0.75, 0.25], [0, 0], [0.5, 0]]
    assert soft.index.dtype == np.int32 and soft.probability.dtype == np.float32


def test_one_long_answer_of_a_teacher_does_not_cost_the_memory_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MAX_PADDING", 3)
    lists = [[0]] * 9 + [list(range(11))]
    table(tmp_path / "a.parquet", range(10), teacher_index=lists, teacher_probability=[[0.0] * len(x) for x in lists])
    with pytest.raises(InputError, match=r"row 9 has 11 in teacher_index, and the mean row 2; wanted about"):
        open_images(tmp_path / "a.parquet")


def test_bytes_that_are_no_image_are_the_decoder_s_concern(tmp_path: Path) -> None:
    found = pa.table({"image": [b"hello", image(1)], "label": [0, 1]})
    pq.write_table(found, tmp_path / "a.parquet")
    assert contents(open_images(tmp_path / "a.parquet")) == [b"hello", image(1)]


def test_damage_costs_the_rows_it_lies_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MAX_HELD_BYTES", 0)
    file = table(tmp_path / "a.parquet", range(MANY))
    images = open_images(file)
    chunk = pq.ParquetFile(file).metadata.row_group(2).column(0)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(file.read_bytes())
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    file.write_bytes(data)
    assert images.read(0) == image(0)
    with pytest.raises(ImageError) as error:
        images.read(15)
    assert error.value.kind == "corrupt"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"image": [b"a"], "kind": [1]}, ["image, kind", "label"]),
        ({"pixels": [b"a"], "label": [1]}, ["pixels, label", "image or path"]),
        ({"image": [b"a", b"b"], "label": [0.5, 1.0]}, ["0.5", "whole numbers"]),
        ({"image": [b"a", b"b"], "label": [-3, 1]}, ["-3"]),
        ({"image": pa.array([], pa.binary()), "label": pa.array([], pa.int8())}, ["no rows"]),
        ({"image": [b"a", b"b"], "label": [[1], [2]]}, ["list"]),
        (
            {"image": [b"a", b"b"], "label": [0, 1], "teacher_index": [[1], [2]], "teacher_probability": [[0.5], []]},
            ["row 1 has 1 in teacher_index and 0"],
        ),
        (
            {
                "image": [b"a", b"b"],
                "label": [0, 1],
                "teacher_index": [[1], [2]],
                "teacher_probability": [[0.5], [2.0]],
            },
            ["outside 0 … 1"],
        ),
    ],
)
def test_what_is_wrong_is_said_at_opening(columns: dict[str, object], words: list[str], tmp_path: Path) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError) as error:
        open_images(tmp_path / "a.parquet")
    for word in words:
        assert word in str(error.value)


def test_a_file_cut_short(tmp_path: Path) -> None:
    file = table(tmp_path / "a.parquet", range(MANY))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"a\.parquet cannot be read.*complete"):
        open_images(file)


def test_shards_of_other_columns(tmp_path: Path) -> None:
    table(tmp_path / "a.parquet", range(4))
    pq.write_table(pa.table({"image": [b"a"], "klass": [1]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet has no column label"):
        open_images(tmp_path)


def test_a_file_that_says_no_part_among_others_that_do(tmp_path: Path) -> None:
    table(tmp_path / "train.parquet", range(4))
    table(tmp_path / "extra.parquet", range(4))
    with pytest.raises(InputError, match=r"extra\.parquet is neither train nor val"):
        open_images(tmp_path)


def test_what_does_not_fit_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MAX_HELD_BYTES", 0)
    images = open_images(table(tmp_path / "a.parquet", range(MANY)))
    assert isinstance(images, parquet.Rows) and not images.column._held
    assert contents(images) == [image(n) for n in range(MANY)]
    assert len(images.column._held) == 1
