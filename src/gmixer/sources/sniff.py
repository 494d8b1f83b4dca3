"""The format of a file, by its first bytes. Its extension is never used: a `.jpg` may hold anything."""

from __future__ import annotations

import re
from typing import Literal, TypeVar

from gmixer.errors import ImageErrorKind

HEAD_BYTES = 512  # the header of a tar; 32 bytes are enough for every other signature below
READABLE = "JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF, PPM, HEIC, JPEG XL"

_Name = TypeVar("_Name", bound=str)

_PNM = re.compile(rb"P[1-6](\s+\d|\s*#)")  # stricter than Pillow's "P6", which may also begin a text
_BMP_HEADER_BYTES = range(12, 125)  # BITMAPCOREHEADER … BITMAPV5HEADER; a text that begins with "BM" is out of range
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}  # HEVC inside HEIF
_HEIF_BRANDS = {b"mif1", b"mif2", b"msf1"} | _HEIC_BRANDS  # the first three: whatever is inside
_JPEG_XL = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")  # without boxes, and with them

_OTHER_IMAGES = {
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"MM\x00+": "BigTIFF in big-endian order",
    b"v/1\x01": "OpenEXR",
    b"FUJIFILMCCD-RAW": "a Fujifilm raw file",
}
_RARE_IMAGES = {  # short signatures: a file that begins so is an image only where its name says so too
    b"\x00\x00\x01\x00": "an icon (ICO)",
    b"icns": "an icon (ICNS)",
    b"qoif": "QOI",
    b"DDS ": "DDS",
    b"II\xbc\x01": "JPEG XR",
    b"#?RADIANCE": "Radiance HDR",
    b"PF\n": "PFM",
    b"Pf\n": "PFM",
    b"P7\n": "PAM",
    b"\x0a\x05\x01\x08": "PCX",
    b"\x01\xda\x00\x01": "SGI",
    b"\x01\xda\x01\x01": "SGI",
}
_DICOM_AT = 128  # bytes that may hold anything
ArchiveFormat = Literal["tar", "zip", "gzip", "bzip2", "xz"]
_ARCHIVES: dict[bytes, ArchiveFormat] = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # with nothing in it
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
_TAR_CHECKSUM = re.compile(rb"[0 ]*([0-7]{1,6})[\0 ]*")
_NOT_IMAGES = {
    b"%PDF": "PDF",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\x00" * 16: "nothing but zeros",
}
_TEXTS = {
    b"<!doctype html": "HTML",
    b"<html": "HTML",
    b"<svg": "SVG",
    b"<?xml": "XML or SVG",
    b"{": "JSON",
    b"data:image/": "a data URL",
    b"/9j/": "a JPEG in base64",
    b"ivborw0kggo": "a PNG in base64",
}
_LFS = b"version https://git-lfs.github.com/"


def sniff(head: bytes) -> str | None:
    """The format of a file that begins with `head` (HEAD_BYTES of it suffice), or None.

    The names are "JPEG", "PNG", "WEBP", "AVIF", "HEIF", "JPEG XL", "TIFF", "BMP", "GIF" and "PPM", which stands for
    all of P1…P6.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(head)
    if not _AVIF_BRANDS.isdisjoint(brands) and brands[0] not in _HEIC_BRANDS:
        return "AVIF"
    if not _HEIF_BRANDS.isdisjoint(brands):
        return "HEIF"
    if head.startswith(_JPEG_XL):
        return "JPEG XL"
    if head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00")):  # + is BigTIFF; Pillow misreads MM\x00+
        return "TIFF"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return "BMP"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if _PNM.match(head):
        return "PPM"
    return None


def other_image(head: bytes) -> str | None:
    """The name of an image format that gmixer recognizes but does not read, or None."""
    if b"crx " in _brands(head):
        return "a Canon raw file"
    if head.startswith(b"DICM", _DICOM_AT):
        return "DICOM"
    return _lookup(head, _OTHER_IMAGES)


def is_image(head: bytes) -> bool:
    """Whether it begins like an image, also of a format that gmixer recognizes but does not read."""
    return sniff(head) is not None or other_image(head) is not None


def archive_format(head: bytes) -> ArchiveFormat | None:
    """The archive format of a file that begins with `head` (HEAD_BYTES of it), or None. A gzip, bzip2 or xz file may
    hold a tar, or anything else.

    A tar begins with the name of its first member, which may look like an image. So its checksum decides.
    """
    checksum = _TAR_CHECKSUM.fullmatch(head[148:156])
    if checksum and int(checksum[1], 8) == sum(head[:148]) + 8 * ord(" ") + sum(head[156:512]):
        return "tar"
    if is_image(head):
        return None
    return "tar" if head[257:262] == b"ustar" else _lookup(head, _ARCHIVES)


def why_not(head: bytes) -> tuple[ImageErrorKind, str]:
    """For a head (HEAD_BYTES) that `sniff` does not recognize: the kind of error, and the reason."""
    if image := other_image(head) or _lookup(head, _RARE_IMAGES):
        return "unsupported", f"is {image}, which gmixer does not read: convert it to one of {READABLE}"
    if archive := archive_format(head):
        reason = (
            f"starts like a {archive} archive, not like an image: gmixer reads {READABLE}, also inside tar and zip "
        )
        return "not_image", reason + "archives, as in photos.zip::cat.jpg"
    if head.startswith(_LFS):
        return "not_image", "is a pointer of Git LFS, not the image itself: run git lfs pull where the files come from"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    like = _lookup(head, _NOT_IMAGES) or _lookup(text, _TEXTS) or ("a video" if _brands(head) else None)
    starts = f"starts like {like}, not like an image" if like else "does not start like an image"
    return "not_image", f"{starts}: gmixer reads {READABLE}"


def _brands(head: bytes) -> list[bytes]:
    """The major brand, then the compatible brands of an ISO media file (AVIF, HEIC, MP4 …), as far as `head` goes."""
    if head[4:8] != b"ftyp":
        return []
    box = head[: int.from_bytes(head[:4], "big")]
    return [box[8:12], *(box[i : i + 4] for i in range(16, len(box), 4))]


def _lookup(head: bytes, names: dict[bytes, _Name]) -> _Name | None:
    return next((name for magic, name in names.items() if head.startswith(magic)), None)
