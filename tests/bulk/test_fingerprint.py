"""bulk/fingerprint.py: one number for the entries of a part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gmixer.bulk.fingerprint import Facts, fingerprint

FACTS = st.tuples(
    st.text(max_size=4),
    st.none() | st.integers(0, 3),
    st.none() | st.text(max_size=2),
    st.none() | st.text(max_size=2),
)


@given(a=st.lists(FACTS, max_size=3), b=st.lists(FACTS, max_size=3))
def test_other_entries_have_another_fingerprint(a: list[Facts], b: list[Facts]) -> None:
    assert (fingerprint(a) == fingerprint(b)) == (a == b)


def test_it_is_the_same_in_every_version_of_gmixer() -> None:
    entries: list[Facts] = [("a/\udce9.jpg", 10, "1", None), ("b\n.jpg", None, None, "cat")]
    assert fingerprint(entries) == "6e3f7821f54a8d04f9d219e15d7ee57871f551d52cb50b914e7f3b31cfff16bb"
