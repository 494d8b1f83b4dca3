"""How many frames a file holds, from its structure alone. Nothing is decoded, and counting stops at the limit.

Pillow counts a GIF's frames to the end of the file, and reads every tag of every page of a TIFF: 16 s for 64 MiB of
tiny frames. In the other formats the header holds the number.
"""

from __future__ import annotations

from PIL import Image

MAX_GIF_STEPS = 2**20  # blocks of a GIF; a usual block holds 255 bytes, so this is enough for 255 MiB


def has_more_frames(data: bytes, image_format: str, max_frames: int) -> bool | None:
    """Whether a GIF or TIFF holds more frames; None for a GIF of more than MAX_GIF_STEPS blocks.

    The count ends at a damaged frame: it is no reason to refuse the first frame.
    """
    try:
        if image_format == "GIF":
            return _gif_has_more(data, max_frames)
        return _tiff_has_more(data, max_frames)
    except IndexError:  # the end of the file
        return False


def says_more_frames(image: Image.Image, max_frames: int) -> bool:
    """Whether the header of an opened image states more frames."""
    frames: int = getattr(image, "n_frames", 1)
    return frames > max_frames


def _gif_has_more(data: bytes, max_frames: int) -> bool | None:
    """Source: GIF89a specification. Bytes that begin no block are skipped one by one, as in Pillow."""
    at = 13 + _colour_table_bytes(data[10])
    frames = steps = 0
    while True:
        steps += 1
        match data[at]:
            case 0x2C:  # a frame: position, size and flags, perhaps colours, the code size, then sub-blocks
                frames += 1
                if frames > max_frames:
                    return True
                at += 11 + _colour_table_bytes(data[at + 9])
            case 0x21:  # an extension: its label, then sub-blocks
                at += 2
            case 0x3B:
                return False
            case _:
                at += 1
                if steps > MAX_GIF_STEPS:
                    return None
                continue
        while size := data[at]:
            at += size + 1
            steps += 1
            if steps > MAX_GIF_STEPS:
                return None
        at += 1


def _colour_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff_has_more(data: bytes, max_frames: int) -> bool:
    """Pages form a chain. A link back to an earlier page ends the chain, as in Pillow."""
    order = "little" if data[:2] == b"II" else "big"
    big = data[2:4] in (b"+\0", b"\0+")  # BigTIFF: 64-bit offsets, 20 bytes a tag
    count_bytes, tag_bytes, offset_bytes = (8, 20, 8) if big else (2, 12, 4)

    def number(at: int, size: int) -> int:
        if at + size > len(data):
            raise IndexError
        return int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type] # mypy takes it for any str

    page = number(8 if big else 4, offset_bytes)
    seen: set[int] = set()
    while page and page not in seen:
        seen.add(page)
        if len(seen) > max_frames:
            return True
        page = number(page + count_bytes + tag_bytes * number(page, count_bytes), offset_bytes)
    return False
