"""What of the extra `gmixer[bench]` is here, asked before anything is measured."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from gmixer.errors import missing_extra


def require(packages: Sequence[str], what: str) -> None:
    """Raises MissingExtraError for the first that is not installed; what: needs them. Imports none."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise missing_extra(what, package, "bench")
