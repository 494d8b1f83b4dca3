"""archive.py: members of tar and zip archives, honest and hostile."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import gmixer
from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.options import Limits, Reading
from gmixer.sources import archive
from gmixer.sources.address import split_member
from gmixer.sources.entry import may_be_image, read, read_head
from gmixer.sources.listing import Listing, is_archive, list_files
from gmixer.sources.local import LocalFile
from pythons_words import assert_plain

TAR_MODES = {"tar": "w:", "gzip": "w:gz", "bzip2": "w:bz2", "xz": "w:xz"}
FORMATS = [*TAR_MODES, "zip"]
Files = Sequence[tuple[str, bytes]]


def pack(path: Path, files: Files, packed: str = "tar", tar_format: int = tarfile.PAX_FORMAT) -> Path:
    if packed == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name, data in files:
                out.writestr(name, data)
    else:
        with tarfile.open(path, TAR_MODES[packed], format=tar_format) as tar:
            for name, data in files:
                add(tar, name, data)
    return path


def add(tar: tarfile.TarFile, name: str, data: bytes = b"", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))


def rows(path: Path, limits: Limits | None = None) -> list[tuple[str, object]]:
    """The way inside, and the bytes or the kind of error; "" is the archive itself."""
    found_rows: list[tuple[str, object]] = []
    for entry in list_files(path):
        answer: object
        if isinstance(entry, ImageError):
            key, answer = entry.source, entry.kind
        else:
            assert not entry.named and entry.read_at_once
            key = entry.key
            try:
                answer = read(entry, limits or Limits())
            except ImageError as error:
                assert error.source == key
                answer = error.kind
        found_rows.append((key.removeprefix(str(path)).removeprefix("::"), answer))
    return found_rows


def error_of(path: Path, name: str = "") -> ImageError:
    """What is said of the member, or of the archive."""
    wanted = f"{path}::{name}" if name else str(path)
    (error,) = [found for found in list_files(path) if isinstance(found, ImageError) and found.source == wanted]
    assert "\n" not in error.reason
    return error


def photo(width: int = 5) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, 3), "teal").save(out, "PNG")
    return out.getvalue()


NAMES = st.lists(
    st.text("abcdefghi é::'\n☂", min_size=1, max_size=60).filter(lambda part: part.strip() == part),
    min_size=1,
    max_size=4,
).map(lambda parts: "0" + "/".join(parts))  # "0" lest it be a drive


@pytest.mark.parametrize("packed", FORMATS)
@settings(max_examples=15, deadline=None)
@given(
    files=st.lists(st.tuples(NAMES, st.binary(max_size=3000)), max_size=8, unique_by=lambda file: file[0]),
    big=st.data(),
)
def test_members_come_out_as_they_went_in(packed: str, files: Files, big: st.DataObject) -> None:
    tar_format = big.draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
    with tempfile.TemporaryDirectory() as folder:
        path = pack(Path(folder) / "a", files, packed, tar_format)
        if not files:
            return
        assert rows(path) == list(files)
        name, data = big.draw(st.sampled_from(files))
        assert read(archive.NamedMember(str(path), name), Limits(), source="x") == data


def test_a_header_that_comes_in_two_pieces(tmp_path: Path) -> None:
    """bzip2 hands this one out so that its last block spans two reads. Found by the test above."""
    files = [("0é", b"\0"), ("0☂", b"\0"), ("0:é", b""), ("0aé", b"\0")]
    assert rows(pack(tmp_path / "a", files, "bzip2")) == files


@pytest.mark.parametrize("packed", FORMATS)
def test_sizes_around_every_block_and_buffer(packed: str, tmp_path: Path) -> None:
    """After any of them a compressed tar goes on from where it stands; going back is an error there."""
    noise = random.Random(5).randbytes(2**20)
    sizes = [n + d for n in (0, 512, 8192, 2**16) for d in (0, 1, 511, 512, 513)] + [len(noise), len(noise) - 512, 5]
    files = [(f"{i}.bin", noise[:size]) for i, size in enumerate(sizes)]
    path = pack(tmp_path / "a", files, packed)
    assert rows(path) == files
    heads = [(entry.key, read_head(entry)) for entry in list_files(path) if not isinstance(entry, ImageError)]
    assert heads == [(f"{path}::{name}", data[: archive.HEAD_BYTES]) for name, data in files], "none is read through"


@pytest.mark.parametrize("packed", ["gzip", "bzip2", "xz"])
def test_a_compressed_tar_is_unpacked_twice_whatever_the_number_of_members(
    packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = 0

    class Counting(archive._Forward):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            nonlocal unpacked
            unpacked += (count := super().readinto(buffer))
            return count

    monkeypatch.setattr(archive, "_Forward", Counting)
    path = pack(tmp_path / "a", [(f"{i}.png", os.urandom(3000)) for i in range(400)], packed)
    size = len(rows(path)) * (512 + 3072)
    assert 2 * size <= unpacked < 2 * size + 50_000


def test_old_tars_without_any_magic(tmp_path: Path) -> None:
    data = bytearray(pack(tmp_path / "a", [("GIF89a.png", photo())], tar_format=tarfile.USTAR_FORMAT).read_bytes())
    data[257:512] = bytes(255)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (tmp_path / "old").write_bytes(data)
    assert rows(tmp_path / "old") == [("GIF89a.png", photo())]


@pytest.mark.parametrize("packed", FORMATS)
def test_an_archive_is_told_by_its_content(packed: str, tmp_path: Path) -> None:
    assert is_archive(str(pack(tmp_path / "holiday.jpg", [("a.png", photo())], packed)))


def test_what_is_no_archive(tmp_path: Path) -> None:
    for name, data in {
        "a.tar": b"text",
        "a.png": photo(),
        "a.png.gz": gzip.compress(photo()),
        "a.xz": lzma.compress(b"x" * 1000),
        "empty.zip": b"",
        "zeros.tar": bytes(10240),
    }.items():
        (tmp_path / name).write_bytes(data)
        path = str(tmp_path / name)
        assert list(list_files(path)) == [LocalFile(path, named=True)], name
    os.mkfifo(tmp_path / "pipe")
    assert not is_archive(str(tmp_path / "pipe"))
    with pytest.raises(ImageError, match=r"starts like a gzip archive, not like an image.* as in photos.zip::cat.jpg"):
        decode(tmp_path / "a.png.gz")
    with pytest.raises(ImageError, match="starts like a tar archive"):
        decode(pack(tmp_path / "b", [("a.png", photo())]))


@pytest.mark.parametrize("packed", FORMATS)
def test_folders_and_hidden_files_are_left_out(packed: str, tmp_path: Path) -> None:
    shown = [("./b/c.png", photo()), ("a//d.png", photo()), ("..a/.png..", photo())]
    hidden = [(".a.png", photo()), ("b/.c/d.png", photo()), ("__MACOSX/b/c.png", photo()), ("./._c.png", photo())]
    path = pack(tmp_path / "a", [*shown[:2], *hidden], packed)
    assert [name for name, _ in rows(path)] == ["b/c.png", "a/d.png"]
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.png").write_bytes(photo())
    if packed == "zip":
        with zipfile.ZipFile(path, "w") as out:
            out.write(folder / "deep", "deep")
            out.write(folder / "deep" / "a.png", "deep/a.png")
    else:
        with tarfile.open(path, TAR_MODES[packed]) as tar:
            tar.add(folder, ".")
    assert rows(path) == [("deep/a.png", photo())]
    with pytest.raises(ImageError, match="is a folder of the archive"):
        decode(f"{path}::deep")


BAD_NAMES = [
    "../x.png",
    "a/../../x.png",
    "/etc/x.png",
    "..",
    "a\\..\\..\\x.png",
    "..\\x.png",
    "\\\\h\\x.png",
    "C:\\x.png",
    "c:x.png",
    "//h/x.png",
]


@pytest.mark.parametrize("packed", FORMATS)
def test_names_that_lead_out_are_refused_and_shown(packed: str, tmp_path: Path) -> None:
    path = pack(
        tmp_path / "a", [("a.png", photo()), *((name, photo()) for name in BAD_NAMES), ("z.png", photo())], packed
    )
    assert rows(path) == [("a.png", photo()), *((name, "refused") for name in BAD_NAMES), ("z.png", photo())]
    with pytest.raises(ImageError, match="lead out of the archive"):
        decode(f"{path}::../x.png")


@pytest.mark.parametrize("packed", FORMATS)
def test_names_of_windows_are_read(packed: str, tmp_path: Path) -> None:
    members = [("a\\deep\\x.png", photo()), (".\\b\\y.png", photo()), ("__MACOSX\\b\\y.png", photo())]
    path = pack(tmp_path / "a", members, packed)
    assert rows(path) == [("a/deep/x.png", photo()), ("b/y.png", photo())]
    for name in ("a/deep/x.png", "a\\deep\\x.png"):
        assert decode(f"{path}::{name}").shape[2] == 3
    same = pack(tmp_path / "b", [("a\\x.png", photo()), ("a/x.png", photo())], packed)
    assert rows(same) == [("a/x.png", "refused")] * 2
    if packed == "zip":
        with zipfile.ZipFile(tmp_path / "c", "w") as out:
            out.writestr("a\\", b"")
            out.writestr("a\\x.png", photo())
        assert rows(tmp_path / "c") == [("a/x.png", photo())]


def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a", "w") as tar:
        add(tar, "a.png", photo())
        add(tar, "soft.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "hard.png", type=tarfile.LNKTYPE, linkname="a.png")
        for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"?"):
            add(tar, f"{ord(kind)}.png", type=kind)
        add(tar, "z.png", photo())
    kinds = [kind if isinstance(kind, str) else "" for _, kind in rows(tmp_path / "a")]
    assert kinds == ["", *["refused"] * 6, ""]
    assert "is a link" in error_of(tmp_path / "a", "hard.png").reason
    with pytest.raises(ImageError, match="is a link"):
        decode(f"{tmp_path}/a::soft.png")


def test_links_devices_and_encrypted_members_of_a_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as out:
        for i, mode in enumerate([0o100644, 0o120777, 0o020644, 0o010644, 0]):
            info = zipfile.ZipInfo(f"{i}.png")
            info.external_attr = mode << 16
            out.writestr(info, photo())
    data = bytearray((tmp_path / "a").read_bytes())
    data[data.rindex(b"PK\1\2") + 8] |= 1  # the flag of encryption, on the last one
    (tmp_path / "a").write_bytes(data)
    assert rows(tmp_path / "a") == [("0.png", photo()), *((f"{i}.png", "refused") for i in range(1, 5))]
    assert "is encrypted" in error_of(tmp_path / "a", "4.png").reason


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("packed", FORMATS)
def test_all_members_of_a_repeated_name_are_refused(packed: str, tmp_path: Path) -> None:
    names = ["a.png", "b.png", "./a.png", "c.png", "a.png", "c//d.png", "c/./d.png"]
    path = pack(tmp_path / "a", [(name, photo(i + 1)) for i, name in enumerate(names)], packed)
    refused = "refused"
    assert rows(path) == [
        *[("a.png", refused), ("b.png", photo(2)), ("a.png", refused), ("c.png", photo(4)), ("a.png", refused)],
        *[("c/d.png", refused)] * 2,
    ]
    with pytest.raises(ImageError, match="more than once"):
        decode(f"{path}::a.png")
    np.testing.assert_array_equal(decode(f"{path}::./b.png"), decode(photo(2)))


@pytest.mark.parametrize("packed", FORMATS)
def test_a_member_over_the_byte_limit_costs_only_itself(packed: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "a", [("a", b"a"), ("big", bytes(1001)), ("exact", bytes(1000))], packed)
    assert rows(path, Limits(max_bytes=1000)) == [("a", b"a"), ("big", "too_large"), ("exact", bytes(1000))]
    with pytest.raises(ImageError, match=r"holds 1,001 bytes; the limit is 1,000") as caught:
        decode(f"{path}::big", reading=Reading(limits=Limits(max_bytes=1000)))
    assert caught.value.source == f"{path}::big"


def zip_with_claims(path: Path, data: bytes, *, size: int, crc: int) -> Path:
    """One deflated member whose headers lie about what it unpacks to."""
    packed = zlib.compressobj(wbits=-15)
    body = packed.compress(data) + packed.flush()
    claims = (20, 0, 8, 0, 33, crc, len(body), size, 5, 0)
    local = struct.pack("<4s5H3I2H", b"PK\3\4", *claims) + b"a.png" + body
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, *claims, 0, 0, 0, 0, 0) + b"a.png"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(local), 0)
    path.write_bytes(local + entry + end)
    return path


def test_sizes_that_lie(tmp_path: Path) -> None:
    bomb = bytes(200 * 2**20)
    small = zip_with_claims(tmp_path / "small", bomb, size=5000, crc=zlib.crc32(bomb))
    assert rows(small) == [("a.png", "corrupt")], "zipfile stops at the claim, and the checksum does not fit"
    large = zip_with_claims(tmp_path / "large", b"tiny", size=2**31, crc=zlib.crc32(b"tiny"))
    assert rows(large) == [("a.png", "too_large")]
    honest = zip_with_claims(tmp_path / "honest", bomb, size=len(bomb), crc=zlib.crc32(bomb))
    assert rows(honest) == [("a.png", "too_large")]
    counted = zip_with_claims(tmp_path / "counted", b"tiny", size=900, crc=zlib.crc32(b"tiny"))
    assert rows(counted, Limits(max_bytes=1000)) == [("a.png", b"tiny")]


def test_a_size_is_counted_where_no_header_tells_it(tmp_path: Path) -> None:
    member = archive.Member("a::b", 0, None, b"head", archive._Watched(io.BytesIO(bytes(10**6))))
    with pytest.raises(ImageError, match="holds at least 10,001 bytes"):
        read(member, Limits(max_bytes=10_000))


def test_members_of_a_zip_that_overlap_are_refused(tmp_path: Path) -> None:
    """As in zip bombs: one body, or bodies within bodies, for many names."""
    path = pack(tmp_path / "a", [("a.png", os.urandom(5000)), ("b.png", photo()), ("c.png", photo())], "zip")
    data = bytearray(path.read_bytes())
    first, second, _ = (i for i in range(len(data)) if data[i : i + 4] == b"PK\1\2")
    data[second + 42 : second + 46] = data[first + 42 : first + 46]  # the offset: b.png now begins where a.png does
    path.write_bytes(data)
    (a, _), (b, answer), c = rows(path)
    assert (a, b, c) == ("a.png", "b.png", ("c.png", photo()))
    assert answer == "corrupt", "its header bears another name"
    assert "shares its bytes" in error_of(path, "a.png").reason


def test_a_size_beyond_every_file_is_one_error(tmp_path: Path) -> None:
    """A zip can state 2**64 - 1 bytes, which no column of numbers holds."""
    with zipfile.ZipFile(tmp_path / "a", "w") as out:
        out.writestr("a.png", photo())
        out.filelist[0].file_size = 2**64 - 1
    assert rows(tmp_path / "a") == [("a.png", "corrupt")]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_zipfile_unpacks_without_bound_are_not_read(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w", method) as out:
        out.writestr("a.png", photo())
    assert rows(tmp_path / "a") == [("a.png", "unsupported")]


@pytest.mark.parametrize("packed", ["gzip", "bzip2", "xz"])
def test_a_bomb_behind_a_small_member_is_refused(packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FREE_BYTES", 10**6)
    bomb = pack(tmp_path / "bomb", [("a.png", photo()), ("zeros", bytes(30 * 2**20)), ("b.png", photo())], packed)
    assert rows(bomb) == [("", "too_large")]
    assert "unpacks to more than 100 times its size" in error_of(bomb).reason
    fine = pack(tmp_path / "fine", [("a.png", photo()), ("noise", os.urandom(3 * 2**20)), ("b.png", photo())], packed)
    assert [name for name, _ in rows(fine)] == ["a.png", "noise", "b.png"]


def test_the_number_of_members_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    for packed in FORMATS:
        assert len(rows(pack(tmp_path / "a", [(f"{i}", b"") for i in range(3)], packed))) == 3
        path = pack(tmp_path / "a", [(f"{i}", b"") for i in range(4)], packed)
        assert rows(path) == [("", "too_large")]
        assert "more than 3 members" in error_of(path).reason


def test_the_directory_of_a_zip_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "a", [(f"{i}.png", b"") for i in range(2000)], "zip")
    assert len(rows(path)) == 2000
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 100_000)
    assert rows(path) == [("", "too_large")]
    assert "has a directory of" in error_of(path).reason


def hostile_tar(*headers: tuple[bytes, bytes, bytes]) -> bytes:
    """(type, size field, content) of each member."""
    out = b""
    for kind, size, content in headers:
        header = bytearray(tarfile.TarInfo("a.png").tobuf(tarfile.USTAR_FORMAT))
        header[156:157] = kind
        header[124:136] = size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        out += bytes(header) + content + bytes(-len(content) % 512)
    return out + bytes(1024)


def octal(size: int) -> bytes:
    return b"%011o\0" % size


NEGATIVE = b"\xff" * 8 + (-1024).to_bytes(4, "big", signed=True)
BLOCK = bytes(512)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"0", octal(512), BLOCK), (b"0", NEGATIVE, b"")],  # back to itself: tarfile of 2023 goes round for ever
        [(b"0", octal(512), BLOCK), (b"x", NEGATIVE, b"")],
        [(b"0", octal(512), BLOCK), (b"L", octal(2**21), b"n" * 2**21), (b"0", octal(0), b"")],
        [(b"0", octal(512), BLOCK), (b"x", octal(2**21), b"n" * 2**21), (b"0", octal(0), b"")],
        [(b"0", octal(512), BLOCK), *[(b"x", octal(20), b"20 path=abcdefghijk\n")] * 3000],
        [(b"0", octal(512), BLOCK), (b"x", octal(18), b"18 size=-1000000\n\n"), (b"0", octal(0), b"")],
        [(b"0", octal(512), BLOCK), (b"L", octal(2**32), b"short")],
    ],
)
def test_hostile_headers_end_the_walk(headers: list[tuple[bytes, bytes, bytes]], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(hostile_tar(*headers))
    first, last = rows(tmp_path / "a")
    assert first[0] == "a.png" and last == ("", "corrupt")


def directory_entry(data: bytes) -> int:
    """Where a zip's directory has its first member."""
    return data.index(b"PK\x01\x02")


