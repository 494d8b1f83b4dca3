"""A page of HTML that is one file: it loads nothing, and runs nothing but its own script.

Its texts come from file names and labels that anyone may have chosen. So every text is escaped and kept on one line.
The policy of the page names its style and its script by their SHA-256, and forbids all else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from gmixer.errors import require
from gmixer.files import atomic_write
from gmixer.rows.text import printable


def render_page(name: str, /, **variables: Any) -> str:
    """The template NAME.html.jinja, with NAME.css and, if there is one, NAME.js."""
    with require("a page of HTML", "search", ("jinja2",)):
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        finalize=lambda value: printable(value) if type(value) is str else value,  # not jinja2's own Markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": in_words, "json": _json}
    style = (folder / f"{name}.css").read_text(encoding="utf-8")
    script = folder / f"{name}.js"
    code = script.read_text(encoding="utf-8") if script.exists() else ""
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    policy += f"; script-src {_hash(code)}" if code else ""
    return environment.get_template(f"{name}.html.jinja").render(
        variables | {"policy": _markup(policy), "style": _markup(style), "script": _markup(code)}
    )


def write_page(path: Path, page: str) -> None:
    """Whole or not at all. Bytes of a file name that are not valid UTF-8 are escaped."""
    with atomic_write(path, shared=True) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="backslashreplace")


def in_words(size: int | None) -> str:
    """340 B, 12 kB, 3.4 MB"""
    if size is None:
        return "– B"
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if unit != "B" and amount < 10 else f"{amount:.0f} {unit}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> Any:
    """For a <script> element that holds data: no text in it can end the element."""
    return _markup(json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)
