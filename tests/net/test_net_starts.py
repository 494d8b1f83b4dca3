"""No start imports a module that it did not import when this was recorded. Fewer are welcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from net_probes import STARTS, of_start, python
from record import recorded

RECORD = recorded("starts")


@pytest.mark.parametrize("name", STARTS)
def test_nothing_new_is_imported(name: str, tmp_path: Path) -> None:
    known = RECORD.get(python())
    # Which packages a start takes is gmixer's own choice. What they import of the standard library differs by version.
    wanted = (known or RECORD["3.11"])[name]
    found = of_start(name, tmp_path)
    assert set(found["packages"]) <= set(wanted["packages"]), f"recorded with {RECORD['made']}"
    if known:
        new = set(found["standard library"].split()) - set(wanted["standard library"].split())
        assert not new, f"recorded with {RECORD['made']}"