@pytest.mark.parametrize(
    ("at", "new", "kind"),
    [
        (46, b"z", "corrupt"),  # the name; zipfile shows both names, one as bytes
        (6, b"\xff", "unsupported"),  # a later version of zip
        (8, b"\x20", "unsupported"),  # patched data
        (8, b"\x40", "unsupported"),  # strong encryption
        (0, b"Q", "corrupt"),
    ],
)
def test_a_zip_of_a_rare_kind_is_not_damaged(at: int, new: bytes, kind: str, tmp_path: Path) -> None:
    data = bytearray(pack(tmp_path / "a.zip", [("a.png", photo())], "zip").read_bytes())
    at += directory_entry(data)
    data[at : at + 1] = new
    (tmp_path / "a.zip").write_bytes(data)
    name = "z.png" if new == b"z" else "a.png"
    with pytest.raises(ImageError) as caught:
        decode(f"{tmp_path}/a.zip::{name}")
    assert caught.value.kind == kind
    assert_plain(caught.value.reason)
    assert "magic" not in caught.value.reason


@pytest.mark.parametrize(
    "error",
    [
        zlib.error("Error -3 while decompressing data: invalid distance too far back"),
        tarfile.ReadError("zlib error: Error -3 while decompressing data: invalid block type"),
        zipfile.BadZipFile("Bad magic number for file header"),
        zipfile.BadZipFile("File name in directory 'a.jpg' and header b'b.jpg' differ."),
        OSError(22, "Invalid argument"),
    ],
)
def test_words_for_programmers_do_not_reach_a_user(error: Exception) -> None:
    with pytest.raises(ImageError) as caught, archive._as_corrupt("a.zip"):
        raise error
    assert caught.value.reason == "cannot be unpacked: the archive is cut short or damaged"


