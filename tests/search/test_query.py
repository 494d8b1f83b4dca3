"""Index: queries by vector, by image and by row, with the model that made the index."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import gmixer
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.stamp import Stamp
from gmixer.errors import ImageError, InputError
from gmixer.options import Native, Reading, WeightsSource
from gmixer.search import open_index
from gmixer.search.build import build_index
from gmixer.search.index import Index, direction_of
from gmixer.search.model import open_model_of
from gmixer.search.queries import embed_queries
from made_embeddings import embed_into, made_vectors, write_part

EMBEDDED = Path(gmixer.__file__).parent / "weights" / "embedded" / "gmixer_8_64.safetensors"
DEFAULT = (None, WeightsSource(), Reading(), Native())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """300 made rows."""
    folder = tmp_path_factory.mktemp("made")
    labels = ["cat" if i % 3 else None for i in range(300)]
    source = write_part(folder / "e.parquet", made_vectors(300), label=labels, width=list(range(300)))
    build_index([source], str(folder / "index"))
    return open_index(folder / "index")


@pytest.fixture(scope="module")
def of_photos(photos: list[Path], predictor: gmixer.Predictor, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """The rows of the photos, by the embedded model."""
    folder = tmp_path_factory.mktemp("photos")
    source = embed_into(folder / "e.parquet", predictor, {str(path): path.stem for path in photos})
    build_index([source], str(folder / "index"))
    return open_index(folder / "index")


def test_a_photo_finds_itself(of_photos: Index, photos: list[Path]) -> None:
    for photo in photos:
        first, second = of_photos.query(photo, k=2)
        assert (first.path, first.rank, first.label) == (str(photo), 1, photo.stem)
        assert first.similarity == pytest.approx(1, abs=1e-5) and second.similarity < 0.99


def test_bytes_arrays_and_lists_are_images(of_photos: Index, photos: list[Path]) -> None:
    found = of_photos.query(photos[0])
    assert of_photos.query(photos[0].read_bytes()) == found
    assert of_photos.query([photos[0]]) == found == of_photos.query([photos[0]] * 2)
    pixels = np.asarray(Image.open(photos[0]).convert("RGB"))
    assert of_photos.query(pixels)[0].path == str(photos[0])


def test_several_are_the_mean_of_their_directions(made: Index) -> None:
    two = made_vectors(2, seed=4)
    two[0] *= 100  # its length counts for nothing
    mean = sum(vector / np.linalg.norm(vector) for vector in two.astype(np.float64))
    assert made.query(two, 7) == made.query(mean, 7) != made.query(two.mean(axis=0), 7)


def test_rows_by_their_paths(made: Index) -> None:
    vectors = made_vectors(300)
    np.testing.assert_array_equal(made.vectors_of(["7.jpg", "3.jpg", "7.jpg"]), vectors[[7, 3, 7]])
    found = made.nearest(direction_of(vectors[[7]], 16), 5, without=["7.jpg"])
    assert found[0].rank == 1 and [m.path for m in found] == [m.path for m in made.query(vectors[7], 6)[1:]]
    with pytest.raises(InputError, match=r"no row 'x\.jpg'"):
        made.vectors_of(["7.jpg", "x.jpg"])


def test_a_condition(made: Index) -> None:
    query = made_vectors(300)[4]
    everything = made.query(query, 300)
    assert len(everything) == 300 == len(made.query(query, 10**9)) == made.rows
    assert [m.path for m in made.query(query, 5, where="label = 'cat' AND width < 100")] == [
        m.path for m in everything if m.label == "cat" and m.width is not None and m.width < 100
    ][:5]
    assert made.query(query, where="label = 'nobody'") == []
    assert all(m.label is None for m in made.query(query, 50, where="label IS NULL"))


@pytest.mark.parametrize(
    "where", ["nothing = 1", "label =", "label = 'cat'; DROP TABLE images", "label = 'cat' nothing", "'", "", "width"]
)
def test_a_condition_that_is_none(where: str, made: Index) -> None:
    with pytest.raises(InputError) as refused:
        made.query(made_vectors(1)[0], where=where)
    assert "path, bytes, version, sha256, width, height, label, top_label, top_probability" in str(refused.value)
    assert repr(where) in str(refused.value) and "vector" not in str(refused.value) and made.rows == 300


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (np.zeros(16), "no direction"),
        (np.full(16, np.nan), "no direction"),
        (np.full(16, np.inf), "no direction"),
        (np.stack([np.ones(16), -np.ones(16)]), "no direction"),
        (np.ones(17), "1 × 17; wanted vectors of 16"),
        (np.ones((0, 16)), "0 × 16"),
        (np.ones((1, 1, 16)), "1 × 1 × 16"),
    ],
)
def test_a_query_that_is_none(query: Any, said: str, made: Index) -> None:
    with pytest.raises(InputError, match=said):
        made.query(query)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "10"])
def test_k_is_a_number(k: Any, made: Index) -> None:
    with pytest.raises(InputError, match="k is"):
        made.query(made_vectors(1)[0], k)


@given(
    st.lists(st.floats(-1e30, 1e30).filter(lambda x: not 0 < abs(x) < 1e-30), min_size=4, max_size=4).filter(any),
    st.floats(2.0**-20, 2.0**20),
)
def test_a_direction_has_length_1_and_no_scale(numbers: list[float], scale: float) -> None:
    vector = np.array([numbers], np.float64)
    direction = direction_of(vector, 4)
    assert direction.dtype == np.float32 and np.linalg.norm(direction) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(direction_of(vector * scale, 4), direction, atol=1e-6)


def stamp_of(predictor: gmixer.Predictor, **change: Any) -> Stamp:
    return replace(Stamp.of(predictor, RowOptions(), None), **change)


def test_the_model_is_that_of_the_stamp(predictor: gmixer.Predictor) -> None:
    opened = open_model_of("index", stamp_of(predictor, precision="bf16"), *DEFAULT)
    assert (opened.name, opened.precision) == (predictor.name, "bf16")
    with pytest.raises(InputError, match="precision is int8, and index holds vectors in bf16"):
        open_model_of("index", stamp_of(predictor, precision="bf16"), None, *DEFAULT[1:3], Native(precision="int8"))
    larger = gmixer.load(predictor.name, image_px=96)
    assert open_model_of("index", stamp_of(larger), *DEFAULT).model.image_px == 96


def test_pixels_are_read_as_the_rows_were(predictor: gmixer.Predictor) -> None:
    stored = stamp_of(gmixer.load(predictor.name, orientation="ignore"))
    limited = Reading(limits=gmixer.Limits(max_pixels=5))
    opened = open_model_of("index", stored, *DEFAULT[:2], limited, Native())
    assert opened.preprocess.reading == replace(limited, orientation="ignore")
    with pytest.raises(InputError, match="range is used, and index was made with full"):
        open_model_of("index", stored, *DEFAULT[:2], Reading(range="used"), Native())


def test_other_weights_are_refused(predictor: gmixer.Predictor) -> None:
    with pytest.raises(InputError, match=r"weights_sha256 abab.*Pass --model with the weights"):
        open_model_of("index", stamp_of(predictor, weights_sha256="ab" * 32), *DEFAULT)


def test_a_model_with_a_name_of_this_machine(predictor: gmixer.Predictor, tmp_path: Path) -> None:
    stored = stamp_of(predictor, model="run-7")
    with pytest.raises(InputError, match=r"run-7 \(weights .*pass --model"):
        open_model_of("index", stored, *DEFAULT)
    elsewhere = shutil.copy(EMBEDDED, tmp_path / "weights.safetensors")
    opened = open_model_of("index", stored, elsewhere, *DEFAULT[1:])
    np.testing.assert_array_equal(opened.transform(np.zeros((9, 9, 3), np.uint8)).shape, (3, 64, 64))


def test_words_are_no_query(of_photos: Index, predictor: gmixer.Predictor) -> None:
    for words in ("a cat", "cat", "sunset. over the sea"):
        with pytest.raises(InputError, match="no text side"):
            embed_queries(of_photos, predictor, [words])
    for path in ("cat.jpg", "photos/cat", "missing.tar::cat.jpg"):
        with pytest.raises(ImageError) as missing:
            embed_queries(of_photos, predictor, [path])
        assert missing.value.kind == "missing" and missing.value.source == path


def test_a_row_that_is_no_file_is_named(made: Index, predictor: gmixer.Predictor) -> None:
    with pytest.raises(InputError, match=r"--row 7\.jpg"):
        embed_queries(made, predictor, ["7.jpg"])


def test_a_bad_image_fails(of_photos: Index, predictor: gmixer.Predictor, photos: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photos[0].read_bytes()[:500])
    with pytest.raises(ImageError) as corrupt:
        embed_queries(of_photos, predictor, [str(photos[0]), str(bad)])
    assert (corrupt.value.kind, corrupt.value.source) == ("corrupt", str(bad))


def test_an_open_index_is_as_it_was(tmp_path: Path) -> None:
    place, vectors = str(tmp_path / "index"), made_vectors(10)
    build_index([write_part(tmp_path / "1.parquet", vectors[:5])], place)
    before = open_index(place)
    build_index([write_part(tmp_path / "2.parquet", vectors[5:], path=list("abcde"))], place)
    assert len(before.query(vectors[0], 99)) == 5 and len(open_index(place).query(vectors[0], 99)) == 10
