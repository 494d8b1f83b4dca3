"""Words of Python's own exceptions, which no message to a user may hold."""

from __future__ import annotations

import re

_WORDS = re.compile(
    r"index out of range|object has no attribute|NoneType|unpack_from|to unpack|unpack requires|list indices"
    r"|invalid literal|codec can't|ordinal not in range|not subscriptable|unsupported operand|must be str|unhashable"
    r"|positional argument|keyword argument|recursion depth|null byte|not supported between|not iterable|not callable"
    r"|is not in list|too large to convert|could not convert string|expected str|bytes-like object|negative seek"
    r"|\b(?:Key|Value|Type|Index|Attribute|Assertion|Overflow|ZeroDivision|UnicodeDecode|OS|Runtime|Syntax)Error\b"
    r"|\bErrno\b|Traceback|struct\.error|<class '|object at 0x|\bb['\"]"
)
# A reason that is missing, or a bare key.
_EMPTY = re.compile(r"\(\)|: ?;|;\s*;|: *$|(?:as \w+|read|unpacked): (?:'[^']*'|\d+)\s*(?:;|$)")


def assert_plain(message: str) -> None:
    """Fails for a message with Python's own words, with a bare key as the reason, or without a reason."""
    assert message.strip(), "an empty reason"
    assert "\n" not in message.strip(), message
    assert not (found := _WORDS.search(message)), f"{found[0]!r} in {message!r}"
    assert not (found := _EMPTY.search(message)), f"{found[0]!r} in {message!r}"
