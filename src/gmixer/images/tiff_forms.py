"""The form of a TIFF's pixels, in words: what a user must know about a file that cannot be read."""

from __future__ import annotations

from itertools import islice

from gmixer.images.pieces import TIFF_SIZES, tiff_first_folder, tiff_number, tiff_tags

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS = 256, 257, 258, 259, 262
_CHANNELS, _PLANES, _EXTRA, _FORMAT = 277, 284, 338, 339
_PLACES = {273, 324}  # of strips or tiles
_MOST_TAGS, _MOST_VALUES = 1_000, 100  # of the page, and of one tag, that are looked at
_MOST_NAMED = 8  # values in a sentence

# TIFF 6.0, and what has been registered since.
_COLOUR_NAMES = {
    0: "grey (0 is white)",
    1: "grey",
    2: "RGB",
    3: "a palette",
    4: "a mask",
    5: "inks",
    6: "YCbCr",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "raw sensor values",
    32844: "LogL",
    32845: "LogLuv",
    34892: "linear sensor values",
}
_FORMAT_NAMES = {1: "", 2: "signed ", 3: "floating-point ", 4: "untyped ", 5: "complex ", 6: "complex "}
_COMPRESSION_NAMES = {33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC", 50002: "JPEG XL"}
_READ_COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32809, 32946, 34676, 34677, 34925, 50000, 50001}
_SEPARATE = 2


def tiff_form(data: bytes) -> str | None:
    """For example "5 channels of 8 bits in separate planes, as RGB". None where the first page lacks what each has."""
    tags = _first_page(data)
    if 0 in (tags.get(_WIDTH, [0])[0], tags.get(_HEIGHT, [0])[0]) or not _PLACES & tags.keys():
        return None
    compression = tags.get(_COMPRESSION, [1])[0]
    if compression not in _READ_COMPRESSIONS:
        return f"compression {compression}" + (
            f" ({_COMPRESSION_NAMES[compression]})" if compression in _COMPRESSION_NAMES else ""
        )
    bits, channels = tags.get(_BITS, [1]), tags.get(_CHANNELS, [1])[0]
    each = str(bits[0]) if len(set(bits)) == 1 else " + ".join(map(str, bits[:_MOST_NAMED]))
    each += " + …" if len(set(bits)) > 1 and len(bits) > _MOST_NAMED else ""
    formats = tags.get(_FORMAT, [1])
    kind = _FORMAT_NAMES.get(formats[0], f"unknown (format {formats[0]}) ") if len(set(formats)) == 1 else "mixed "
    planes = " in separate planes" if tags.get(_PLANES, [1])[0] == _SEPARATE else ""
    number = tags.get(_COLOURS, [0])[0]
    colours = _COLOUR_NAMES.get(number, f"photometric interpretation {number}")
    extra = f", {len(tags[_EXTRA])} of them extra," if _EXTRA in tags else ""
    return f"{channels:,} channel{'s' * (channels != 1)}{extra} of {each} {kind}bits{planes}, as {colours}"


def _first_page(data: bytes) -> dict[int, list[int]]:
    """Whole numbers only; of two tags with the same number, the first counts."""
    found: dict[int, list[int]] = {}
    for tag in islice(tiff_tags(data, tiff_first_folder(data)), _MOST_TAGS):
        size, values = TIFF_SIZES.get(tag.kind, 0), min(tag.values, _MOST_VALUES)
        if values and size and tag.start + size * values <= len(data):
            found.setdefault(tag.number, [tiff_number(data, tag.start + i * size, size) for i in range(values)])
    return found
