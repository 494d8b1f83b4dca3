"""A model is uploaded to a server on loopback, and comes back the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import gmixer
from gmixer.errors import InputError, WeightsError
from hub import Hub, hub_server, use_in_this_process

SAID: dict[str, Any] = {
    "class_names": ["ant", "bee", "cat"],
    "license": "mit",
    "summary": "Tells three animals apart.",
    "trained_on": "My photos.",
    "accuracy": {"top-1 on my-val": 93.1},
    "limits": "Nothing but these three.",
    "private": True,
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server() as server:
        use_in_this_process(server, tmp_path / "cache", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        yield server


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    model = gmixer.create_model("gmixer_8_64", num_classes=3).eval()
    torch.nn.init.normal_(model.head.weight)
    return model


def test_what_is_pushed_comes_back(hub: Hub, model: torch.nn.Module) -> None:
    assert gmixer.push_to_hub(model, "me/insects", **SAID) == f"{hub.endpoint}/me/insects"
    assert set(hub.files["me/insects"]) == {"README.md", "config.json", "model.safetensors"}
    assert ("POST", "/api/models/me/insects/commit/main") in hub.requests
    assert "Bearer hf_mine" in hub.tokens
    card = hub.files["me/insects"]["README.md"].decode()
    assert "Tells three animals apart." in card and "| top-1 on my-val | 93.1 % |" in card

    again = gmixer.create_model("hf-hub:me/insects", pretrained=True)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
    predictor = gmixer.load("hf-hub:me/insects")
    assert [label.name for label in predictor.labels] == ["ant", "bee", "cat"]


@pytest.mark.parametrize(
    ("status", "way_out"), [(403, "set HF_TOKEN to a token that may write to it"), (507, "try again in a few minutes")]
)
def test_a_hub_that_refuses(status: int, way_out: str, hub: Hub, model: torch.nn.Module) -> None:
    hub.refuse = lambda method, path: (status, "") if "/preupload/" in path or "/create" in path else None
    with pytest.raises(WeightsError) as caught:
        gmixer.push_to_hub(model, "me/insects", **SAID)
    assert not hub.files.get("me/insects")
    words = str(caught.value)
    assert words.startswith(f"hf-hub:me/insects: {hub.endpoint} answered {status} ") and "\n" not in words
    assert words.endswith(f"and nothing was uploaded; {way_out}")


def test_no_repository_name(hub: Hub, model: torch.nn.Module) -> None:
    with pytest.raises(InputError, match="'insects' is no repository; wanted hf-hub:organization/model"):
        gmixer.push_to_hub(model, "insects")
    assert hub.requests == []
