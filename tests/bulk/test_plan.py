"""bulk/plan.py: which parts a run makes."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pyarrow as pa
import pytest

from gmixer.bulk.part import HeldBytes, held
from gmixer.bulk.plan import parts_to_make
from gmixer.bulk.record import Record
from gmixer.errors import ImageError, InputError
from gmixer.options import Limits
from gmixer.sources.entry import Opened, read
from made_output import MadeOutput, output, record


def make(out: MadeOutput, listing: list[Record], **options: object) -> list[int]:
    """The numbers of the parts that were made."""
    before = len(out.writes)
    for part in parts_to_make(iter(listing), out, **options):  # type: ignore[arg-type]
        out.write(part)
    return out.writes[before:]


TEN = [record(f"{i}.jpg") for i in range(10)]


def paths(out: MadeOutput) -> list[list[str]]:
    return [out.parts[number].table["path"].to_pylist() for number in out.numbers()]


def test_parts_are_slices_of_the_listing() -> None:
    out = output()
    assert make(out, TEN) == [0, 1, 2, 3]
    assert paths(out)[0] == ["0.jpg", "1.jpg", "2.jpg"]
    assert paths(out)[3] == ["9.jpg"]


def test_finished_parts_are_not_made_again() -> None:
    out = output()
    make(out, TEN)
    del out.parts[1]
    assert make(out, TEN) == [1]
    assert make(out, TEN) == []


def test_a_damaged_part_is_named_and_made_again() -> None:
    out, named = output(), []
    make(out, TEN)
    out.damaged = {2}
    assert make(out, TEN, on_damage=lambda number, why: named.append((number, why))) == [2]
    assert named == [(2, "a byte is wrong")]


@pytest.mark.parametrize(
    ("listing", "what"),
    [
        ([*TEN[:4], record("3a.jpg"), *TEN[4:]], r"part 1 .*3a\.jpg is new"),
        (TEN[:4] + TEN[5:], r"part 1 .*4\.jpg is no longer listed"),
        ([*TEN[:4], record("4.jpg", 1), *TEN[5:]], r"part 1 .*4\.jpg has changed"),
        ([*TEN[:4], record("4.jpg", label="cat"), *TEN[5:]], r"part 1 .*4\.jpg has changed"),
        ([TEN[1], TEN[0], *TEN[2:]], r"part 0 .*1\.jpg is new|order"),
        (TEN[:9], r"part 3, but the sources list fewer images"),
        ([*TEN, record("x.jpg")], r"part 3 .*x\.jpg is new"),
    ],
)
def test_a_changed_listing_is_refused(listing: list[Record], what: str) -> None:
    out = output()
    make(out, TEN)
    with pytest.raises(InputError, match=f"(?s){what}.*--update"):
        make(out, listing)
    assert len(out.writes) == 4


def test_a_size_that_was_found_by_reading_is_no_change() -> None:
    """Of a URL the listing states no size. The entry that has changed is another one."""
    out = output()
    urls = [r._replace(size=None) for r in TEN]
    make(out, urls)
    for number, (mark, table) in out.parts.items():
        at = table.schema.get_field_index("bytes")
        read = table.set_column(at, "bytes", pa.array([9] * len(table), pa.int64()))
        out.parts[number] = out.parts[number]._replace(fingerprint=mark, table=read)
    with pytest.raises(InputError, match=f"{TEN[1].key} has changed"):
        make(out, [urls[0], urls[1]._replace(version="new"), *urls[2:]])


def test_processes_share_the_parts() -> None:
    out = output()
    assert make(out, TEN, share=(2, 3)) == [1]
    assert make(out, TEN, share=(1, 3)) == [0, 3]
    assert make(out, TEN, share=(3, 3)) == [2]
    whole = output()
    make(whole, TEN)
    assert out.parts == whole.parts


def test_a_process_looks_at_its_own_parts_only() -> None:
    out = output()
    make(out, TEN)
    out.damaged = {0}
    assert make(out, [*TEN[:6], record("6.jpg", 1), *TEN[7:]], share=(2, 2), on_damage=pytest.fail) == []


def test_an_update_is_not_shared() -> None:
    with pytest.raises(InputError, match="--update without --part"):
        make(output(), TEN, update=True, share=(1, 2))


class Member:
    """An Entry that can be read only while the listing stands at it."""

    named, read_at_once, size, version = False, True, 3, 7
    now = ""

    def __init__(self, key: str) -> None:
        self.key = key

    def open(self, source: str) -> object:
        assert Member.now == self.key, "too late"
        return HeldBytes(self.key, self.key.encode(), 7).open(source)


def members(names: str) -> Iterator[Record]:
    for name in names:
        Member.now = name
        yield Record(name, 3, "7", None, Member(name))  # type: ignore[arg-type]


def test_members_of_an_archive_are_read_while_the_listing_stands_at_them() -> None:
    out = output()
    for part in parts_to_make(members("abcde"), out):  # type: ignore[arg-type]
        for entry in part.records:
            assert not isinstance(entry.content, ImageError)
            assert read(entry.content, Limits()) == entry.key.encode()
        out.write(part)
    out.damaged = {1}
    (again,) = [part.held(Limits()) for part in parts_to_make(members("abcde"), out)]  # type: ignore[arg-type]
    assert [read(entry.content, Limits()) for entry in again.records] == [b"d", b"e"]  # type: ignore[arg-type]


def test_a_member_that_is_too_large_fails_alone() -> None:
    (too_large,) = [held(entry, Limits(max_bytes=1)) for entry in [_long_member()]]
    assert isinstance(too_large.content, ImageError) and too_large.content.kind == "too_large"


def _long_member() -> Record:
    Member.now = "long"
    return Record("long", 4, None, None, Member("long"))  # type: ignore[arg-type]


def test_held_bytes_are_read_in_pieces() -> None:
    with HeldBytes("a", b"abcde", None).open("a") as opened:
        assert isinstance(opened, Opened)
        assert [opened.read(2), opened.read(2), opened.read(2), opened.read(2)] == [b"ab", b"cd", b"e", b""]


def test_memory_is_flat() -> None:
    """40,000 entries in parts of 1,000."""
    out = output(1_000)
    made = 0
    for part in parts_to_make((record(f"folder/{i:08}.jpg") for i in range(20_000)), out):
        made += len(list(part.records))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for part in parts_to_make((record(f"folder/{i:08}.jpg") for i in range(40_000)), out):
        made += len(list(part.records))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert made == 60_000
    assert grown * (1 if os.uname().sysname == "Darwin" else 1024) < 20e6
