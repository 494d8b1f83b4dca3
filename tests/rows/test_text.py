"""text.py: text that cannot control the terminal."""

from __future__ import annotations

import os

from gmixer.rows.text import printable


def test_control_characters_are_escaped_and_words_are_not() -> None:
    assert printable("caffè 🐈.png") == "caffè 🐈.png"
    assert printable("a\x1b[2J\n\t\u202e") == "a\\x1b[2J\\n\\t\\u202e"


def test_bytes_that_are_not_text_stay() -> None:
    name = os.fsdecode(b"caf\xe9.png")
    assert printable(name) == name
