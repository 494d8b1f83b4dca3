"""How much memory a listing of ten million objects takes, and how long it lasts, without a server.

python -m benchmarks.list_objects --objects 10000000

The storage is synthetic: it answers `list_objects_v2` as S3 does, 1,000 keys at a time, in an instant. Each record is
made as for `gmixer embed s3://bucket/photos/`, and dropped.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from typing import Any
from unittest.mock import patch

from gmixer.bulk.listing import list_records
from gmixer.options import Reading, Storage
from gmixer.sources import remote

PAGE = 1_000
FOLDERS = 1_000


class SyntheticS3:
    """A file system that has so many objects, in FOLDERS class folders."""

    def __init__(self, objects: int) -> None:
        self.objects = objects
        self.in_folder = -(-objects // FOLDERS)

    def call_s3(self, method: str, **asked: Any) -> dict[str, Any]:
        begin = int(asked.get("ContinuationToken", 0))
        end = min(begin + PAGE, self.objects)
        found = [{"Key": self.key(i), "Size": 100_000 + i, "ETag": f'"{i:032x}"'} for i in range(begin, end)]
        return {"Contents": found, **({"NextContinuationToken": str(end)} if end < self.objects else {})}

    def key(self, i: int) -> str:
        return f"photos/class-{i // self.in_folder:04}/{i:09}.jpg"

    def info(self, path: str) -> dict[str, Any]:
        raise FileNotFoundError(path)


def list_all(objects: int) -> tuple[int, float]:
    """The number of records, and the seconds."""
    begun = time.perf_counter()
    with patch.object(remote, "filesystem_of", lambda url, storage: (SyntheticS3(objects), url.partition("://")[2])):
        count = sum(1 for _ in list_records(["s3://bucket/photos/"], reading=Reading(), storage=Storage()))
    return count, time.perf_counter() - begun


def peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=10_000_000)
    before = peak_mib()
    count, seconds = list_all(parser.parse_args().objects)
    print(f"{count:,} records in {seconds:.0f} s, {count / seconds:,.0f} a second")
    print(f"peak memory of the process: {peak_mib():.0f} MiB, {before:.0f} MiB of it before the listing")


if __name__ == "__main__":
    main()
