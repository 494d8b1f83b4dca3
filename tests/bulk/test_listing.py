"""What a bulk run is made of: every source, here and on an S3, with its keys, sizes, versions, labels and errors."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import tracemalloc
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.listing_memory import synthetic_records
from gmixer.bulk import shard_images, table_images
from gmixer.bulk.listing import Listing, list_records
from gmixer.bulk.record import Record
from gmixer.errors import ImageError, InputError
from gmixer.options import Limits, Reading, Storage
from gmixer.sources import remote
from gmixer.sources.entry import read
from gmixer.sources.remote import RemoteFile
from s3 import S3

JPEG = b"\xff\xd8\xff\xe0" + bytes(60)


def listing_of(
    *sources: str | Path, list_file: str | Path | None = None, storage: Storage | S3 | None = None
) -> Listing:
    options = Storage(options=storage.options) if isinstance(storage, S3) else storage or Storage()
    return list_records(
        [str(source) for source in sources],
        list_file=None if list_file is None else str(list_file),
        reading=Reading(allow_urls=True),
        storage=options,
    )


def records_of(*sources: str | Path, **options: Any) -> list[Record]:
    return list(listing_of(*sources, **options))


def keys_of(records: Sequence[Record], root: str | Path = "") -> list[str]:
    prefix = str(root)
    assert all(record.key.startswith(prefix) for record in records)
    return [record.key[len(prefix) :].lstrip("/") for record in records]


def kind_of(record: Record) -> str | None:
    return record.content.kind if isinstance(record.content, ImageError) else None


def bytes_of(record: Record) -> bytes:
    assert not isinstance(record.content, ImageError), record.content
    return read(record.content, Limits())


def write(root: Path, *names: str, data: bytes = JPEG) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def tar_of(members: Sequence[tuple[str, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def parquet_of(columns: Mapping[str, Sequence[Any]], *, rows_in_group: int = 2) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), out, row_group_size=rows_in_group)
    return out.getvalue()


# Folders and archives on this machine


def test_a_folder_gives_its_images_in_order_with_size_and_time(tmp_path: Path) -> None:
    write(tmp_path, "b/2.jpg", "a.jpg", "b/1.jpg", ".hidden.jpg")
    write(tmp_path, "notes.txt", "set.zip", data=b"no image")
    listing = listing_of(tmp_path)
    records = list(listing)
    assert keys_of(records, tmp_path) == ["a.jpg", "b/1.jpg", "b/2.jpg"]
    for record in records:
        status = os.stat(record.key)
        assert (record.size, record.version) == (len(JPEG), str(status.st_mtime_ns)) and bytes_of(record) == JPEG
    assert listing.summary() == (
        f"1 file is no image and left out ({tmp_path}/notes.txt); 1 archive is left out, because it was not named "
        f"itself ({tmp_path}/set.zip)"
    )
    assert [record.key for record in listing] == [record.key for record in records]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["cat/1.jpg", "dog/2.jpg", "dog/far/down/3.jpg"], ["cat", "dog", "dog"]),
        (["1.jpg", "cat/2.jpg"], [None, "cat"]),
        (["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg", "val/dog/1.jpg"], ["cat", "dog", "cat", "dog"]),
        (["bullet train/1.jpg", "test tube/1.jpg", "x/1.jpg"], ["bullet train", "test tube", "x"]),
        (["1.jpg", "2.jpg"], [None, None]),
        (["cafe\u0301/1.jpg"], ["caf\u00e9"]),
    ],
)
def test_the_label_is_the_class_folder_as_training_reads_it(
    names: Sequence[str], labels: Sequence[str | None], tmp_path: Path
) -> None:
    write(tmp_path, *names)
    assert [record.label for record in records_of(tmp_path)] == labels


def test_a_folder_without_an_image_has_one_row(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path, "texts/a.txt", data=b"text")
    records = records_of(tmp_path / "empty", tmp_path / "texts", tmp_path / "gone", tmp_path / "texts" / "a.txt")
    assert [(record.key, kind_of(record)) for record in records] == [
        (str(tmp_path / "empty"), "empty"),
        (str(tmp_path / "texts"), "not_image"),
        (str(tmp_path / "gone"), None),  # "missing", when it is read
        (str(tmp_path / "texts" / "a.txt"), None),
    ]
    assert "a.txt" in str(records[1].content)


def test_what_is_listed_twice_has_two_rows(tmp_path: Path) -> None:
    write(tmp_path, "a/1.jpg", "a/2.jpg")
    records = records_of(tmp_path / "a", tmp_path / "a" / "1.jpg", tmp_path / "a")
    assert keys_of(records, tmp_path / "a") == ["1.jpg", "2.jpg", "1.jpg", "1.jpg", "2.jpg"]


def test_a_zip_gives_its_members_one_at_a_time(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name, data in (("x/1.jpg", JPEG), ("notes.txt", b"text"), ("x/2.jpg", JPEG)):
            packed.writestr(name, data)
    found = [(record.key, record.label, bytes_of(record)) for record in listing_of(tmp_path / "a.zip")]
    assert found == [(f"{tmp_path}/a.zip::x/{i}.jpg", None, JPEG) for i in (1, 2)]
    (member,) = records_of(f"{tmp_path}/a.zip::x/2.jpg")
    assert bytes_of(member) == JPEG


def test_records_can_be_pickled(tmp_path: Path) -> None:
    write(tmp_path, "1.jpg")
    write(tmp_path, "a.tar", data=tar_of([("1.jpg", JPEG)]))
    write(tmp_path, "a.parquet", data=parquet_of({"image": [JPEG]}))
    records = records_of(tmp_path / "1.jpg", tmp_path / "a.tar", tmp_path / "a.parquet", "https://a.example/1.jpg")
    copies = pickle.loads(pickle.dumps(records))
    assert copies == records and [bytes_of(copy) for copy in copies[:3]] == [JPEG] * 3


# WebDataset shards

SHARD = [
    ("a/1.jpg", JPEG),
    ("a/1.cls", b"7\n"),
    ("a/2.json", b'{"label": "cat", "caption": "' + b"x" * 2_000 + b'"}'),
    ("a/2.png", JPEG),
    ("a/3.seg.png", JPEG),
    ("a/3.jpg", JPEG),
    ("a/3.txt", b" a dog "),
    ("2024.05.01.jpg", JPEG),
    ("2024.05.01.cls", b"1"),
    ("2024.05.02.jpg", JPEG),
    ("2024.05.02.cls", b"2"),
    ("b.jpg", JPEG),
    ("c.jpg", b"no image, but called so"),
    ("c.json", b'{"label": ["a", "b"]}'),
    ("d.jpg", JPEG),
    ("d.json", b"[" * 100_000),
    ("readme.md", b"text"),
    ("e.jpg", JPEG),
    ("e.cls", b"-1"),
]
LABELS = {
    "a/1.jpg": "7",
    "a/2.png": "cat",
    "a/3.seg.png": "a dog",
    "a/3.jpg": "a dog",
    "2024.05.01.jpg": "1",
    "2024.05.02.jpg": "2",
    "b.jpg": None,
    "c.jpg": None,
    "d.jpg": None,
    "e.jpg": None,
}


def test_a_shard_gives_each_image_with_the_label_beside_it(tmp_path: Path, s3: S3) -> None:
    write(tmp_path, "t.tar", data=tar_of(SHARD))
    for place, storage in ((f"{tmp_path}/t.tar", None), (s3.put("x/t.tar", tar_of(SHARD)), s3)):
        listing = listing_of(place, storage=storage)
        records = list(listing)
        assert {record.key.partition("::")[2]: record.label for record in records} == LABELS
        assert [bytes_of(record) for record in records] == [data for name, data in SHARD if name in LABELS]
        assert [record.size for record in records] == [len(data) for name, data in SHARD if name in LABELS]
        assert len({record.version for record in records}) == 1 and records[0].version
        assert listing.summary() == f"1 file is no image and left out ({place}::readme.md)"


def test_a_pattern_names_shards_also_those_that_are_missing(tmp_path: Path, s3: S3) -> None:
    for i in (0, 1, 3):
        data = tar_of([(f"{i}.jpg", JPEG), (f"{i}.cls", b"%d" % i)])
        write(tmp_path, f"t-{i:03}.tar", data=data)
        s3.put(f"t-{i:03}.tar", data)
    for root, storage in ((str(tmp_path), None), (s3.url().rstrip("/"), s3)):
        records = records_of(f"{root}/t-{{000..002}}.tar", f"{root}/t-*3.tar", storage=storage)
        assert keys_of(records, root) == ["t-000.tar::0.jpg", "t-001.tar::1.jpg", "t-002.tar", "t-003.tar::3.jpg"]
        assert [record.label for record in records] == ["0", "1", None, "3"]
        for nothing in ("x-*.tar", "x-{00..01}-*.tar"):
            with pytest.raises(InputError, match="matches no"):
                records_of(f"{root}/{nothing}", storage=storage)


def test_a_sample_of_too_many_members_is_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shard_images, "_MOST_MEMBERS", 4)
    members = [(f"img.{i:02}.{end}", data) for i in range(9) for end, data in (("jpg", JPEG), ("cls", b"%d" % i))]
    write(tmp_path, "t.tar", data=tar_of(members))
    assert [record.label for record in records_of(tmp_path / "t.tar")] == [str(i) for i in range(9)]


def test_a_damaged_shard_gives_what_is_before_the_damage(tmp_path: Path, s3: S3) -> None:
    data = tar_of([("1.jpg", JPEG), ("1.cls", b"1"), ("2.jpg", JPEG * 100), ("3.jpg", JPEG)])
    cut = data[: 4 * 512 + 2_000]
    write(tmp_path, "t.tar", data=cut)
    for place, storage in ((f"{tmp_path}/t.tar", None), (s3.put("t.tar", cut), s3)):
        first, *_, last = records_of(place, storage=storage)
        assert first.key == f"{place}::1.jpg" and bytes_of(first) == JPEG and first.label == "1"
        assert kind_of(last) == "corrupt" and last.key == f"{place}::2.jpg"


def test_errors_and_names_that_occur_twice_cost_no_label(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name, data in (
            ("1.jpg", JPEG),
            ("link.jpg", None),
            ("1.jpg", JPEG + b"2"),
            ("1.cls", b"7"),
            ("2.jpg", JPEG),
        ):
            info = tarfile.TarInfo(name)
            if data is None:
                info.type, info.linkname = tarfile.SYMTYPE, "1.jpg"
            else:
                info.size = len(data)
            tar.addfile(info, None if data is None else io.BytesIO(data))
    records = records_of(tmp_path / "t.tar")
    assert [(record.label, kind_of(record)) for record in records] == [
        ("7", None),
        (None, "refused"),
        ("7", None),
        (None, None),
    ]
    assert bytes_of(records[2]) == JPEG + b"2"


def test_a_shard_whose_server_fails_is_not_taken_for_a_short_one(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    url = s3.put("t.tar", tar_of([(f"{i}.jpg", JPEG * 100) for i in range(4)]))
    monkeypatch.setattr(remote, "BLOCK_BYTES", 2**14)
    real = RemoteFile.fetch

    def fetch(file: RemoteFile, at: int, byte_count: int, source: str) -> bytes:
        if at > 2**14:
            raise ImageError("timeout", "did not answer", source)
        return real(file, at, byte_count, source)

    monkeypatch.setattr(RemoteFile, "fetch", fetch)
    with pytest.raises(InputError, match="not complete"):
        records_of(url, storage=s3)


def test_links_and_names_that_lead_out_of_a_tar_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name, kind in (("1.jpg", tarfile.SYMTYPE), ("../2.jpg", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    assert [kind_of(record) for record in records_of(tmp_path / "t.tar")] == ["refused", "refused"]


def test_a_tar_without_an_image_has_one_row(tmp_path: Path) -> None:
    write(tmp_path, "t.tar", data=tar_of([("1.cls", b"1"), ("1.txt", b"x")]))
    write(tmp_path, "empty.tar", data=bytes(10_240))
    assert [kind_of(record) for record in records_of(tmp_path / "t.tar", tmp_path / "empty.tar")] == [
        "not_image",
        "empty",
    ]


def test_a_packed_archive_on_object_storage_is_one_error(s3: S3) -> None:
    (record,) = records_of(s3.put("a.zip", b"PK\x03\x04" + bytes(100)), storage=s3)
    assert kind_of(record) == "unsupported" and "plain tar" in str(record.content)


# Parquet


def test_each_row_of_a_parquet_file_is_a_record(tmp_path: Path, s3: S3) -> None:
    write(tmp_path, "near.jpg", data=JPEG + b"near")
    s3.put("near.jpg", JPEG + b"near")
    images = [{"bytes": JPEG, "path": "a.jpg"}, {"bytes": None, "path": "near.jpg"}, {"bytes": b"", "path": None}, None]
    data = parquet_of({"image": images, "label": ["cat", " ", None, "nan"]})
    write(tmp_path, "t.parquet", data=data)
    for place, storage in ((f"{tmp_path}/t.parquet", None), (s3.put("t.parquet", data), s3)):
        records = records_of(place, storage=storage)
        assert [record.key for record in records] == [f"{place}[{i}]" for i in range(4)]
        assert [record.label for record in records] == ["cat", None, None, None]
        assert [bytes_of(record) for record in records[:3]] == [JPEG, JPEG + b"near", b""]
        assert len({record.version for record in records}) == 1 and records[0].version
        with pytest.raises(ImageError) as caught:
            bytes_of(records[3])
        assert caught.value.kind == "empty" and caught.value.source == records[3].key


def test_names_of_classes_come_from_hugging_faces_metadata(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"photo": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"photo": [{"bytes": JPEG, "path": None}] * 3, "kind": [1, 0, -1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "t.parquet"))
    records = records_of(tmp_path / "t.parquet")
    assert [record.label for record in records] == ["dog", "cat", None] and bytes_of(records[1]) == JPEG


def test_a_column_of_bytes_or_of_paths_is_read_too(tmp_path: Path) -> None:
    write(tmp_path, "a/1.jpg")
    write(tmp_path, "paths.parquet", data=parquet_of({"file_name": ["a/1.jpg", "a/2.jpg"]}))
    write(tmp_path, "bytes.parquet", data=parquet_of({"img": [JPEG]}))
    first, second = records_of(tmp_path / "paths.parquet")
    assert bytes_of(first) == JPEG and bytes_of(records_of(tmp_path / "bytes.parquet")[0]) == JPEG
    with pytest.raises(ImageError) as caught:
        bytes_of(second)
    assert caught.value.kind == "missing"


def test_a_column_that_fits_is_taken_before_one_that_does_not(tmp_path: Path) -> None:
    """Where `image` is a number, `path` is the image."""
    write(tmp_path, "a.jpg")
    write(tmp_path, "t.parquet", data=parquet_of({"image": [7], "path": ["a.jpg"]}))
    assert bytes_of(records_of(tmp_path / "t.parquet")[0]) == JPEG
    write(tmp_path, "list.parquet", data=parquet_of({"image": [{"bytes": JPEG}], "url": ["a.jpg"]}))
    assert bytes_of(records_of(list_file=f"{tmp_path}/list.parquet")[0]) == JPEG
    write(tmp_path, "list.parquet", data=parquet_of({"path": [7]}))
    with pytest.raises(InputError, match="has int64 in the column path; wanted text"):
        records_of(list_file=f"{tmp_path}/list.parquet")


def test_listing_parquet_reads_no_image_and_few_row_groups_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "t.parquet", data=parquet_of({"image": [b"%d" % i for i in range(10)], "label": range(10)}))
    groups = table_images._Groups()
    monkeypatch.setattr(table_images, "_groups", groups)
    records = records_of(tmp_path / "t.parquet")
    assert not groups._held
    assert [bytes_of(record) for record in records] == [b"%d" % i for i in range(10)]
    assert len(groups._held) == table_images._MAX_GROUPS


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PAR1" + bytes(100), "complete Parquet file"),
        (parquet_of({"image": [JPEG] * 9})[:-20], "complete Parquet file"),
        (parquet_of({"caption": ["a"]}), "has the columns caption"),
        (parquet_of({"image": [1, 2]}), "has int64 in the column image"),
        (parquet_of({"image": [[JPEG]]}), "has list<.*> in the column image"),
        (parquet_of({"image": [{"bytes": "a", "path": None}]}), "has struct<.*> in the column image"),
        (parquet_of({"image": [{"bytes": None, "path": 5}]}), "has struct<.*> in the column image"),
    ],
    ids=["zeros", "cut", "no images", "numbers", "lists", "text as bytes", "a number as path"],
)
def test_a_parquet_file_without_images_is_refused(data: bytes, message: str, tmp_path: Path, s3: S3) -> None:
    write(tmp_path, "t.parquet", data=data)
    for place, storage in ((f"{tmp_path}/t.parquet", None), (s3.put("t.parquet", data), s3)):
        with pytest.raises(InputError, match=message) as caught:
            records_of(place, storage=storage)
        assert place in str(caught.value)


def test_a_parquet_file_that_is_written_again_is_read_again(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        write(tmp_path, "t.parquet", data=parquet_of({"image": [data]}))
        (record,) = records_of(tmp_path / "t.parquet")
        assert bytes_of(record) == data


def test_a_parquet_file_on_object_storage_names_no_file_of_this_machine(s3: S3, tmp_path: Path) -> None:
    write(tmp_path, "secret.jpg")
    paths = [s3.put("far.jpg", JPEG), f"{tmp_path}/secret.jpg", "file:///etc/passwd", "gone.jpg"]
    first, *others = records_of(s3.put("t.parquet", parquet_of({"path": paths})), storage=s3)
    assert bytes_of(first) == JPEG
    for record in others:
        with pytest.raises(ImageError) as caught:
            bytes_of(record)
        assert caught.value.kind == "missing"


def test_damage_in_one_row_group_costs_its_rows(tmp_path: Path) -> None:
    data = bytearray(parquet_of({"image": [os.urandom(1_000) for _ in range(4)]}))
    data[500:700] = bytes(200)
    write(tmp_path, "t.parquet", data=bytes(data))
    pages = pq.ParquetFile(tmp_path / "t.parquet").metadata
    assert pages.num_row_groups == 2
    good = bad = 0
    for record in records_of(tmp_path / "t.parquet"):
        try:
            bytes_of(record)
            good += 1
        except ImageError:
            bad += 1
    assert good >= 2 and good + bad == 4


# Lists


def test_the_rows_of_a_list_are_paths_and_urls(tmp_path: Path, s3: S3) -> None:
    write(tmp_path, "sub/1.jpg", "2.jpg")
    write(tmp_path, "t.zip", data=b"")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as packed:
        packed.writestr("3.jpg", JPEG)
    far = s3.put("4.jpg", JPEG)
    paths = ["sub/1.jpg", f"{tmp_path}/2.jpg", "t.zip::3.jpg", far, "sub\\1.jpg", "https://a.example/5.jpg", "6.jpg"]
    labels = ["cat", "3", "", "dog", " x ", "y", "z"]
    (tmp_path / "t.txt").write_text("\n".join([*paths[:3], "", *paths[3:]]) + "\r\n")
    (tmp_path / "t.csv").write_text("url,label\n" + "".join(f"{p},{w}\n" for p, w in zip(paths, labels, strict=True)))
    write(tmp_path, "t.parquet", data=parquet_of({"path": paths, "label": labels}))
    root = f"{tmp_path}/"
    keys = [
        f"{root}sub/1.jpg",
        f"{root}2.jpg",
        f"{root}t.zip::3.jpg",
        far,
        f"{root}sub/1.jpg",
        paths[5],
        f"{root}6.jpg",
    ]
    for name in ("t.txt", "t.csv", "t.parquet"):
        records = records_of(list_file=tmp_path / name, storage=s3)
        assert [record.key for record in records] == keys
        assert all(bytes_of(record) == JPEG for record in records[:5])
        wanted = [None] * 7 if name == "t.txt" else ["cat", "3", None, "dog", "x", "y", "z"]
        assert [record.label for record in records] == wanted


def test_listing_a_list_makes_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: S3) -> None:
    (tmp_path / "t.txt").write_text("s3://b/1.jpg\nhttps://a.example/2.jpg\n")
    monkeypatch.setattr(remote, "call", None)
    records = records_of(list_file=tmp_path / "t.txt", storage=s3)
    assert [(record.size, record.version) for record in records] == [(None, None)] * 2


def test_a_list_on_object_storage_names_objects_beside_it(s3: S3) -> None:
    s3.put("p/a b.jpg", JPEG)
    for name, data in (
        ("t.txt", b"a b.jpg\n/etc/passwd\n"),
        ("t.csv", b"path\na b.jpg\n/etc/passwd\n"),
        ("t.parquet", parquet_of({"path": ["a b.jpg", "/etc/passwd"]})),
    ):
        first, second = records_of(list_file=s3.put(f"p/{name}", data), storage=s3)
        assert first.key == s3.url("p/a b.jpg") and bytes_of(first) == JPEG
        assert kind_of(second) == "refused"


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "zip::s3://b/a.zip", "ftp://a/b.jpg", "memory://a", "simplecache::s3://b/a"]
)
def test_no_list_and_no_source_opens_another_scheme(url: str, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(f"{url}\n")
    for records in (records_of(list_file=tmp_path / "t.txt"), records_of(url)):
        assert [(record.key, kind_of(record)) for record in records] == [(url, "refused")]


def test_a_url_is_refused_where_none_is_allowed(tmp_path: Path) -> None:
    (record,) = list_records(["https://a.example/1.jpg"], reading=Reading(), storage=Storage())
    assert kind_of(record) == "refused"


def test_a_row_that_cannot_be_read_costs_itself(tmp_path: Path) -> None:
    write(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "t.csv").write_text('path;label\n1.jpg;a\n1.jpg;a;b\n;c\n"2.jpg";"x;y"\n\n')
    records = records_of(list_file=tmp_path / "t.csv")
    assert [(record.key.removeprefix(f"{tmp_path}/"), record.label, kind_of(record)) for record in records] == [
        ("1.jpg", "a", None),
        ("t.csv: line 3", None, "unreadable"),
        ("t.csv: line 4", "c", "empty"),
        ("2.jpg", "x;y", None),
    ]


def test_excels_tables_are_read(tmp_path: Path) -> None:
    write(tmp_path, "é.jpg")
    (tmp_path / "t.csv").write_bytes("sep=;\r\npath;label\r\né.jpg;x\r\n".encode("utf-16"))
    (record,) = records_of(list_file=tmp_path / "t.csv")
    assert record.label == "x" and bytes_of(record) == JPEG


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", b"caption\na\n", "has the columns caption"),
        ("t.csv", b"path\n1.jpg\n" + b"\xe9.jpg\n", "is not UTF-8"),
        ("t.txt", b"PK\x03\x04\0\0\0", "is no text"),
        ("t.json", b"{}", "ends in .json"),
        ("t.parquet", b"path", "complete Parquet"),
        ("gone.txt", None, "no such file"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(name: str, data: bytes | None, message: str, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        records_of(list_file=tmp_path / name)


NAMES = st.text(st.characters(exclude_characters='\n\r\0",;\t|"', exclude_categories=["Cs", "Cc", "Z"]), min_size=1)


@given(st.lists(NAMES.filter(lambda name: not name.lower().startswith("sep=")), min_size=1, max_size=5))
def test_a_list_keeps_every_name(names: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text, table = Path(folder) / "t.txt", Path(folder) / "t.csv"
        text.write_text("".join(f"x{name}\n" for name in names), encoding="utf-8")
        table.write_text("path,label\n" + "".join(f"x{name},{i}\n" for i, name in enumerate(names)), encoding="utf-8")
        for file in (text, table):
            assert [record.key for record in records_of(list_file=file)] == [f"{folder}/x{name}" for name in names]


# Object storage


def test_a_prefix_is_a_folder(s3: S3) -> None:
    for key in ("p/train/cat/1.jpg", "p/val/dog/2.jpg", "p/3.jpg", "p/test tube/4.jpg"):
        s3.put(key, JPEG)
    for key in ("p/no-ending", "p//6.jpg", "px/5.jpg"):
        s3.put(key, JPEG)
    for key in ("p/notes.txt", "p/a.tar", "p/"):
        s3.put(key, b"")
    for typed in ("p", "p/"):
        listing = listing_of(s3.url(typed), storage=s3)
        records = list(listing)
        assert {record.key.removeprefix(s3.url("p/")): record.label for record in records} == {
            "/6.jpg": None,
            "3.jpg": None,
            "no-ending": None,
            "test tube/4.jpg": "test tube",
            "train/cat/1.jpg": "cat",
            "val/dog/2.jpg": "dog",
        }
        assert all(record.size == len(JPEG) and record.version and bytes_of(record) == JPEG for record in records)
        assert listing.summary() == (
            f"1 file is no image and left out ({s3.url('p/notes.txt')}); 1 archive is left out, because it was not "
            f"named itself ({s3.url('p/a.tar')})"
        )
    assert len(records_of(s3.url().rstrip("/"), storage=s3)) == 7


def test_an_object_under_any_name_is_one_row(s3: S3) -> None:
    odd = ["100%.jpg", "a b.jpg", "c::d.jpg", "q?x=1#y.jpg", "[1].jpg", "{0..1}.jpg", "ü.jpg"]
    urls = [s3.put(f"p/{key}", JPEG) for key in odd]
    records = records_of(*urls, storage=s3)
    assert [record.key for record in records] == urls and all(bytes_of(record) == JPEG for record in records)


@pytest.mark.parametrize(
    "url", ["s3://no-such-bucket", "s3://no-such-bucket/p/", "s3://{bucket}/gone.jpg", "s3://{bucket}/gone/"]
)
def test_what_is_not_there_has_one_row(url: str, s3: S3) -> None:
    url = url.replace("{bucket}", s3.bucket)
    (record,) = records_of(url, storage=s3)
    assert (record.key, kind_of(record)) == (url, "missing")


def test_a_prefix_without_an_image_has_one_row(s3: S3) -> None:
    s3.put("p/notes.txt", b"x")
    (record,) = records_of(s3.url("p/"), storage=s3)
    assert kind_of(record) == "not_image" and "notes.txt" in str(record.content)


def test_a_wrong_endpoint_stops_the_run(s3: S3) -> None:
    nowhere = Storage(
        options={**s3.options, "endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}}
    )
    with pytest.raises(InputError, match="s3://b"):
        records_of("s3://b/photos", storage=nowhere)


def test_a_data_set_of_the_hub_is_named_by_its_files() -> None:
    with pytest.raises(InputError, match=r"hf://datasets/org/name/data/\*\.parquet"):
        records_of("hf:org/name")


def test_memory_does_not_grow_with_the_number_of_objects() -> None:
    peaks = []
    for objects in (5_000, 10_000, 40_000):
        tracemalloc.start()
        with synthetic_records(objects) as records:
            assert sum(1 for record in records) == objects
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1] < 20 * 2**20  # the first has what is made once
