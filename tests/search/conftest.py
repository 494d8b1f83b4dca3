"""A real browser for the pages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from browsing import DESK, Browse


@pytest.fixture(scope="module")
def browse(need: Callable[..., None]) -> Iterator[Browse]:
    """browse(path, size, dark=False, touch=False): the page in Chromium, without a network. Leaving it fails where the
    console said anything.
    """
    chromium = shutil.which("chromium")
    need(chromium, "chromium", debian="chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        @contextmanager
        def open_page(path: Path, size: tuple[int, int] = DESK, *, dark: bool = False, touch: bool = False) -> Any:
            said: list[str] = []
            context = browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if dark else "light",
                has_touch=touch,
                offline=True,
            )
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
            page.goto(path.as_uri())
            page.wait_for_load_state()
            yield page
            context.close()
            assert said == []

        yield open_page
        browser.close()
