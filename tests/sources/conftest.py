"""The fixture `internet`, for images by URL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gmixer.sources import web
from internet import PRIVATE, PUBLIC, Internet, serve


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    internet = Internet(0, hosts={"images.example": [[PUBLIC]], "home.example": [[PRIVATE]]})
    monkeypatch.setattr(web, "_resolve", internet.resolve)
    monkeypatch.setattr(web, "_dial", internet.dial)
    with serve(internet) as server:
        yield internet
        server.shutdown()
