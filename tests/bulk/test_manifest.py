"""manifest.py: what an output folder says of itself."""

from __future__ import annotations

import json

import pytest

from gmixer.bulk.manifest import Manifest, PartRecord
from gmixer.errors import InputError
from made_output import stamp

RECORD = PartRecord(rows=3, failures={"corrupt": 1}, fingerprint="f", sha256="s", md5="m", bytes=7)


def test_there_and_back() -> None:
    for is_sliced in (True, False):
        manifest = Manifest(stamp=stamp(3), is_sliced=is_sliced)
        assert Manifest.from_json(manifest.to_json(), source="m") == manifest
    assert PartRecord.from_json(RECORD.to_json()) == RECORD


def test_the_same_content_has_the_same_bytes() -> None:
    other = PartRecord(bytes=7, md5="m", sha256="s", fingerprint="f", failures={"corrupt": 1}, rows=3)
    assert other.to_json() == RECORD.to_json()
    assert b"is_sliced" in Manifest(stamp=stamp(3)).to_json()


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b"7", b"{}", b'{"stamp": {}, "is_sliced": true}', b'{"stamp": null, "is_sliced": true}',
     b'{"stamp": {"model": "m", "more": 1}, "is_sliced": true}', b"\xff\xfe", json.dumps({"is_sliced": True}).encode()],
)  # fmt: skip
def test_a_damaged_manifest_is_refused_with_its_place(data: bytes) -> None:
    with pytest.raises(InputError, match=r"out/_gmixer/manifest.json .*wanted"):
        Manifest.from_json(data, source="out/_gmixer/manifest.json")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b"{}", b"\xff", RECORD.to_json()[:-5],
     RECORD.to_json().replace(b'"rows": 3', b'"rows": "3"'),
     RECORD.to_json().replace(b'{"corrupt": 1}', b"7"), RECORD.to_json().replace(b'"bytes": 7', b'"bytes": null'),
     RECORD.to_json().replace(b'"fingerprint": "f"', b'"fingerprint": 1')],
)  # fmt: skip
def test_a_damaged_record_is_none(data: bytes) -> None:
    assert PartRecord.from_json(data) is None