@pytest.mark.parametrize("packed", FORMATS)
def test_a_truncated_archive_gives_what_it_holds_and_one_error(packed: str, tmp_path: Path) -> None:
    files = [(f"{i}.png", random.Random(i).randbytes(40_000)) for i in range(5)]
    data = pack(tmp_path / "a", files, packed).read_bytes()
    (tmp_path / "a").write_bytes(data[: len(data) * 7 // 10])
    if packed == "zip":  # its directory stands at the end
        assert rows(tmp_path / "a") == [("", "corrupt")]
        return
    *good, last = rows(tmp_path / "a")
    assert good == files[: len(good)] and len(good) == (0 if packed == "bzip2" else 3)
    assert last[1] == "corrupt"
    with pytest.raises(ImageError, match="cannot be unpacked") as caught:
        decode(f"{tmp_path}/a::4.png")
    assert caught.value.kind == "corrupt"


@pytest.mark.parametrize(
    ("size", "word"),
    [
        (2048, "the blocks of zeros that close a tar are missing"),
        (2148, "the blocks of zeros that close a tar are missing"),
        (2047, "unexpected end of data"),
    ],
)
def test_a_tar_cut_at_the_edges_of_members(size: int, word: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "a", [("a", b"a"), ("b", b"b"), ("c", b"c")])
    path.write_bytes(path.read_bytes()[:size])
    assert rows(path) == [("a", b"a"), ("b", b"b"), ("", "corrupt")]
    assert word in error_of(path).reason


def test_a_damaged_header_in_the_middle_is_no_quiet_end(tmp_path: Path) -> None:
    data = bytearray(pack(tmp_path / "a", [("a", b"a"), ("b", b"b"), ("c", b"c")]).read_bytes())
    data[1024 + 5] ^= 1
    (tmp_path / "a").write_bytes(data)
    assert rows(tmp_path / "a") == [("a", b"a"), ("", "corrupt")]
    assert "the header at byte 1,024 is damaged" in error_of(tmp_path / "a").reason


def test_a_wrong_checksum_of_gzip_is_told_behind_the_members(tmp_path: Path) -> None:
    data = bytearray(pack(tmp_path / "a", [("a", b"a"), ("b", b"b")], "gzip").read_bytes())
    data[-8] ^= 1
    (tmp_path / "a").write_bytes(data)
    assert rows(tmp_path / "a") == [("a", b"a"), ("b", b"b"), ("", "corrupt")]
    assert "CRC" in error_of(tmp_path / "a").reason


def test_a_damaged_member_of_a_zip_costs_only_itself(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(3000)
    data = bytearray(pack(tmp_path / "a", [("a", b"a"), ("b", noise), ("c", b"c")], "zip").read_bytes())
    data[data.index(noise[1000:1020]) + 3] ^= 1
    (tmp_path / "a").write_bytes(data)
    assert rows(tmp_path / "a") == [("a", b"a"), ("b", "corrupt"), ("c", b"c")]


@pytest.mark.parametrize("packed", FORMATS)
def test_any_damage_is_an_error_and_never_an_exception(packed: str, tmp_path: Path) -> None:
    draw = random.Random(7)
    original = pack(tmp_path / "a", [(f"{i}.png", photo(i + 1)) for i in range(4)], packed).read_bytes()
    for _ in range(60):
        data = bytearray(original)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        (tmp_path / "a").write_bytes(data)
        for entry in list_files(tmp_path / "a"):
            try:
                if not isinstance(entry, ImageError):
                    read(entry, Limits())
            except ImageError as error:
                assert error.kind in ("corrupt", "too_large")


def test_archives_in_folders_and_in_archives_are_not_opened(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.tar", [("a.png", photo())])
    assert list(list_files(tmp_path)) == [LocalFile(str(inner))]
    outer = pack(tmp_path / "outer.tar", [("inner.tar", inner.read_bytes())])
    (member,) = list_files(outer)
    assert isinstance(member, archive.Member) and not may_be_image(member)
    assert Listing([outer]).count() is None, "it would have to be read completely"
    with pytest.raises(ImageError, match="no such member"):
        decode(f"{outer}::inner.tar::a.png")


def test_where_a_path_is_split(tmp_path: Path) -> None:
    path = str(pack(tmp_path / "a:", [("b::c.png", photo())]))
    assert split_member(f"{path}::b::c.png") == (path, "b::c.png")
    assert split_member(f"{tmp_path}/none::b") is None
    assert split_member(path) is None
    Path(f"{path}::b::c.png").write_bytes(photo(9))
    assert decode(f"{path}::b::c.png").shape == (3, 9, 3), "a file that is called so goes first"


def test_one_member_is_read_by_its_path(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("b/c.png", photo(7)), ("text", b"text")], "zip")
    np.testing.assert_array_equal(decode(path.parent / "a.zip::b/c.png"), decode(photo(7)))
    for name, kind in {"b": "missing", "d.png": "missing", "": "missing", "text": "not_image"}.items():
        with pytest.raises(ImageError) as caught:
            decode(f"{path}::{name}")
        assert (caught.value.kind, caught.value.source) == (kind, f"{path}::{name}")
    (tmp_path / "p.png").write_bytes(photo())
    with pytest.raises(ImageError, match="neither a tar nor a zip archive"):
        decode(f"{tmp_path}/p.png::a")


@pytest.fixture
def album(tmp_path: Path, photos: list[Path]) -> Path:
    files = [(f"trip/{path.name}", path.read_bytes()) for path in photos]
    files[1:1] = [("notes.txt", b"text"), ("../evil.png", photo()), ("cut.png", photos[0].read_bytes()[:5000])]
    return pack(tmp_path / "album.tgz", files, "gzip")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gmixer", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_classify_gives_a_row_a_member(album: Path, photos: list[Path]) -> None:
    finished = run("classify", album, f"{album}::trip/{photos[1].name}", "--json")
    answers = [json.loads(line) for line in finished.stdout.splitlines()]
    wanted = [json.loads(line) for line in run("classify", *photos, "--json").stdout.splitlines()]
    names = [f"trip/{photos[0].name}", "../evil.png", "cut.png", *(f"trip/{path.name}" for path in photos[1:])]
    assert [row["path"] for row in answers] == [f"{album}::{name}" for name in [*names, f"trip/{photos[1].name}"]]
    assert [row["error"]["kind"] for row in answers[1:3]] == ["refused", "corrupt"]
    good = [answers[0], *answers[3:]]
    assert [row["predictions"] for row in good] == [row["predictions"] for row in [*wanted, wanted[1]]]
    lost = f"2 of {len(answers)} could not be read"
    assert finished.stderr == f"{lost}; 1 file is no image and left out ({album}::notes.txt)\n"
    assert finished.returncode == 1


def test_embed_keeps_paths_and_vectors_together(album: Path, photos: list[Path], tmp_path: Path) -> None:
    run("embed", album, "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as stored:
        assert stored["paths"].tolist() == [f"{album}::trip/{path.name}" for path in photos]
        wanted = gmixer.load("gmixer_8_64").embed(stored["paths"].tolist()).vectors
        np.testing.assert_array_equal(stored["vectors"], wanted)
        assert stored["failed_kinds"].tolist() == ["refused", "corrupt"]


@pytest.mark.parametrize("packed", FORMATS)
def test_a_member_has_a_version_that_changes_with_it(packed: str, tmp_path: Path) -> None:
    def version() -> object:
        (member,) = list_files(tmp_path / "a")
        assert isinstance(member, archive.Member) and member.size == 4
        return member.version

    pack(tmp_path / "a", [("a.png", b"1234")], packed)
    os.utime(tmp_path / "a", ns=(0, 7))
    assert version() == (zlib.crc32(b"1234") if packed == "zip" else 7)
    pack(tmp_path / "a", [("a.png", b"4321")], packed)
    assert version() not in (zlib.crc32(b"1234"), 7)


def test_places_are_where_the_bytes_stand(tmp_path: Path) -> None:
    files = [("a.jpg", b"one"), ("deep/" + "x" * 200, bytes(range(256)) * 9), (".hidden", b"no"), ("a.jpg", b"two")]
    path = pack(tmp_path / "a.tar", files)
    data = path.read_bytes()
    found = [place for place in archive.places(str(path)) if isinstance(place, archive.Place)]
    assert [(place.name, data[place.offset :][: place.size]) for place in found] == [files[0], files[1], files[3]]
    assert [place.head for place in found] == [b"one", files[1][1][:512], b"two"]


@pytest.mark.parametrize("packed", ["gzip", "xz", "zip"])
def test_what_is_packed_has_no_places(packed: str, tmp_path: Path) -> None:
    (error,) = archive.places(str(pack(tmp_path / "a", [("a.jpg", b"one")], packed)))
    assert isinstance(error, ImageError) and error.kind == "unsupported"


def test_a_member_with_holes_has_no_place(tmp_path: Path) -> None:
    with open(tmp_path / "holes", "wb") as file:
        file.seek(2**20)
        file.write(b"end")
    made = subprocess.run(["tar", "--sparse", "-cf", "a.tar", "holes"], cwd=tmp_path)
    assert made.returncode == 0
    (error,) = archive.places(str(tmp_path / "a.tar"))
    assert isinstance(error, ImageError) and error.kind == "unsupported" and "--sparse" in error.reason
