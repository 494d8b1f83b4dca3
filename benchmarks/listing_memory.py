"""Is memory flat over the number of objects? A synthetic S3 goes through gmixer's own listing and plan.

    python -m benchmarks.listing_memory --objects 10000000

No image is read and no part is written. It prints the time for each object and the peak of the process in MiB.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import gmixer
from gmixer.bulk.listing import list_records
from gmixer.bulk.output import OutputFolder
from gmixer.bulk.plan import parts_to_make
from gmixer.bulk.record import Record
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.stamp import Stamp
from gmixer.options import Reading, Storage
from gmixer.sources import remote


class SyntheticS3:
    """What gmixer calls of s3fs. Each page is made when it is asked for."""

    def __init__(self, objects: int) -> None:
        self._objects = objects

    def call_s3(self, method: str, *, MaxKeys: int, ContinuationToken: str = "0", **asked: Any) -> Mapping[str, Any]:
        first = int(ContinuationToken)
        last = min(first + MaxKeys, self._objects)
        page = [
            {"Key": f"photos/{i // 10_000:06}/{i:012}.jpg", "Size": 100_000 + i, "ETag": f'"{i:032x}"'}
            for i in range(first, last)
        ]
        return {"Contents": page, **({"NextContinuationToken": str(last)} if last < self._objects else {})}


@contextmanager
def synthetic_records(objects: int) -> Iterator[Iterator[Record]]:
    """The records of so many objects."""
    storage = SyntheticS3(objects)
    with patch.object(remote, "filesystem_of", lambda url, options: (storage, url.removeprefix("s3://"))):
        yield iter(list_records(["s3://bucket/photos/"], reading=Reading(), storage=Storage()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--part-size", type=int, default=4_096)
    asked = parser.parse_args()
    stamp = Stamp.of(gmixer.load("gmixer_8_64.distill_in1k"), RowOptions(), asked.part_size)
    with tempfile.TemporaryDirectory() as folder, synthetic_records(asked.objects) as records:
        output = OutputFolder.open(folder, stamp, Storage())
        before, begun = _peak_mib(), time.perf_counter()
        parts = entries = 0
        for part in parts_to_make(records, output):
            parts += 1
            entries += len(list(part.records))
        seconds = time.perf_counter() - begun
    assert entries == asked.objects
    print(
        f"{entries:,} objects, {parts:,} parts: {seconds:.0f} s, {seconds / entries * 1e6:.1f} µs an object; "
        f"{_peak_mib():.0f} MiB at the peak, {_peak_mib() - before:.0f} MiB more than before the listing"
    )


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
