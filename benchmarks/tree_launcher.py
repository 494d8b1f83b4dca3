"""Runs a command, and prints the peak memory of the command and all its child processes as JSON. Linux only.

Memory is resident memory. A page that several processes of the tree share counts once (Pss). The standard library alone
is used, so that this process adds little. Four looks a second take about 1 % of a processor.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

EVERY_S = 0.25


def main() -> None:
    begin = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    peak_bytes = 0
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        peak_bytes = max(peak_bytes, sum(map(shared_once_bytes, tree(process.pid))))
        time.sleep(EVERY_S)
    seconds = time.perf_counter() - begin
    _, status, usage = ended
    # The kernel knows the exact peak of the first process alone.
    peak_bytes = max(peak_bytes, usage.ru_maxrss * 1024)
    said = process.stdout.read().strip().splitlines()
    answer = {"seconds": seconds, "peak_bytes": peak_bytes, "status": os.waitstatus_to_exitcode(status)}
    print(json.dumps(answer | {"said": said[-1] if said else ""}))


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(child) for child in (task / "children").read_text().split()]
    return [pid, *(process for child in children for process in tree(child))]


def shared_once_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
