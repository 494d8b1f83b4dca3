"""bulk/changes.py: an update makes what has changed, and the same bytes however often it was interrupted."""

from __future__ import annotations

import copy

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmixer.bulk.plan import parts_to_make
from gmixer.bulk.record import Record
from gmixer.errors import InputError
from gmixer.options import Limits
from made_output import MadeOutput, output, record

KEYS = st.lists(st.sampled_from("abcdefghijklmnop"), max_size=14)
LISTING = KEYS.flatmap(lambda keys: st.tuples(*(st.builds(record, st.just(key), st.integers(0, 1)) for key in keys)))


def run(out: MadeOutput, listing: tuple[Record, ...], *, update: bool = True, kills: int = 1_000) -> bool:
    """kills: after how many written parts the run is killed. Returns whether it came to its end."""
    for part in parts_to_make(iter(listing), out, update=update):  # type: ignore[arg-type]
        if not kills:
            return False
        out.write(part)
        kills -= 1
    return True


def rows(out: MadeOutput) -> list[tuple[str, str, str | None, list[float]]]:
    found = []
    for number in out.numbers():
        columns = out.parts[number].table.select(["path", "version", "label", "vector"]).to_pydict()
        found += list(zip(*columns.values(), strict=True))
    return found


def as_rows(listing: tuple[Record, ...]) -> list[tuple[str, str | None, str | None, list[float]]]:
    return [(r.key, r.version, r.label, [float(r.version or 0)]) for r in listing]


@settings(max_examples=25, deadline=None)
@given(first=LISTING, second=LISTING, kills=st.lists(st.integers(0, 3), max_size=4))
def test_an_update_gives_each_entry_of_the_listing_its_row(
    first: tuple[Record, ...], second: tuple[Record, ...], kills: list[int]
) -> None:
    out = output()
    run(out, first)
    before = copy.deepcopy(out)
    run(out, second)
    assert sorted(rows(out)) == sorted(as_rows(second))

    killed = before
    for after in kills:
        run(killed, second, kills=after)
    run(killed, second)
    assert killed.parts == out.parts

    out.writes.clear()
    assert run(out, second, update=False) and run(out, second)
    assert out.writes == []


@given(first=LISTING)
@settings(max_examples=8, deadline=None)
def test_an_update_of_nothing_is_a_first_run(first: tuple[Record, ...]) -> None:
    plain, updated = output(), output()
    run(plain, first, update=False)
    run(updated, first)
    assert plain.parts == updated.parts and updated.is_sliced


def many(keys: str, **versions: int) -> tuple[Record, ...]:
    return tuple(record(key, versions.get(key, 0)) for key in keys)


def test_only_parts_with_changes_are_written() -> None:
    out = output()
    run(out, many("abcdefgh"))
    out.writes.clear()
    run(out, many("abcdfghxyzuv", f=1))
    assert out.writes == [1, 3, 4]  # e is gone and f changed in part 1; five new entries
    assert out.parts[1].table["path"].to_pylist() == ["d", "f"]
    assert out.parts[4].table["path"].to_pylist() == ["u", "v"]


def test_unchanged_rows_are_not_made_again() -> None:
    out = output()
    run(out, many("abc"))
    (part,) = [part.held(Limits()) for part in parts_to_make(iter(many("abc", b=1)), out, update=True)]  # type: ignore[arg-type]
    assert [entry.key for entry in part.records] == ["b"]
    assert part.kept is not None and part.kept["path"].to_pylist() == ["a", "c"]
    out.write(part)
    assert out.parts[0].table["path"].to_pylist() == ["a", "b", "c"]


def test_a_damaged_part_is_made_of_new_entries() -> None:
    out, named = output(), []
    run(out, many("abcdefgh"))
    whole = copy.deepcopy(out.parts)
    out.damaged = {1}
    for part in parts_to_make(iter(many("abcdefgh")), out, update=True, on_damage=lambda n, why: named.append(n)):  # type: ignore[arg-type]
        out.write(part)
    assert named == [1] and out.parts == whole


@pytest.mark.parametrize(
    ("listing", "what"),
    [(many("abcdx"), "x is new"), (many("abc"), "d is no longer listed"), (many("abcd", d=1), "d has changed")],
)
def test_after_an_update_a_changed_listing_is_refused_too(listing: tuple[Record, ...], what: str) -> None:
    out = output()
    run(out, many("abce"))
    run(out, many("abcd"))
    out.writes.clear()
    with pytest.raises(InputError, match=f"{what}; pass --update"):
        run(out, listing, update=False)
    assert out.writes == []


def test_an_update_tries_failed_fetches_again() -> None:
    out = output()
    run(out, many("abc"))
    table = out.parts[0].table
    kinds = ["timeout", None, "corrupt"]
    at = table.schema.get_field_index("error_kind")
    changed = table.set_column(at, table.schema.field(at), pa.array(kinds, pa.string()))
    out.parts[0] = out.parts[0]._replace(table=changed)
    (part,) = [part.held(Limits()) for part in parts_to_make(iter(many("abc")), out, update=True)]  # type: ignore[arg-type]
    assert [entry.key for entry in part.records] == ["a"]


def test_a_size_that_is_not_known_counts_as_unchanged() -> None:
    out = output()
    run(out, many("ab"))
    unknown = tuple(r._replace(size=None, version=None) for r in many("ab"))
    out.writes.clear()
    run(out, unknown)
    assert out.writes == []
