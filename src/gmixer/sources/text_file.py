"""The bytes of a text file → text. UTF-8, UTF-16 and UTF-32 are recognized, with or without a byte order mark."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator

from gmixer.errors import ImageError, InputError
from gmixer.sources.local import open_regular

_MARKS = {  # UTF-32 first: its mark begins like that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
_WITHOUT_MARK = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_HEAD_BYTES = 512
_LINES_BYTES = 2**16


def read_text(path: str) -> str:
    """All of the file. Raises InputError for a file that cannot be read, and as `decoded` does."""
    try:
        with open_regular(path, path) as file:
            data = file.read()
    except ImageError as error:
        raise InputError(f"{error}; wanted a text file in UTF-8") from None
    return decoded(data, path)


def lines_in(file: io.RawIOBase, name: str) -> Iterator[str]:
    """The lines of an open text, with their ends; one is in memory. Raises InputError, which has `name`, as `decoded`
    does.
    """
    buffered = io.BufferedReader(file, _LINES_BYTES)
    head = buffered.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    if not is_text(head):
        raise InputError(f"{name} is no text; wanted one in UTF-8 or UTF-16")
    text = io.TextIOWrapper(buffered, _encoding(head), newline="")
    try:
        for line in text:  # noqa: UP028 # `yield from` would close the file of a caller who stops early
            yield line
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not {error.encoding.upper()} all through: {error.object[error.start]:#04x} is in it; wanted "
            "UTF-8 or UTF-16: save it as such (in Excel: CSV UTF-8), or convert it with iconv"
        ) from None
    finally:  # otherwise they close the file, which is the caller's
        text.detach()
        buffered.detach()


def decoded(data: bytes, name: str) -> str:
    """Raises InputError, which has `name`, for another encoding: a code page of 8 bits does not tell its name."""
    encoding = _encoding(data[:_HEAD_BYTES])
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if not encoding.startswith("utf-8"):
            raise InputError(
                f"{name} is damaged or cut short after {error.start:,} bytes of {encoding.upper()}; wanted all of it"
            ) from None
        line, byte = data.count(b"\n", 0, error.start) + 1, data[error.start]
        letter = bytes([byte]).decode("cp1252", "replace")
        raise InputError(
            f"{name} is not UTF-8: line {line} has the byte {byte:#04x}, which is {letter} in Windows-1252 (Latin-1); "
            "wanted UTF-8 or UTF-16: save it as such (in Excel: CSV UTF-8), or convert it with iconv"
        ) from None


def is_text(head: bytes) -> bool:
    """Whether a file that begins with `head` may be a text. Bytes of zero occur only in UTF-16 and UTF-32."""
    return b"\0" not in head or _encoding(head[:_HEAD_BYTES]) != "utf-8"


def _encoding(head: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        for encoding in _WITHOUT_MARK:
            text = head.decode(encoding, "replace").rstrip("\ufffd")  # the last character may be cut
            if text and all(letter.isprintable() or letter in "\t\r\n" for letter in text) and text.isascii():
                return encoding
    return "utf-8"
