"""Is memory flat over the number of keys? A made S3 listing goes through gmixer's own listing and plan.

    python -m benchmarks.listing_memory --keys 10000000

No image is read and no part is written. It prints the time for each key and the peak of the process in MiB.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import gmixer
from gmixer.bulk.listing import list_records
from gmixer.bulk.output import OutputFolder
from gmixer.bulk.plan import parts_to_make
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.stamp import Stamp
from gmixer.options import Reading, Storage
from gmixer.sources import remote


class MadeS3:
    """What gmixer calls of s3fs. Each page is made when it is asked for."""

    def __init__(self, keys: int) -> None:
        self._keys = keys

    def info(self, path: str) -> Mapping[str, Any]:
        return {"type": "directory"}

    def call_s3(self, method: str, *, StartAfter: str, MaxKeys: int, **wanted: Any) -> Mapping[str, Any]:
        first = int(StartAfter[-16:-4]) + 1 if StartAfter else 0
        last = min(first + MaxKeys, self._keys)
        page = [
            {"Key": f"photos/2026/{i // 1_000:09}/{i:012}.jpg", "Size": 100_000 + i, "ETag": f'"{i:032x}"'}
            for i in range(first, last)
        ]
        return {"Contents": page, "IsTruncated": last < self._keys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--part-size", type=int, default=4_096)
    asked = parser.parse_args()
    stamp = Stamp.of(gmixer.load("gmixer_8_64.distill_in1k"), RowOptions(), asked.part_size)
    filesystem = MadeS3(asked.keys)
    remote.filesystem_of = lambda url, storage: (filesystem, url.removeprefix("s3://"))
    with tempfile.TemporaryDirectory() as folder:
        output = OutputFolder.open(folder, stamp, Storage())
        records = list_records(["s3://bucket/photos"], reading=Reading(), storage=Storage())
        before, begun = _peak_mib(), time.perf_counter()
        parts = entries = 0
        for part in parts_to_make(records, output):
            parts += 1
            entries += len(part.records)
        seconds = time.perf_counter() - begun
    assert entries == asked.keys
    print(
        f"{entries:,} keys, {parts:,} parts: {seconds:.0f} s, {seconds / entries * 1e6:.1f} µs a key; "
        f"{_peak_mib():.0f} MiB at the peak, {_peak_mib() - before:.0f} MiB more than before the listing"
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


if __name__ == "__main__":
    main()
