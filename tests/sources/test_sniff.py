"""sniff.py: formats by content."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gmixer.errors import IMAGE_ERROR_KINDS
from gmixer.sources.sniff import HEAD_BYTES, other_image, sniff, why_not


def saved(image_format: str, **options: object) -> bytes:
    out = BytesIO()
    Image.new("RGB", (5, 3), "teal").save(out, image_format, **options)
    return out.getvalue()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM"])
def test_what_pillow_writes(name: str) -> None:
    assert sniff(saved(name)[:HEAD_BYTES]) == name


@pytest.mark.parametrize("head", [b"P%d\n5 3\n" % n for n in range(1, 7)] + [b"P5#made by hand\n5 3", b"P2 # so\n5 3"])
def test_every_pnm_is_ppm(head: bytes) -> None:
    assert sniff(head) == "PPM"


@pytest.mark.parametrize("head", [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0"])
def test_tiff_in_both_byte_orders_and_big(head: bytes) -> None:
    assert sniff(head) == "TIFF"


def test_avif_may_stand_among_the_compatible_brands() -> None:
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "AVIF"
    assert sniff(b"\0\0\0\x10ftypmif1\0\0\0\0avif") == "HEIF"  # past the end of its box


@pytest.mark.parametrize("major", ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"])
def test_heif_of_every_brand(major: str) -> None:
    assert sniff(b"\0\0\0\x18ftyp" + major.encode() + b"\0\0\0\0mif1miaf") == "HEIF"


def test_heif_may_stand_among_the_compatible_brands() -> None:
    assert sniff(b"\0\0\0\x18ftypMiHB\0\0\0\0heicmif1") == "HEIF"
    assert sniff(b"\0\0\0\x18ftypmp42\0\0\0\0isommp41") is None  # a video


def test_the_first_brand_decides_between_heic_and_avif() -> None:
    assert sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1avif") == "HEIF"
    assert sniff(b"\0\0\0\x18ftypavif\0\0\0\0mif1heic") == "AVIF"
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifheic") == "AVIF"


@pytest.mark.parametrize("head", [b"\xff\x0a\xf8\xbe\x01", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl "])
def test_jpeg_xl_with_boxes_and_without(head: bytes) -> None:
    assert sniff(head) == "JPEG XL" and sniff(head[:1]) is None


@pytest.mark.parametrize(
    "text", [b"", b"P", b"P6", b"P7\n1 1", b"P3X 1 1 1", b"BMW drivers of the world, unite!", b"RIFF\0\0\0\0WAVEfmt "]
)
def test_lookalikes(text: bytes) -> None:
    assert sniff(text) is None


@pytest.mark.parametrize(
    ("head", "kind", "word"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "unsupported", "JPEG 2000"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "unsupported", "Canon"),
        (b"8BPS\0\x01", "unsupported", "Photoshop"),
        (b"MM\0+\0\x08\0\0", "unsupported", "BigTIFF in big-endian"),
        (bytes(128) + b"DICM", "unsupported", "DICOM"),
        (b"\n <!DOCTYPE html><title>404</title>", "not_image", "like HTML"),
        (b'\xef\xbb\xbf<svg xmlns="">', "not_image", "like SVG"),
        (b"%PDF-1.7", "not_image", "like PDF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42", "not_image", "video"),
        (bytes(HEAD_BYTES), "not_image", "zeros"),
        (b'{"message": "Not Found"}', "not_image", "like JSON"),
        (b"/9j/4AAQSkZJRg", "not_image", "JPEG in base64"),
        (b"hello", "not_image", "does not start like an image"),
    ],
)
def test_why_not_says_what_it_is(head: bytes, kind: str, word: str) -> None:
    assert sniff(head) is None
    got_kind, reason = why_not(head)
    assert got_kind == kind
    assert word in reason
    assert "JPEG, PNG, WebP" in reason
    assert (other_image(head) is not None) == (kind == "unsupported")


@pytest.mark.parametrize("name", ["ICO", "QOI", "DDS", "PCX", "SGI"])
def test_rare_images_are_named_but_not_searched_for(name: str) -> None:
    head = (b"qoif\0\0\0\5" if name == "QOI" else saved(name))[:HEAD_BYTES]
    kind, reason = why_not(head)
    assert kind == "unsupported" and name in reason and other_image(head) is None


def test_a_pointer_of_git_lfs_is_named() -> None:
    kind, reason = why_not(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    assert kind == "not_image" and "git lfs pull" in reason


@given(st.binary(max_size=40))
def test_any_head_has_an_answer(head: bytes) -> None:
    assert sniff(head) == sniff(head[:HEAD_BYTES])
    kind, reason = why_not(head)
    assert kind in IMAGE_ERROR_KINDS
    assert "\n" not in reason
