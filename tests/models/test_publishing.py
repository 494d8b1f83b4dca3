"""A model on its way to the Hub: a server on loopback takes it, and it comes back the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import Hub, client_environment, hub_server

PREPARE = """
import gmixer, torch
torch.manual_seed(0)
model = gmixer.create_model("gmixer_8_64", num_classes=3).eval()
torch.nn.init.normal_(model.head.weight)
"""
PUSH = """
print(gmixer.push_to_hub(
    model, "me/insects", class_names=["ant", "bee", "cat"], license="mit", summary="Tells three animals apart.",
    trained_on="My photos.", accuracy={"top-1 on my-val": 93.1}, limits="Nothing but these three.", private=True,
))
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as server:
        yield server


def run(hub: Hub, script: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = client_environment(hub, cache) | {"HF_TOKEN": "hf_mine"}
    command = [sys.executable, "-c", PREPARE + script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_what_is_pushed_comes_back(hub: Hub, tmp_path: Path) -> None:
    back = """
again = gmixer.create_model("hf-hub:me/insects", pretrained=True)
assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
predictor = gmixer.load("hf-hub:me/insects")
assert [label.name for label in predictor.labels] == ["ant", "bee", "cat"]
"""
    done = run(hub, PUSH + back, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{hub.endpoint}/me/insects\n"
    assert set(hub.files["me/insects"]) == {"README.md", "config.json", "model.safetensors"}
    assert ("POST", "/api/models/me/insects/commit/main") in hub.requests
    assert "Bearer hf_mine" in hub.tokens
    card = hub.files["me/insects"]["README.md"].decode()
    assert "Tells three animals apart." in card and "| top-1 on my-val | 93.1 % |" in card


@pytest.mark.parametrize(
    ("status", "way_out"), [(403, "set HF_TOKEN to a token that may write to it"), (507, "try again in a few minutes")]
)
def test_a_hub_that_refuses(status: int, way_out: str, hub: Hub, tmp_path: Path) -> None:
    hub.refuse = lambda method, path: (status, "") if "/preupload/" in path or "/create" in path else None
    done = run(hub, PUSH, tmp_path)
    assert done.returncode == 1 and not hub.files.get("me/insects")
    words = done.stderr.strip().splitlines()[-1]
    assert words.startswith(f"gmixer.errors.WeightsError: hf-hub:me/insects: {hub.endpoint} answered {status} ")
    assert words.endswith(f"and nothing was uploaded; {way_out}")


def test_no_repository_name(hub: Hub, tmp_path: Path) -> None:
    done = run(hub, "gmixer.push_to_hub(model, 'insects')", tmp_path)
    assert "'insects' is no repository; wanted hf-hub:organization/model" in done.stderr
    assert hub.requests == []
