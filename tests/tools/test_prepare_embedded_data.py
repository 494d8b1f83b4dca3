"""tools/prepare_embedded_data.py: what is held out is never trained on, and a teacher that saw too little is silent."""

from __future__ import annotations

import importlib.util
import io
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

TOOL = Path(__file__).parents[2] / "tools" / "prepare_embedded_data.py"
SOURCES = ("tiny_train", "mini", "stanford_dogs", "food101_64")
# Class → labelled rows of the broad files: half of them is the most that a class gives.
BROAD = {3: 9, 5: 4, 8: 3, 9: 2, 11: 1}
HELD_OUT = 6
OWN = 40  # rows of the first file that are like no other


def drawn(seed: int) -> Image.Image:
    """A smooth image of its own, 72 px."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((72, 72), Image.Resampling.BICUBIC)


def webp(image: Image.Image, quality: int = 80) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality)
    return out.getvalue()


def write(path: Path, images: list[bytes], labels: list[int]) -> None:
    """As the source files have them. Every third row has no answer of the teacher."""
    rows = range(len(images))
    columns = {
        "image": pa.array(images, pa.binary()),
        "label": pa.array(labels, pa.int16()),
        "source": pa.array([SOURCES[i % len(SOURCES)] for i in rows]).dictionary_encode(),
        "teacher_index": pa.array([[] if i % 3 == 2 else [i, 7] for i in rows], pa.list_(pa.int16())),
        "teacher_probability": pa.array([[] if i % 3 == 2 else [0.5, 0.25] for i in rows], pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), path)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_embedded_data", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    labels = [label for label, rows in BROAD.items() for _ in range(rows)] + [-1] * 5
    broad = [drawn(i) for i in range(len(labels))]
    for part in range(2):
        images = [webp(image) for image in broad[part::2]]
        write(folder / f"train-broad-0000{part}-of-00002.parquet", images, labels[part::2])
    # Every broad image stands in the first file again, in another size and quality, among images of its own.
    again = [webp(image.resize((64, 64)), quality=50) for image in broad]
    own = [webp(drawn(1000 + i)) for i in range(OWN)]
    write(folder / "train-00000-of-00001.parquet", [*again, *own], [0] * (len(again) + len(own)))
    val = pa.table({"image": [webp(drawn(2000 + i)) for i in range(3)], "label": pa.array([0, 1, 2], pa.int16())})
    pq.write_table(val, folder / "val-00000-of-00001.parquet")
    return folder


def prepare(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["prepare", *map(str, arguments)])
    tool.main()


@pytest.fixture
def made(tool: ModuleType, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    data, held_out = tmp_path / "data", tmp_path / "heldout"
    prepare(tool, monkeypatch, source, data, held_out, "--count", HELD_OUT)
    return data, held_out


def test_every_class_gives_as_many_and_at_most_half(made: tuple[Path, Path]) -> None:
    _, held_out = made
    table = pq.read_table(held_out)
    assert table.column_names == ["image", "label"]
    assert Counter(table["label"].to_pylist()) == {3: 2, 5: 2, 8: 1, 9: 1}


def test_no_row_that_is_trained_on_shows_a_held_out_image(
    tool: ModuleType, source: Path, made: tuple[Path, Path]
) -> None:
    data, held_out = made
    held = pq.read_table(held_out)["image"]
    broad = [image for file in source.glob("train-broad-*") for image in pq.read_table(file)["image"].to_pylist()]
    kept = {file.name: pq.read_table(file)["image"] for file in sorted(data.glob("train-*"))}
    kept_broad = [image for name, images in kept.items() if "broad" in name for image in images.to_pylist()]
    assert sorted([*kept_broad, *held.to_pylist()]) == sorted(broad)
    left_out = len(broad) + OWN - len(kept["train-00000-of-00001.parquet"])
    assert left_out == HELD_OUT, "the copies, and no other row"
    for images in kept.values():
        assert tool.nearest_bits(tool.signs(images), tool.signs(held)).min() > tool.NEAR_BITS


def test_val_is_copied(source: Path, made: tuple[Path, Path]) -> None:
    data, _ = made
    assert pq.read_table(next(data.glob("val-*"))).equals(pq.read_table(next(source.glob("val-*"))))


def test_a_teacher_is_silent_where_it_saw_64_px_alone(source: Path, made: tuple[Path, Path]) -> None:
    data, _ = made
    for file in data.glob("train-*"):
        was = {row["image"]: row for row in pq.read_table(source / file.name).to_pylist()}
        for row in pq.read_table(file).to_pylist():
            before = was[row["image"]]
            if row["source"] in ("tiny_train", "food101_64"):
                assert row["teacher_index"] == row["teacher_probability"] == []
                assert row["label"] == before["label"]
            else:
                assert row == before
        assert pq.read_schema(file).equals(pq.read_schema(source / file.name))


def test_a_second_run_makes_the_same_files(
    tool: ModuleType, source: Path, made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tool, monkeypatch, source, tmp_path / "data2", tmp_path / "heldout2", "--count", HELD_OUT)
    for folder in made:
        for file in folder.iterdir():
            assert file.read_bytes() == (folder.with_name(f"{folder.name}2") / file.name).read_bytes()


def test_more_than_half_is_refused(
    tool: ModuleType, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="half of the labelled rows are 8; wanted 9"):
        prepare(tool, monkeypatch, source, tmp_path / "data", tmp_path / "heldout", "--count", 9)
    assert not any(tmp_path.iterdir())


def test_the_source_is_never_replaced(tool: ModuleType, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {file.name: file.read_bytes() for file in source.iterdir()}
    with pytest.raises(SystemExit, match="not three folders"):
        prepare(tool, monkeypatch, source, source, source / "heldout")
    assert {file.name: file.read_bytes() for file in source.iterdir()} == before


def test_a_folder_without_broad_files_is_refused(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"has no train-broad-\*\.parquet"):
        prepare(tool, monkeypatch, tmp_path, tmp_path / "data", tmp_path / "heldout")
