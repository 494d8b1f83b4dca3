"""Runs a command, and prints its seconds and its peak of memory as JSON. Uses the standard library alone.

On Linux, ru_maxrss of a process starts at the peak of the parent that spawned it. This small script is the parent.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    begin = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    peak_bytes = usage.ru_maxrss * unit_bytes
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes, "status": os.waitstatus_to_exitcode(status)}))


if __name__ == "__main__":
    main()
