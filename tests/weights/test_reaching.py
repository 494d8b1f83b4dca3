"""A Hub that cannot be reached costs one sentence within seconds; a Hub that answers keeps the library's tries."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gmixer
from gmixer.errors import WeightsError
from gmixer.weights import reaching
from gmixer.weights.hub import Repo, fetch, upload
from hub import hub_server, use_in_this_process

NOWHERE = "http://no-such-host.invalid"
REFUSING = "http://127.0.0.1:9"
MESSAGES = {NOWHERE: "its name does not resolve", REFUSING: "the connection is refused"}


@pytest.mark.parametrize(
    ("command", "endpoint"), [("pull hf-hub:a/b", NOWHERE), ("classify x.jpg -m hf-hub:a/b", REFUSING)]
)
def test_one_sentence_within_seconds(command: str, endpoint: str, tmp_path: Path) -> None:
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    started_s = time.monotonic()
    words = [sys.executable, "-m", "gmixer", *command.split()]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert time.monotonic() - started_s < 15, "23 s and more with the library's tries; 1 s on an idle machine"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"gmixer: hf-hub:a/b: config.json could not be fetched: {endpoint} cannot be reached: {MESSAGES[endpoint]}; "
        f"check the connection, the proxy (HTTPS_PROXY) and HF_ENDPOINT\n"
    )


@pytest.mark.parametrize("endpoint", ["huggingface.co", ""])
def test_an_endpoint_that_is_no_address(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: False)
    with pytest.raises(WeightsError, match=f"HF_ENDPOINT is '{endpoint}', no address; unset it, or set it to one such"):
        fetch(Repo.of("a/b"), "config.json")


@pytest.fixture
def unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache, and a Hub that has stopped."""
    with hub_server() as server:
        use_in_this_process(server, tmp_path, monkeypatch)
    return tmp_path


def test_in_python_too(unreachable: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for ask in (
        lambda: gmixer.load("hf-hub:a/b"),
        lambda: gmixer.create_model("hf-hub:a/b", pretrained=True),
        lambda: upload(unreachable, Repo.of("a/b"), private=None, token=None, message=""),
    ):
        with pytest.raises(WeightsError, match=r"a/b: .*http://127.0.0.1:\d+ cannot be reached: the connection is ref"):
            ask()
    assert capfd.readouterr().err == "", "no line of the library's"


def test_what_the_cache_has_is_taken_and_said(unreachable: Path) -> None:
    snapshot = unreachable / "models--a--b" / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    with pytest.warns(UserWarning, match="not compared with the Hub, the cached files were taken: .* is refused"):
        assert fetch(Repo.of("a/b"), "config.json", cache_dir=unreachable) == snapshot / "config.json"


def test_a_look_up_that_hangs_is_ended(unreachable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "LIMIT_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **named: time.sleep(60))
    with pytest.raises(WeightsError, match="cannot be reached: no answer in time"):
        fetch(Repo.of("a/b"), "config.json", cache_dir=unreachable)


def test_a_hub_that_answers_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it answers: the library tries again where that may help."""
    with hub_server() as server:
        use_in_this_process(server, tmp_path, monkeypatch)
        server.refuse = lambda method, path: (503, "") if path == "/" else None
        assert reaching.why_unreachable() is None
        assert reaching.why_unreachable() is None
        assert server.requests == [("HEAD", "/")]
    assert reaching.why_unreachable() is None, "it answered in this process: not asked again"
