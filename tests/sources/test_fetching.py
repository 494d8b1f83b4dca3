"""fetching.py: several URLs at the same time. A server on loopback plays the internet: internet.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

import gmixer
from command import call
from gmixer.errors import ImageError
from gmixer.options import Limits, Reading
from gmixer.sources import fetching, web
from gmixer.sources.fetching import Fetch, fetch_urls
from internet import PUBLIC, Answer, Internet, drips, sends

URLS = Reading(allow_urls=True)
TIMEOUT_S = 1.0


@pytest.fixture
def dead(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """16 URLs of 16 hosts that accept a connection and never finish an answer."""
    monkeypatch.setattr(web, "TIMEOUT_S", TIMEOUT_S)
    hosts = [f"dead{i}.example" for i in range(16)]
    internet.hosts |= {host: [[PUBLIC]] for host in hosts}
    internet.pages["/dead.jpg"] = drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    return [f"http://{host}/dead.jpg" for host in hosts]


@pytest.mark.parametrize("isolate", [[], ["--isolate"]], ids=["in process", "isolated"])
def test_dead_hosts_cost_one_time_limit_together(
    isolate: list[str], dead: list[str], internet: Internet, jpeg: Path
) -> None:
    internet.pages["/cat.jpg"] = sends(jpeg.read_bytes())
    good = "http://images.example/cat.jpg"
    start = time.monotonic()
    finished = call("classify", dead[0], good, *dead[1:], jpeg, "--json", *isolate)
    assert time.monotonic() - start < 6 * TIMEOUT_S, "one after another they take 16 time limits"
    rows = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [row["path"] for row in rows] == [dead[0], good, *dead[1:], str(jpeg)]
    assert [row["error"]["kind"] for row in rows if "error" in row] == ["timeout"] * 16
    assert rows[1]["predictions"] == rows[-1]["predictions"]
    assert finished.returncode == 1 and finished.stderr == "16 of 18 could not be read\n"


def test_a_few_too_and_in_python(dead: list[str], predictor: gmixer.Predictor, jpeg: Path) -> None:
    allowed = gmixer.load("gmixer_8_64.distill_in1k", allow_urls=True)
    start = time.monotonic()
    *failed, good = allowed.classify([*dead[:3], str(jpeg)], on_error="return")
    assert time.monotonic() - start < 2.5 * TIMEOUT_S
    assert [error.source for error in failed if isinstance(error, ImageError)] == dead[:3]
    assert good == predictor.classify(jpeg)


def reads(fetch: object) -> bytes:
    assert isinstance(fetch, Fetch)
    return fetch.read()


def holds(go: threading.Event, body: bytes, began: list[str]) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        began.append(handler.path)
        go.wait(10)
        sends(body)(handler)

    return answer


def test_no_more_than_that_many_run_or_hold_their_bytes(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_FETCHES", 3)
    began: list[str] = []
    for i in range(8):
        internet.pages[f"/{i}"] = sends(b"gone", status=404) if i == 5 else holds(_SET, b"%d" % i, began)
    with fetch_urls([f"http://images.example/{i}" for i in range(8)], URLS) as fetched:
        fetches = list(fetched)
        time.sleep(0.3)
        assert sorted(began) == ["/0", "/1", "/2"], "three hold their bytes, so no other begins"
        assert reads(fetches[0]) == b"0"
        time.sleep(0.2)
        assert sorted(began)[3:] == ["/3"]


def test_bytes_come_in_any_order_and_a_failure_gives_its_place_back(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_FETCHES", 2)
    for i in range(12):
        internet.pages[f"/{i}"] = sends(b"no", status=404) if i % 3 == 0 else sends(b"%d" % i)
    for order in (range(12), reversed(range(12))):
        with fetch_urls([f"http://images.example/{i}" for i in range(12)], URLS) as fetched:
            fetches = list(fetched)
            for i in order:
                if i % 3:
                    assert reads(fetches[i]) == b"%d" % i
                else:
                    with pytest.raises(ImageError, match="404"):
                        reads(fetches[i])


def test_each_download_has_the_limit_of_bytes(internet: Internet) -> None:
    internet.pages |= {"/large": sends(bytes(2000)), "/small": sends(bytes(100))}
    reading = Reading(allow_urls=True, limits=Limits(max_bytes=1000))
    with fetch_urls(["http://images.example/large", "http://images.example/small"], reading) as fetched:
        large, small = fetched
        with pytest.raises(ImageError) as caught:
            reads(large)
        assert caught.value.kind == "too_large" and reads(small) == bytes(100)


def test_addresses_are_checked_as_before(internet: Internet) -> None:
    with fetch_urls(["http://home.example/a"], URLS) as fetched, pytest.raises(ImageError, match="not public"):
        reads(next(fetched))
    assert internet.dialled == []


def test_nothing_begins_without_permission_or_a_url(internet: Internet) -> None:
    images = ["http://images.example/a", Path("http://images.example/a"), b"http:", "a.jpg"]
    for some, reading in ((images, Reading()), (images[1:], URLS)):
        with fetch_urls(some, reading) as fetched:
            assert list(fetched) == some
    assert internet.resolved == []


def test_when_the_block_ends_no_more_begin(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_FETCHES", 1)
    began: list[str] = []
    go = threading.Event()
    internet.pages |= {f"/{i}": holds(go, b"x", began) for i in range(3)}
    with fetch_urls([f"http://images.example/{i}" for i in range(3)], URLS) as fetched:
        first, _, last = fetched
    go.set()
    assert reads(first) == b"x"
    time.sleep(0.1)
    assert began == ["/0"]
    assert reads(last) == b"x", "whoever still wants it fetches it"


def test_a_child_of_a_fork_fetches_by_itself(internet: Internet) -> None:
    """It has none of the threads, and a lock may be held by one of them."""
    internet.pages["/a"] = sends(b"a photo")
    with fetch_urls(["http://images.example/a"], URLS) as fetched:
        (fetch,) = fetched
        assert isinstance(fetch, Fetch)
        with fetch._fetches._lock:
            child = os.fork()
            if child == 0:
                os._exit(0 if fetch.read() == b"a photo" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert fetch.read() == b"a photo"


@pytest.mark.parametrize("count", [2, 20], ids=["few", "many"])
def test_ctrl_c_waits_for_no_host(count: int, tmp_path: Path) -> None:
    program = """
        import sys, time
        from gmixer.cli import main
        from gmixer.sources import web
        def hang(address, port, timeout_s):
            print("dialled", file=sys.stderr, flush=True)
            time.sleep(60)
        web._resolve = lambda host, port: ["93.184.215.14"]
        web._dial = hang
        main()
    """
    urls = [f"http://images{i}.example/a.jpg" for i in range(count)]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), "classify", *urls, "--json"], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert process.stderr.readline() == b"dialled\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    assert process.wait(20) == 130 and time.monotonic() - start < 20, "the hosts hang for 60 s"
    process.stderr.close()


_SET = threading.Event()
_SET.set()
