"""build_index: one row for each path, exact and approximate, of one vector space."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gmixer.bulk.stored import StoredEmbeddings, open_stored
from gmixer.errors import InputError, MissingExtraError
from gmixer.options import Storage
from gmixer.search import approximate, build
from gmixer.search.build import Built, build_index
from gmixer.search.index import FEW_ROWS, open_index
from gmixer.search.table import open_or_create, open_table
from made_embeddings import STAMP, made_vectors, write_part

EXACT_ROWS = 1_500  # in the tests with an approximate index


def counts(built: Built) -> tuple[int, int, int]:
    return built.added, built.replaced, built.unchanged


def brute_force(vectors_NC: NDArray[Any], query_C: NDArray[Any]) -> NDArray[np.float64]:
    """The cosine of each row, in float64."""
    v, q = vectors_NC.astype(np.float64), query_C.astype(np.float64)
    cosine_N: NDArray[np.float64] = v @ q / np.linalg.norm(v, axis=1) / np.linalg.norm(q)
    return cosine_N


def all_rows(place: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = open_table(str(place)).to_arrow().to_pylist()
    return sorted(rows, key=lambda row: row["path"])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_exact_search_is_that_of_numpy(dtype: str, tmp_path: Path) -> None:
    vectors = made_vectors(700).astype(dtype)
    stamp = replace(STAMP, rows={**STAMP.rows, "dtype": dtype})
    built = build_index([write_part(tmp_path / "e.parquet", vectors, stamp=stamp)], str(tmp_path / "index"))
    assert built == Built(
        rows=700, added=700, replaced=0, unchanged=0, without_vector=0, without_direction=0, approximate=None
    )
    index = open_index(tmp_path / "index")
    for query in made_vectors(5, seed=1).astype(dtype):
        cosine = brute_force(vectors, query)
        found = index.query(query, k=20)
        # float16 columns take the query in float16 too, after it was scaled to length 1
        atol = 1e-6 if dtype == "float32" else 1e-3
        np.testing.assert_allclose([m.similarity for m in found], np.sort(cosine)[::-1][:20], atol=atol)
        if dtype == "float32":
            assert [m.path for m in found] == [f"{i}.jpg" for i in np.argsort(-cosine)[:20]]


def test_an_approximate_index_finds_what_it_says(tmp_path: Path) -> None:
    vectors = made_vectors(4_000)
    source = write_part(tmp_path / "e.parquet", vectors, label=["cat" if i % 50 == 0 else "dog" for i in range(4_000)])
    trained: list[int] = []
    built = build_index([source], str(tmp_path / "index"), exact_rows=EXACT_ROWS, on_training=trained.append)
    assert built.approximate is not None and trained == [4_000]
    assert built.approximate.recall >= approximate.RECALL and built.approximate.lists == 4
    index = open_index(tmp_path / "index")
    assert index.approximate == built.approximate
    found_of_exact = 0
    for query in made_vectors(20, seed=1):
        nearest = set(np.argsort(-brute_force(vectors, query))[:10])
        found_of_exact += len(nearest & {int(m.path.partition(".")[0]) for m in index.query(query)})
    assert found_of_exact >= 0.95 * 200
    query = made_vectors(1, seed=2)[0]
    exact = brute_force(vectors, query)
    for where, k, of in (("label = 'cat'", 10, range(0, 4_000, 50)), (None, 200, range(4_000))):
        nearest_of = sorted(of, key=lambda i: -exact[i])[:k]
        assert [m.path for m in index.query(query, k, where=where)] == [f"{i}.jpg" for i in nearest_of]


def test_a_filter_that_leaves_many_rows_far_away_finds_the_nearest_of_them(tmp_path: Path) -> None:
    """They are all in other lists than the nearest ones."""
    few, many = 2_000, FEW_ROWS + 1_000
    vectors = 0.1 * made_vectors(few + many)
    vectors[:few, 0] += 5
    vectors[few:, 0] -= 5
    source = write_part(tmp_path / "e.parquet", vectors, label=["near"] * few + ["far"] * many)
    build_index([source], str(tmp_path / "index"), exact_rows=EXACT_ROWS)
    index = open_index(tmp_path / "index")
    query = np.eye(1, 16, dtype=np.float32)[0]
    assert not index.is_exact(many) and index.is_exact(few)
    nearest = few + np.argsort(-brute_force(vectors[few:], query))[:10]
    assert [m.path for m in index.query(query, where="label = 'far'")] == [f"{i}.jpg" for i in nearest]


def test_a_low_recall_is_raised_by_more_work(tmp_path: Path) -> None:
    """Vectors without clusters: the neighbours of a row lie in many lists."""
    source = write_part(tmp_path / "e.parquet", np.random.default_rng(0).standard_normal((10_000, 16)))
    build_index([source], str(tmp_path / "index"))
    table = open_table(str(tmp_path / "index"))
    low = approximate.build(table, steps=((1, 1), (2, 1)))
    assert (low.nprobes, low.refine) == (2, 1) and low.recall < approximate.RECALL
    enough = approximate.build(table, steps=((1, 1), (10, 5)))
    assert (enough.nprobes, enough.refine) == (10, 5) and enough.recall >= approximate.RECALL


def test_duplicates_of_a_row_count_as_found(tmp_path: Path) -> None:
    """Of 50 equal vectors any 10 are the nearest."""
    source = write_part(tmp_path / "e.parquet", np.repeat(made_vectors(60), 50, axis=0))
    built = build_index([source], str(tmp_path / "index"), exact_rows=EXACT_ROWS)
    assert built.approximate and built.approximate.recall == 1


def test_appending_adds_replaces_and_leaves(tmp_path: Path) -> None:
    place, first = str(tmp_path / "index"), made_vectors(30)
    one = write_part(tmp_path / "1.parquet", first)
    assert counts(build_index([one], place)) == (30, 0, 0)
    assert counts(build_index([one], place)) == (0, 0, 30)
    changed = first[20:].copy()
    changed[0] += 1
    paths = [f"{i}.jpg" for i in range(20, 35)]
    two = write_part(tmp_path / "2.parquet", np.concatenate([changed, made_vectors(5, seed=3)]), path=paths)
    assert counts(build_index([two], place)) == (5, 1, 9)
    rows = all_rows(Path(place))
    assert [row["path"] for row in rows] == sorted(f"{i}.jpg" for i in range(35))
    np.testing.assert_array_equal(next(row["vector"] for row in rows if row["path"] == "20.jpg"), changed[0])
    relabelled = write_part(tmp_path / "3.parquet", first[:3], label=["cat", None, "dog"])
    assert counts(build_index([relabelled], place)) == (0, 2, 1)


def test_two_sources_at_once_and_a_path_in_both(tmp_path: Path) -> None:
    one = write_part(tmp_path / "1.parquet", made_vectors(3), label=["old"] * 3)
    two = write_part(tmp_path / "2.parquet", made_vectors(2), path=["2.jpg", "2.jpg"], label=["older", "new"])
    assert counts(build_index([one, two], str(tmp_path / "index"))) == (3, 1, 0)
    assert [row["label"] for row in all_rows(tmp_path / "index")] == ["old", "old", "new"]


def test_rows_added_after_training_are_found(tmp_path: Path) -> None:
    place, vectors = str(tmp_path / "index"), made_vectors(2_100)
    build_index([write_part(tmp_path / "1.parquet", vectors[:2_000])], place, exact_rows=EXACT_ROWS)
    later = write_part(tmp_path / "2.parquet", vectors[2_000:], path=[f"new{i}.jpg" for i in range(100)])
    trained: list[int] = []
    built = build_index([later], place, exact_rows=EXACT_ROWS, on_training=trained.append)
    assert not trained and built.rows == 2_100  # so few rows are compared one by one
    index = open_index(place)
    assert all(index.query(vectors[2_000 + i], 1)[0].path == f"new{i}.jpg" for i in range(0, 100, 9))


def test_many_new_rows_train_again(tmp_path: Path) -> None:
    more = build.OUTSIDE_ROWS + 1
    place, vectors = str(tmp_path / "index"), made_vectors(2_000 + more)
    build_index([write_part(tmp_path / "1.parquet", vectors[:2_000])], place, exact_rows=EXACT_ROWS)
    later = write_part(tmp_path / "2.parquet", vectors[2_000:], path=[f"new{i}.jpg" for i in range(more)])
    trained: list[int] = []
    build_index([later], place, exact_rows=EXACT_ROWS, on_training=trained.append)
    assert trained == [2_000 + more]


def test_rows_without_a_vector_or_a_direction_are_counted(tmp_path: Path) -> None:
    vectors = made_vectors(6)
    vectors[1] = 0
    vectors[2, 3] = np.nan
    vectors[3, 0] = np.inf
    kinds = [None] * 4 + ["corrupt", "missing"]
    built = build_index([write_part(tmp_path / "e.parquet", vectors, error_kind=kinds)], str(tmp_path / "index"))
    assert (built.rows, built.added, built.without_vector, built.without_direction) == (1, 1, 2, 3)
    assert [m.path for m in open_index(tmp_path / "index").query(vectors[0], 5)] == ["0.jpg"]


def test_an_index_without_rows(tmp_path: Path) -> None:
    source = write_part(tmp_path / "e.parquet", made_vectors(2), error_kind=["missing", "missing"])
    assert build_index([source], str(tmp_path / "index")).rows == 0
    assert open_index(tmp_path / "index").query(made_vectors(1)[0]) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"precision": "int8"}, "precision fp32, not int8"),
        ({"weights_sha256": "cd" * 32}, "weights_sha256"),
        ({"preprocessing": {"image_px": 96, "in_chans": 3}}, "preprocessing.image_px 64, not 96"),
        ({"reading": {**STAMP.reading, "fast_decode": True}}, "reading.fast_decode False, not True"),
        ({"rows": {**STAMP.rows, "normalize": True}}, "rows.normalize False, not True"),
    ],
)
def test_other_vectors_are_refused_with_both_stamps(change: dict[str, Any], named: str, tmp_path: Path) -> None:
    place = str(tmp_path / "index")
    one = write_part(tmp_path / "1.parquet", made_vectors(3))
    two = write_part(tmp_path / "2.parquet", made_vectors(3), stamp=replace(STAMP, **change))
    build_index([one], place)
    with pytest.raises(InputError) as refused:
        build_index([two], place)
    assert named in str(refused.value) and str(refused.value).count("made (weights") == 2
    with pytest.raises(InputError, match="do not compare"):
        build_index([one, two], str(tmp_path / "new"))
    assert not (tmp_path / "new").exists() and len(all_rows(tmp_path / "index")) == 3


def test_what_changes_no_vector_is_no_other_stamp(tmp_path: Path) -> None:
    other = replace(
        STAMP,
        model="a renamed folder",
        part_size=None,
        gmixer="9.9",
        rows={**STAMP.rows, "classes": 1, "hash": True},
        reading={**STAMP.reading, "limits": {"max_pixels": 9}},
    )
    sources = [write_part(tmp_path / "1.parquet", made_vectors(3))]
    sources += [write_part(tmp_path / "2.parquet", made_vectors(3), stamp=other, path=["a", "b", "c"])]
    assert build_index(sources, str(tmp_path / "index")).rows == 6


class Stopped(Exception):
    pass


@pytest.mark.parametrize("exists", [False, True])
def test_an_interrupted_build_leaves_an_index_and_goes_on(exists: bool, tmp_path: Path) -> None:
    place, vectors = str(tmp_path / "index"), made_vectors(40_000)
    whole = write_part(tmp_path / "e.parquet", vectors)
    if exists:
        build_index([write_part(tmp_path / "old.parquet", vectors[:50])], place)

    def stop(rows: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        build_index([whole], place, on_progress=stop)
    rows = open_index(place).rows
    assert 50 < rows < 40_000
    assert open_index(place).query(vectors[7], 1)[0].path == "7.jpg"
    assert counts(build_index([whole], place)) == (40_000 - rows, 0, rows)
    assert open_index(place).rows == 40_000


def test_a_failure_while_training_leaves_an_exact_index(tmp_path: Path) -> None:
    place, source = str(tmp_path / "index"), write_part(tmp_path / "e.parquet", made_vectors(2_000))

    def stop(rows: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        build_index([source], place, exact_rows=EXACT_ROWS, on_training=stop)
    assert open_index(place).approximate is None and open_index(place).rows == 2_000
    assert build_index([source], place, exact_rows=EXACT_ROWS).approximate is not None


NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), min_size=1, max_size=8, unique=True)


@given(names=NAMES)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_is_one_row(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, vectors = tmp_path_factory.mktemp("names"), made_vectors(len(names))
    source = write_part(folder / "e.parquet", vectors, path=names, label=names)
    place = str(folder / "index")
    assert counts(build_index([source], place)) == (len(names), 0, 0)
    assert counts(build_index([source], place)) == (0, 0, len(names))
    np.testing.assert_array_equal(open_index(place).vectors_of(names), vectors)


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    source = write_part(tmp_path / "photos" / "e.parquet", made_vectors(3))
    for place, said in (
        (tmp_path / "photos", "other files"),
        (tmp_path / "photos" / "e.parquet", "is a file"),
    ):
        with pytest.raises(InputError, match=said):
            build_index([source], str(place))
        with pytest.raises(InputError, match="is no index"):
            open_index(place)
    assert os.listdir(tmp_path / "photos") == ["e.parquet"]
    with pytest.raises(InputError, match="is no index"):
        open_index(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(InputError, match="sources is empty"):
        build_index([], str(tmp_path / "index"))


def test_a_damaged_part_is_named_and_the_rows_before_it_stay(tmp_path: Path) -> None:
    write_part(tmp_path / "out" / "part-000000.parquet", made_vectors(20_000))
    bad = tmp_path / "out" / "part-000001.parquet"
    write_part(bad, made_vectors(50), path=[f"b{i}" for i in range(50)])
    source = open_stored(str(tmp_path / "out"))
    damaged = bytearray(bad.read_bytes())
    damaged[len(damaged) // 3] ^= 1  # one bit of a vector
    bad.write_bytes(damaged)
    with pytest.raises(InputError, match=r"out cannot be read: .*CRC.*run gmixer embed again"):
        build_index([source], str(tmp_path / "index"))
    assert open_index(tmp_path / "index").rows >= build.CHUNK_ROWS


def test_what_lancedb_says_is_an_input_error(tmp_path: Path) -> None:
    source = write_part(tmp_path / "e.parquet", made_vectors(3))
    with pytest.raises(InputError, match=r"foo://x: LanceDB says: No object store .*--index-options"):
        build_index([source], "foo://x")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))  # as a full disk does
    try:
        with pytest.raises(InputError, match="File too large"):
            build_index([source], str(tmp_path / "index"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_another_lancedb_table_is_no_index(tmp_path: Path) -> None:
    import lancedb

    lancedb.connect(tmp_path / "db").create_table("images", pa.table({"a": [1]}))
    with pytest.raises(InputError, match="no stamp of gmixer"):
        open_index(tmp_path / "db")
    with pytest.raises(InputError, match="no stamp of gmixer"):
        build_index([write_part(tmp_path / "e.parquet", made_vectors(3))], str(tmp_path / "db"))


def test_without_lancedb_the_message_has_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_part(tmp_path / "e.parquet", made_vectors(3))
    monkeypatch.setitem(__import__("sys").modules, "lancedb", None)
    with pytest.raises(MissingExtraError, match=r"gmixer\[search\]"):
        build_index([source], str(tmp_path / "index"))


def test_memory_holds_only_some_rows(tmp_path: Path) -> None:
    """The chunks that are written are those of CHUNK_ROWS, however the Parquet file is cut."""
    source = write_part(tmp_path / "e.parquet", made_vectors(40_000))
    sizes = [len(chunk) for chunk in build._chunks(source)]
    assert sum(sizes) == 40_000 and max(sizes) < build.CHUNK_ROWS + 4_096


@pytest.fixture
def on_s3(s3: Any) -> Iterator[tuple[str, dict[str, str]]]:
    yield (
        s3.url("index"),
        {
            "aws_access_key_id": "test",
            "aws_secret_access_key": "s3cret",
            "aws_endpoint": s3.endpoint,
            "aws_region": "us-east-1",
            "allow_http": "true",
        },
    )


def test_an_index_on_object_storage(on_s3: tuple[str, dict[str, str]], s3: Any, tmp_path: Path) -> None:
    place, options = on_s3
    vectors = made_vectors(40)
    file = tmp_path / "e.parquet"
    write_part(file, vectors)
    url = s3.put("out/part-000000.parquet", file.read_bytes())
    source: StoredEmbeddings = open_stored(url, Storage(options=s3.options))
    with pytest.raises(InputError, match="is no index"):
        open_index(place, storage_options=options)
    assert counts(build_index([source], place, options=options)) == (40, 0, 0)
    more = write_part(tmp_path / "2.parquet", vectors[:2] + 1, path=["0.jpg", "new.jpg"])
    assert counts(build_index([more], place, options=options)) == (1, 1, 0)
    found = open_index(place, storage_options=options).query(vectors[7], 3, where="path != '9.jpg'")
    assert found[0].path == "7.jpg" and len(found) == 3


def test_two_runs_at_once_add_no_path_twice(tmp_path: Path) -> None:
    """Both look for the paths before either has written."""
    vectors, place = made_vectors(600), str(tmp_path / "index")
    sources = [write_part(tmp_path / f"{i}.parquet", vectors + i) for i in range(2)]
    open_or_create(place, sources[0].stamp)
    both = Barrier(2)

    def add(source: StoredEmbeddings) -> None:
        (chunk,) = build._chunks(source)
        table = open_table(place)
        both.wait()
        build._write(table, chunk)

    with ThreadPoolExecutor() as pool:
        list(pool.map(add, sources))
    rows = all_rows(tmp_path / "index")
    assert [row["path"] for row in rows] == sorted(f"{i}.jpg" for i in range(600))
    assert len({float(row["vector"][0]) - float(vectors[int(row["path"][:-4]), 0]) > 0.5 for row in rows}) == 1


def test_vectors_beyond_float32_are_left_out(tmp_path: Path) -> None:
    vectors = made_vectors(20)
    vectors[3] *= 1e25
    vectors[4] *= 1e-25
    built = build_index([write_part(tmp_path / "e.parquet", vectors)], str(tmp_path / "index"))
    assert (built.rows, built.without_direction) == (18, 2)
    found = {m.path: m.similarity for m in open_index(tmp_path / "index").query(vectors[0], 99)}
    exact = brute_force(vectors, vectors[0])
    assert found == pytest.approx({f"{i}.jpg": exact[i] for i in range(20) if i not in (3, 4)}, abs=1e-6)


def test_settings_of_another_version_are_refused(tmp_path: Path) -> None:
    source, place = write_part(tmp_path / "e.parquet", made_vectors(3)), str(tmp_path / "index")
    build_index([source], place)
    open_table(place).update_field_metadata({"path": "vector", "metadata": {"gmixer": '{"later": 1}'}})
    for call in (lambda: open_index(place), lambda: build_index([source], place)):
        with pytest.raises(InputError, match="of another version of gmixer; run gmixer index again with a new folder"):
            call()


def test_no_place_in_the_source_of_lancedb_is_shown(tmp_path: Path) -> None:
    build_index([write_part(tmp_path / "e.parquet", made_vectors(3), label=["cat"] * 3)], str(tmp_path / "index"))
    with pytest.raises(InputError, match="Cannot cast string 'cat'") as refused:
        open_index(tmp_path / "index").query(np.ones(16), where="CAST(label AS int) = 1")
    assert ".rs" not in str(refused.value)


def test_an_index_that_is_gone_is_an_input_error(tmp_path: Path) -> None:
    build_index([write_part(tmp_path / "e.parquet", made_vectors(3))], str(tmp_path / "index"))
    index = open_index(tmp_path / "index")
    assert index.rows == 3
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(InputError, match="LanceDB says"):
        index.query(np.ones(16))


@pytest.mark.parametrize("options", [{"place": 5}, {"place": None}, {"storage_options": {"allow_http": True}}])
def test_what_is_no_place_and_no_options(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wanted"):
        open_index(**{"place": tmp_path, **options})
