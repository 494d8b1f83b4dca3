"""Fixtures that several test files share. Models with drawn weights: mixers.py."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

# Before huggingface_hub reads them: no test asks the real Hub, nor finds what the developer has in the cache.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_CACHE"] = os.path.join(tempfile.gettempdir(), "gmixer-tests-no-such-cache")

# Before torch reads it: threads that spin while they wait take the processor from the other test process.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import torch
from PIL import Image

import gmixer
from s3 import s3, s3_endpoint

__all__ = ["s3", "s3_endpoint"]  # fixtures

# A shell that runs the tests in the background has them ignore Ctrl-C, which some of them press.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

PHOTOS = Path(__file__).parents[1] / "examples" / "photos"

# With several test processes (pytest -n) more threads would only wait for each other; and the bits of a sum depend on
# how many there are.
torch.set_num_threads(1)


# Files of few and long tests. They go first, so that no process is left alone with one of them at the end.
LONG_FILES = ("test_core_checks.py", "test_scratch.py", "test_fork.py", "test_mixer.py", "test_groups.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG_FILES.index(item.path.name) if item.path.name in LONG_FILES else len(LONG_FILES))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Whatever number a test has set, the next one begins with one."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def need() -> Callable[..., None]:
    """Skips a test whose tool is not installed, and says how to get it. In CI, where $CI is set, that is a failure."""

    def check(found: object, what: str, *, debian: str) -> None:
        if not found:
            missing = pytest.fail if os.environ.get("CI") else pytest.skip
            missing(f"{what} is not installed (Debian: apt install {debian})")

    return check


@pytest.fixture(scope="session")
def predictor() -> gmixer.Predictor:
    """The embedded model."""
    return gmixer.load("gmixer_8_64.distill_in1k")


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    return sorted(PHOTOS.iterdir())


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    """A small real JPEG file of smooth colours."""
    y, x = np.mgrid[0:90, 0:120].astype(np.uint8)
    path = tmp_path / "picture.jpg"
    Image.fromarray(np.dstack([x, y, 255 - x])).save(path, quality=90)
    return path
