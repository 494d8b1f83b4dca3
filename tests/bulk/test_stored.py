"""stored.py: which parts of an output folder are read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from gmixer.bulk.output import OutputFolder, part_name
from gmixer.bulk.part import Part
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stored import open_stored
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
    names: list[str] = open_stored(where[0], where[1].options).table()["path"].to_pylist()
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
    with pytest.raises(InputError, match=f"{s3.url('out')} cannot be read: .*credentials; check the place and the sto"):
        open_stored(s3.url("out"), {"endpoint_url": s3.endpoint})


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
