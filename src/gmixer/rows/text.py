"""Text that cannot control the terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with escapes for line breaks and control characters, which the names of files and classes may hold.

    Bytes of a file name that are not valid UTF-8 stay as they are.
    """
    return "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else ascii(c)[1:-1] for c in text)
