"""Pages in a real browser: what the fixture `browse` of tests/search/conftest.py takes and gives."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

DESK, PHONE = (1280, 800), (390, 844)  # width and height of the window
Browse = Callable[..., AbstractContextManager[Any]]  # (path, size, dark=, touch=) → playwright's page


def until(page: Any, expression: str) -> None:
    """Waits until the expression holds. playwright's own wait_for_function needs eval, which the pages forbid."""
    end = time.monotonic() + 20
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(20)
