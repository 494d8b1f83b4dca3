"""Text that cannot control the terminal, and text that every reader of a file accepts."""

from __future__ import annotations

from typing import overload


def printable(text: str) -> str:
    """The text with escapes for line breaks and control characters, which the names of files and classes may hold.

    Bytes of a file name that are not valid UTF-8 stay as they are.
    """
    return "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else ascii(c)[1:-1] for c in text)


@overload
def valid_text(text: str) -> str: ...
@overload
def valid_text(text: str | None) -> str | None: ...
def valid_text(text: str | None) -> str | None:
    """Parquet holds only valid UTF-8: the byte E9 of a file's name becomes the text \\udce9."""
    return text and text.encode("utf-8", "backslashreplace").decode()
