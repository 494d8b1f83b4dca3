"""stored.py: which parts of an output folder are read, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gmixer.bulk.output import OutputFolder, part_name
from gmixer.bulk.parquet_file import parquet_bytes
from gmixer.bulk.part import Part
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stored import directions, open_stored
from gmixer.errors import InputError
from gmixer.options import Storage
from made_output import stamp
from s3 import S3

STAMP = stamp(1)


@pytest.fixture(params=["local", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Storage]:
    if request.param == "local":
        return str(tmp_path / "out"), Storage()
    s3: S3 = request.getfixturevalue("s3")
    return s3.url("out"), Storage(options=s3.options)


def made(where: tuple[str, Storage], *numbers: int) -> OutputFolder:
    output = OutputFolder.open(where[0], STAMP, where[1])
    for number in numbers:
        row = pa.Table.from_pylist([{"path": str(number), "vector": [1.0]}], schema=schema_of(STAMP))
        output.write(Part(number, [], []), row)
    return output


def paths(where: tuple[str, Storage]) -> list[str]:
    names: list[str] = open_stored(where[0], where[1]).table()["path"].to_pylist()
    return names


def test_parts_come_in_the_order_of_their_numbers(where: tuple[str, Storage]) -> None:
    made(where, 1_000_000, 2, 999_999)
    assert paths(where) == ["2", "999999", "1000000"]


def test_a_part_without_its_record_is_not_read(where: tuple[str, Storage]) -> None:
    place = made(where, 0, 1, 2)._place
    place.remove("_gmixer/parts/000001.json")
    assert paths(where) == ["0", "2"]
    made(where, 1)
    assert paths(where) == ["0", "1", "2"]


def test_a_folder_without_a_finished_part_says_so(where: tuple[str, Storage]) -> None:
    place = made(where)._place
    with pytest.raises(InputError, match="has no finished part yet; run the same gmixer embed again, or wait"):
        paths(where)
    made(where, 0)
    place.remove("_gmixer/parts/000000.json")
    with pytest.raises(InputError, match="has no finished part yet"):
        paths(where)


def test_a_part_that_is_missing_is_named(where: tuple[str, Storage]) -> None:
    place = made(where, 0, 1)._place
    place.remove(part_name(1))
    with pytest.raises(InputError, match=r"part 1 of .*out is missing: part-000001\.parquet; run the same gmixer"):
        paths(where)


def test_storage_that_refuses_says_why(s3: S3) -> None:
    with pytest.raises(InputError, match=f"{s3.url('out')} cannot be read: .*credentials; check the URL and the sto"):
        open_stored(s3.url("out"), Storage(options={"endpoint_url": s3.endpoint}))


def test_a_folder_may_be_a_path_and_a_url_is_of_object_storage(tmp_path: Path) -> None:
    made((str(tmp_path / "out"), Storage()), 0)
    assert open_stored(tmp_path / "out").table()["path"].to_pylist() == ["0"]
    with pytest.raises(InputError, match="http://host/out is a URL that gmixer does not read"):
        open_stored("http://host/out")


def test_a_first_part_that_is_damaged_is_named(where: tuple[str, Storage]) -> None:
    made(where, 0, 1)._place.write(part_name(0), b"PAR1 cut")
    with pytest.raises(InputError, match=r"part-000000\.parquet of .*out cannot be read; run the same gmixer embed"):
        paths(where)


def test_parts_that_were_copied_without_the_manifest_are_read(tmp_path: Path) -> None:
    made((str(tmp_path / "out"), Storage()), 0, 1)
    copied = tmp_path / "copied"
    copied.mkdir()
    for part in (tmp_path / "out").glob("*.parquet"):
        part.rename(copied / part.name)
    assert paths((str(copied), Storage())) == ["0", "1"]
    assert paths((str(copied / part_name(1)), Storage())) == ["1"]


def test_parts_of_two_models_in_one_folder_are_refused(tmp_path: Path) -> None:
    """Without a manifest nothing else tells that somebody has put them together."""
    (both := tmp_path / "both").mkdir()
    for number, precision in enumerate(("fp32", "int8")):
        of = replace(STAMP, precision=precision)
        row = pa.Table.from_pylist([{"path": "a", "vector": [1.0]}], schema=schema_of(of))
        OutputFolder.open(str(tmp_path / precision), of, Storage()).write(Part(number, [], []), row)
        shutil.copy(tmp_path / precision / part_name(number), both)
    with pytest.raises(InputError, match=r"000001\.parquet has vectors of .*; .*000000\.parquet .* precision"):
        paths((str(both), Storage()))
    (both / part_name(1)).write_bytes(b"cut")
    with pytest.raises(InputError, match=r"part-000001\.parquet, which is no complete Parquet file"):
        paths((str(both), Storage()))


@pytest.mark.parametrize("name", ["~/out", "a::b", "a #%?*[x]"])
def test_a_name_on_this_machine_is_read_as_it_was_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made((name, Storage()), 0)
    assert paths((name, Storage())) == ["0"]


@pytest.mark.parametrize("place", [5, b"out", None, "ftp://host/out"])
def test_what_is_no_place_is_refused(place: object) -> None:
    with pytest.raises(InputError, match="wanted"):
        open_stored(place)  # type: ignore[arg-type]


ROW = {"path": "a.jpg", "vector": [1.0]}


def write(file: Path, *rows: dict[str, Any], **changes: Any) -> Path:
    """changes: of the stamp."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(parquet_bytes(pa.Table.from_pylist(list(rows), schema=schema_of(replace(STAMP, **changes)))))
    return file


