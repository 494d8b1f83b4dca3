"""Runs a command and prints, as JSON, how long it took and its peak of memory. A script of its own, of the standard
library alone: on Linux a process's ru_maxrss begins with that of the parent that spawned it, which is small here.
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
