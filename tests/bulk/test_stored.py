"""stored.py: which parts of an output folder are read."""

from __future__ import annotations

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
        output.write(Part(number, [], f"mark {number}"), row)
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


def test_parts_that_were_copied_without_the_manifest_are_read(tmp_path: Path) -> None:
    made((str(tmp_path / "out"), Storage()), 0, 1)
    copied = tmp_path / "copied"
    copied.mkdir()
    for part in (tmp_path / "out").glob("*.parquet"):
        part.rename(copied / part.name)
    assert paths((str(copied), Storage())) == ["0", "1"]
    assert paths((str(copied / part_name(1)), Storage())) == ["1"]
