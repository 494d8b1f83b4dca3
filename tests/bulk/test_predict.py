"""predict.py: records → rows, the same bits whatever the batch and the part."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

import gmixer
from gmixer.bulk.predict import rows_of, tables_of
from gmixer.bulk.record import Record
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import Stamp
from gmixer.bulk.stored import vectors_of
from gmixer.options import Reading
from gmixer.predictor import ImageOutput
from gmixer.sources.local import LocalFile

SMALL = "gmixer_8_64.distill_in1k"


def records(paths: Iterable[object]) -> list[Record]:
    return [Record(str(path), None, None, None, LocalFile(str(path))) for path in paths]


def table(some: Iterable[Record], predictor: gmixer.Predictor, **options: Any) -> pa.Table:
    return pa.Table.from_batches(list(rows_of(some, predictor, RowOptions(**options))))


@pytest.fixture
def mixed(tmp_path: Path, photos: list[Path]) -> list[Path]:
    """Good and bad ones, more than two batches."""
    (tmp_path / "cut.jpg").write_bytes(photos[0].read_bytes()[:3_000])
    return [*photos, tmp_path / "absent.jpg", tmp_path / "cut.jpg", *photos, *photos, *photos, *photos, *photos]


def test_a_row_has_every_column(predictor: gmixer.Predictor, photos: list[Path], tmp_path: Path) -> None:
    data = photos[0].read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[:3_000])
    some = [
        Record("good", None, "v1", "cats", LocalFile(str(photos[0]))),
        Record("cut", 7, None, "dogs", LocalFile(str(tmp_path / "cut.jpg"))),
        Record("absent", 7, None, None, LocalFile(str(tmp_path / "absent.jpg"))),
    ]
    found = table(some, predictor, hash=True, classes=3)
    assert found.schema == schema_of(Stamp.of(predictor, RowOptions(hash=True, classes=3), None))
    assert found.schema.metadata == schema_of(Stamp.of(predictor, RowOptions(hash=True, classes=3), None)).metadata
    good, cut, absent = found.to_pylist()
    expected = predictor.predict(photos[0], k=3)
    assert np.float32(good.pop("vector")).tobytes() == expected.embedding.vectors.tobytes()
    assert good.pop("top_probability") == np.float32(expected.prediction[0].probability)
    classes = good.pop("predictions")
    assert [c["probability"] for c in classes] == [np.float32(c.probability) for c in expected.prediction]
    assert [(c["index"], c["synset"], c["label"]) for c in classes] == [
        (c.index, c.synset, c.label) for c in expected.prediction
    ]
    width, height = Image.open(photos[0]).size
    assert good == {
        "path": "good",
        "bytes": len(data),
        "version": "v1",
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": width,
        "height": height,
        "label": "cats",
        "top_label": expected.prediction[0].label,
        "note": None,
        "error_kind": None,
        "error_message": None,
    }
    given = {name: value for name, value in cut.items() if value is not None}
    assert given.pop("error_message").startswith("cannot be decoded as JPEG")
    sha256 = hashlib.sha256(data[:3_000]).hexdigest()
    assert given == {"path": "cut", "bytes": 7, "sha256": sha256, "label": "dogs", "error_kind": "corrupt"}
    given = {name: value for name, value in absent.items() if value is not None}
    assert given == {"path": "absent", "bytes": 7, "error_kind": "missing", "error_message": "no such file"}


@pytest.mark.parametrize("sizes", [[1] * 38, [17, 16, 5], [38], [0, 3, 0, 35]], ids=len)
def test_the_same_bits_whatever_the_parts(sizes: list[int], predictor: gmixer.Predictor, mixed: list[Path]) -> None:
    assert len(mixed) == 38
    expected = table(records(mixed), predictor)
    rest = iter(records(mixed))
    parts = [[next(rest) for _ in range(size)] for size in sizes]
    stamp = Stamp.of(predictor, RowOptions(), 16)
    tables = list(tables_of(parts, predictor, stamp))
    assert [len(found) for found in tables] == sizes
    assert pa.concat_tables(tables).combine_chunks().equals(expected.combine_chunks())
    good = expected.filter(pa.compute.is_null(expected["error_kind"]))
    vectors = predictor.embed(good["path"].to_pylist()).vectors
    assert vectors_of(good["vector"].combine_chunks()).tobytes() == vectors.tobytes()


def test_the_next_part_is_prepared_while_the_last_batch_of_a_part_runs(
    predictor: gmixer.Predictor, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, ran = [threading.Event() for _ in range(4)], list[bool]()
    decode, outputs_of = predictor.preprocess.with_note, predictor.outputs_of

    def noted(data: bytes, *, name: str) -> object:
        prepared[int(name)].set()
        return decode(data, name=name)

    def waits(batch: Any) -> Iterator[object]:
        ran.append(len(ran) == 3 or prepared[len(ran) + 1].wait(20))
        return outputs_of(batch)

    fake = SimpleNamespace(with_note=noted, reading=Reading(), config=predictor.preprocess.config)
    monkeypatch.setattr(predictor, "preprocess", fake)
    monkeypatch.setattr(predictor, "outputs_of", waits)
    parts = [[Record(str(i), None, None, None, LocalFile(str(photos[0])))] * 3 for i in range(4)]
    stamp = Stamp.of(predictor, RowOptions(), 3)
    assert [len(found) for found in tables_of(parts, predictor, stamp)] == [3] * 4
    assert ran == [True] * 4


def test_nothing_and_all_bad(predictor: gmixer.Predictor) -> None:
    stamp = Stamp.of(predictor, RowOptions(), 4)
    (none,) = tables_of([[]], predictor, stamp)
    assert len(none) == 0 and none.schema == schema_of(stamp)
    (bad,) = tables_of([records(["x", "y"])], predictor, stamp)
    assert bad["error_kind"].to_pylist() == ["missing"] * 2 and bad["vector"].null_count == 2


@pytest.mark.parametrize(
    ("options", "type_", "expected"),
    [
        ({}, np.float32, [3, 4]),
        ({"dtype": "float16"}, np.float16, [3, 4]),
        ({"normalize": True}, np.float32, [0.6, 0.8]),
        ({"normalize": True, "dtype": "float16"}, np.float16, [0.6, 0.8]),
    ],
    ids=str,
)
def test_the_form_of_a_vector(options: Any, type_: Any, expected: list[float], faked: Any) -> None:
    (row,) = faked([3, 4], **options)
    assert np.array_equal(np.array(row["vector"][:2], type_), np.array(expected, type_)) and row["error_kind"] is None


def test_a_vector_of_zeros_stays(faked: Any) -> None:
    (row,) = faked([0, 0], normalize=True)
    assert row["vector"] == [0.0] * 16 and row["error_kind"] is None


def test_the_length_of_a_normalized_vector_is_1(faked: Any) -> None:
    drawn = np.random.default_rng(1).standard_normal(16) * 1e20  # its squares exceed float32
    (row,) = faked(drawn, normalize=True)
    assert abs(np.linalg.norm(np.float64(row["vector"])) - 1) < 1e-7


def test_a_number_beyond_float16_is_an_error_and_never_infinite(faked: Any) -> None:
    good, bad = faked([1, 2], [1, 70_000], dtype="float16")
    assert good["error_kind"] is None and good["vector"][:2] == [1, 2]
    assert bad["vector"] is None and bad["width"] is None
    assert bad["error_kind"] == "unsupported" and "take float32, or normalize" in bad["error_message"]
    (row,) = faked([1, 70_000], dtype="float16", normalize=True)
    assert row["error_kind"] is None
    good, bad = faked([1, 2], [1, np.inf])
    assert good["error_kind"] is None and "no finite vector in fp32" in bad["error_message"]


def test_without_predictions(faked: Any, predictor: gmixer.Predictor, photos: list[Path]) -> None:
    (row,) = faked([1, 2])  # a model without a classifier
    assert row["predictions"] is row["top_label"] is row["top_probability"] is None
    (row,) = table(records(photos[:1]), predictor, classes=0).to_pylist()
    assert row["predictions"] is None and row["top_label"] is not None
    (row,) = table(records(photos[:1]), predictor, classes=5_000).to_pylist()
    assert len(row["predictions"]) == 1_000


def test_names_that_are_no_text_are_escaped(predictor: gmixer.Predictor, tmp_path: Path) -> None:
    (row,) = table(records([tmp_path / "caf\udce9.jpg"]), predictor).to_pylist()
    assert row["path"].endswith("caf\\udce9.jpg")


@pytest.mark.parametrize("turned", [False, True])
def test_the_size_is_that_of_the_upright_file_also_if_it_is_decoded_faster(turned: bool, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    Image.new("RGB", (2_001, 1_203), "teal").save(tmp_path / "large.jpg", exif=exif)
    Image.new("RGB", (60, 30)).save(tmp_path / "small.png")
    some = records([tmp_path / "large.jpg", tmp_path / "small.png"])
    for fast, isolate in ((False, False), (True, False), (True, True)):
        found = table(some, gmixer.load(SMALL, fast_decode=fast, isolate=isolate))
        assert found["width"].to_pylist() == [1_203 if turned else 2_001, 60], (fast, isolate)
        assert found["height"].to_pylist() == [2_001 if turned else 1_203, 30]


@pytest.fixture
def faked(predictor: gmixer.Predictor, jpeg: Path) -> Any:
    """The rows of vectors, given by their first numbers, of a model of 16 channels without classes."""

    def rows(*starts: Any, **options: Any) -> list[dict[str, Any]]:
        features: list[NDArray[np.float32]] = [np.array([*start, *[0] * 16][:16], np.float32) for start in starts]
        config = SimpleNamespace(channels=16)

        def outputs_of(batch: Any) -> list[ImageOutput]:
            return [
                ImageOutput(f, np.empty(0, np.float32), None, x.size_px) for f, x in zip(features, batch, strict=True)
            ]

        fake = SimpleNamespace(
            checkpoint=predictor.checkpoint, preprocess=predictor.preprocess, name="fake", model=config, labels=(),
            precision="fp32", runtime=SimpleNamespace(batch_hint=16), outputs_of=outputs_of,
        )  # fmt: skip
        found: list[dict[str, Any]] = table(records([jpeg] * len(features)), fake, **options).to_pylist()  # type: ignore[arg-type]
        return found

    return rows
