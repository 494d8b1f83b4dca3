"""An S3 that answers late: moto's server in a process of its own, with a pause before each answer.

python -m benchmarks.slow_s3 PAUSE_MS prints its port, and serves until its stdin ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SECRETS = {"key": "benchmark", "secret": "benchmark"}  # moto takes any


@dataclass(frozen=True, slots=True)
class SlowS3:
    """options: for fsspec. pid: of the server."""

    options: dict[str, Any]
    pid: int


@dataclass(frozen=True, slots=True)
class Late:
    """A WSGI application that pauses before it answers."""

    application: Any
    pause_s: float

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        time.sleep(self.pause_s)
        answer: Iterable[bytes] = self.application(environ, start_response)
        return answer


@contextmanager
def slow_s3(pause_ms: float) -> Iterator[SlowS3]:
    command = [sys.executable, "-m", "benchmarks.slow_s3", str(pause_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdin is not None and server.stdout is not None
        try:
            port = int(server.stdout.readline())
            yield SlowS3(SECRETS | {"endpoint_url": f"http://127.0.0.1:{port}"}, server.pid)
        finally:
            server.stdin.close()


def cpu_s(pid: int) -> float:
    """The processor time that a process has taken, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(pause_ms: float) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    # As moto's ThreadedMotoServer makes it.
    application = Late(DomainDispatcherApplication(create_backend_app), pause_ms / 1e3)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(float(sys.argv[1]))