def test_a_bit_that_has_flipped_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = write(tmp_path / "e.parquet", *({"path": str(i), "vector": rng.normal(size=1)} for i in range(2_000)))
    before, data = open_stored(file).vectors(), file.read_bytes()
    for at in range(50, 4_000, 79):
        file.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        try:
            np.testing.assert_array_equal(open_stored(file).vectors(), before)  # the bit is in another column
            list(open_stored(file).batches())
        except InputError as error:
            assert str(file) in str(error)
        else:
            pytest.fail(f"the byte {at} was read as it is")


def test_other_columns_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([ROW], schema=schema_of(STAMP))
    wide = pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))
    free = pa.array([[1.0]], pa.list_(pa.float32()))
    at = table.schema.get_field_index("vector")
    for changed, named in (
        (table.drop_columns(["width"]), "width"),
        (table.set_column(at, "vector", wide), "vector"),
        (table.set_column(at, "vector", free), "vector"),
    ):
        pa.parquet.write_table(changed.replace_schema_metadata(table.schema.metadata), tmp_path / "e.parquet")
        with pytest.raises(InputError, match=f"has no column {named} of the type "):
            open_stored(tmp_path / "e.parquet")


@pytest.mark.parametrize("missing", ["path", "vector"])
def test_a_readable_row_has_a_path_and_a_vector(missing: str, tmp_path: Path) -> None:
    file = write(tmp_path / "e.parquet", ROW, {**ROW, missing: None})
    with pytest.raises(InputError, match=f"has a readable row without a {missing}"):
        list(open_stored(file).batches(readable=True))


@pytest.mark.parametrize("place", ["ftp://host/out", "file:///out", "memory://out", "s3://"])
def test_other_schemes_are_refused(place: str) -> None:
    with pytest.raises(InputError, match=r"wanted one"):
        open_stored(place)


def test_storage_that_cannot_be_reached_is_named(s3: S3) -> None:
    nowhere = Storage(
        options={**s3.options, "endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}}
    )
    with pytest.raises(InputError, match=r"cannot be read: .*check the URL and the storage options"):
        open_stored(s3.url("out"), nowhere)


def test_a_stamp_of_a_later_version_is_refused(tmp_path: Path) -> None:
    for facts in ({"rows": {**STAMP.rows, "new": 1}}, {"rows": 5}, {"reading": None}, {"channels": "1"}):
        text = replace(STAMP, **facts).to_json()
        table = pa.Table.from_pylist([ROW], schema=schema_of(STAMP)).replace_schema_metadata({"gmixer": text})
        pa.parquet.write_table(table, tmp_path / "e.parquet")
        with pytest.raises(InputError, match=r"holds no stamp of gmixer .* by this version"):
            open_stored(tmp_path / "e.parquet")


def test_directions() -> None:
    x = np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 1], [1e20, 0], [1e-20, 0], [1e18, 0], [-1e-18, 0]], np.float32)
    unit, has = directions(x)
    assert has.tolist() == [True, False, False, False, False, False, True, True]
    np.testing.assert_allclose(unit, [[0.6, 0.8], *[[0, 0]] * 5, [1, 0], [-1, 0]], rtol=1e-6)
