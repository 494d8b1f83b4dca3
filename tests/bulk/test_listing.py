"""listing.py: sources → records, on this machine and on an S3 over HTTP."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gmixer.bulk.listing import list_records
from gmixer.bulk.record import Record
from gmixer.errors import ImageError, InputError
from gmixer.options import Limits, Reading, Storage
from gmixer.sources.entry import read
from s3 import S3

JPEG = b"\xff\xd8\xff\xe0 not quite"


def listed(
    *sources: str | Path, list_file: str | None = None, reading: Reading | None = None, storage: Storage | None = None
) -> list[Record]:
    listing = list_records(
        [str(source) for source in sources],
        list_file=list_file,
        reading=reading or Reading(allow_urls=True),
        storage=storage or Storage(),
    )
    return list(listing)


def on(s3: S3) -> Storage:
    return Storage(options=s3.options)


def labels(records: list[Record]) -> dict[str, str | None]:
    """By the last part of the key."""
    return {record.key.rpartition("/")[2]: record.label for record in records}


def kinds(records: list[Record]) -> list[str | None]:
    return [record.content.kind if isinstance(record.content, ImageError) else None for record in records]


def content(record: Record) -> bytes:
    assert not isinstance(record.content, ImageError)
    return read(record.content, Limits())


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(JPEG + name.encode())
    return folder


def tar_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


SAMPLES = {
    "a/1.jpg": JPEG + b"1", "a/1.cls": b"7\n", "a/2.jpg": JPEG + b"2", "a/2.json": b'{"label": "dog"}',
    "a/3.jpg": JPEG + b"3", "a/3.txt": b"a cat", "4.jpg": JPEG + b"4", "notes.md": b"# x", ".hidden.jpg": JPEG,
}  # fmt: skip
SAMPLE_LABELS = {"1.jpg": "7", "2.jpg": "dog", "3.jpg": "a cat"}


def test_a_folder_gives_what_a_row_needs(tmp_path: Path) -> None:
    folder = files(tmp_path / "in", "b.jpg", "a.jpg")
    (folder / "notes.md").write_text("# notes")
    listing = list_records([str(folder)], reading=Reading(), storage=Storage())
    records = list(listing)
    assert [record.key for record in records] == [f"{folder}/a.jpg", f"{folder}/b.jpg"]
    assert [record.size for record in records] == [len(JPEG) + 5] * 2
    assert records[0].version == str((folder / "a.jpg").stat().st_mtime_ns)
    assert content(records[0]) == JPEG + b"a.jpg"
    assert listing.summary() == f"1 file is no image and left out ({folder}/notes.md)"


def test_the_class_is_the_first_folder_below_that_of_a_split(tmp_path: Path) -> None:
    names = ("cat/1.jpg", "cat/deep/2.jpg", "train/dog/3.jpg", "val/dog/4.jpg", "5.jpg", "train/6.jpg", "a/b::c.jpg")
    records = listed(files(tmp_path, *names))
    expected = {"1.jpg": "cat", "2.jpg": "cat", "3.jpg": "dog", "4.jpg": "dog", "5.jpg": None, "6.jpg": None}
    assert labels(records) == expected | {"b::c.jpg": "a"}
    (one,) = listed(tmp_path / "cat" / "1.jpg")
    assert one.label is None


def test_the_same_classes_on_object_storage(s3: S3) -> None:
    for name in ("cat/1.jpg", "train/dog/3.jpg", "5.jpg"):
        s3.put(f"in/{name}", JPEG)
    assert labels(listed(s3.url("in/"), storage=on(s3))) == {"1.jpg": "cat", "3.jpg": "dog", "5.jpg": None}


def test_other_objects_are_left_out_and_counted(s3: S3) -> None:
    for name in ("a.jpg", "b.JPEG", "notes.md", "c", "d.zip"):
        s3.put(f"in/{name}", JPEG)
    listing = list_records([s3.url("in")], reading=Reading(), storage=on(s3))
    assert [record.key for record in listing] == [s3.url("in/a.jpg"), s3.url("in/b.JPEG")]
    assert listing.summary() == "3 objects are no images and are left out"
    (named,) = listed(s3.url("in/c"), storage=on(s3))
    assert content(named) == JPEG


def test_sources_that_occur_twice_have_two_records(tmp_path: Path) -> None:
    files(tmp_path, "a.jpg")
    assert [record.key for record in listed(tmp_path, tmp_path)] == [f"{tmp_path}/a.jpg"] * 2


@pytest.mark.parametrize("where", ["local", "s3"])
def test_shards_of_a_pattern_with_labels(where: str, s3: S3, tmp_path: Path) -> None:
    for i in range(2):
        s3.put(f"t-00{i}.tar", tar_of(SAMPLES))
        (tmp_path / f"t-00{i}.tar").write_bytes(tar_of(SAMPLES))
    root = f"{tmp_path}/" if where == "local" else s3.url()
    for pattern in ("t-{000..001}.tar", "t-*.tar", "t-00[01].tar"):
        records = listed(root + pattern, storage=on(s3))
        images = [record for record in records if record.label]
        assert labels(images) == SAMPLE_LABELS
        assert [r.key for r in records[:4]] == [
            f"{root}t-000.tar::{n}" for n in ("a/1.jpg", "a/2.jpg", "a/3.jpg", "4.jpg")
        ]
        assert len(records) == 8 and records[3].label is None
        assert [content(r) for r in reversed(records[:4])] == [JPEG + n for n in (b"4", b"3", b"2", b"1")]
        assert all(r.version and r.size == len(JPEG) + 1 for r in records)


def test_a_shard_on_object_storage_is_not_fetched_whole(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the bytes of a member, when the member is read."""
    big = tar_of({f"{i}.jpg": JPEG + bytes(50_000) for i in range(4)})
    s3.put("t.tar", big)
    records = listed(s3.url("t.tar"), storage=on(s3))
    from gmixer.sources.remote import filesystem_of

    filesystem, _ = filesystem_of(s3.url(), on(s3))
    whole, spans = filesystem.cat_file, []

    def cat_file(path: str, start: int, end: int) -> bytes:
        spans.append(end - start)
        return whole(path, start=start, end=end)

    monkeypatch.setattr(filesystem, "cat_file", cat_file)
    assert content(records[2]) == JPEG + bytes(50_000)
    assert spans == [len(JPEG) + 50_000]


@pytest.mark.parametrize("where", ["local", "s3"])
def test_a_damaged_shard_keeps_what_comes_before(where: str, s3: S3, tmp_path: Path) -> None:
    whole = tar_of(SAMPLES)
    for name, data in {
        "cut": whole[:2_700],
        "header": whole[:1024] + b"x" * 512 + whole[1536:],
        "empty": b"",
        "text": b"no tar at all" * 100,
        "gzip": b"\x1f\x8b\x08\0" + bytes(600),
    }.items():
        s3.put(f"t-{name}.tar", data)
        (tmp_path / f"t-{name}.tar").write_bytes(data)
    root = f"{tmp_path}/" if where == "local" else s3.url()
    found = {}
    for name in ("cut", "header", "empty", "text", "gzip"):
        records = listed(f"{root}t-{name}*.tar", storage=on(s3))
        found[name] = kinds(records)
        assert name in records[-1].key
    assert found["cut"][0] is None and found["cut"][-1] == "corrupt"
    assert found["header"] == [None, "corrupt"]
    assert found["gzip"] == ["unsupported"]
    assert len(found["empty"]) == len(found["text"]) == 1 and None not in (*found["empty"], *found["text"])


@pytest.mark.parametrize("where", ["local", "s3"])
def test_links_and_names_that_lead_out_are_refused(where: str, s3: S3, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        for name in ("../out.jpg", "/abs.jpg", "good.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(JPEG)
            tar.addfile(info, io.BytesIO(JPEG))
    s3.put("t.tar", out.getvalue())
    (tmp_path / "t.tar").write_bytes(out.getvalue())
    source = f"{tmp_path}/*.tar" if where == "local" else s3.url("t.tar")
    assert kinds(listed(source, storage=on(s3))) == ["refused", "refused", "refused", None]


def test_a_shard_whose_server_fails_ends_the_listing(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put("t.tar", tar_of(SAMPLES))
    from gmixer.sources.remote import RemoteStream

    def fail(*args: object) -> int:
        raise ImageError("timeout", "the storage did not answer in time", "t.tar")

    monkeypatch.setattr(RemoteStream, "readinto", fail)
    with pytest.raises(InputError, match=r"(?s)in time.*not complete"):
        listed(s3.url("t.tar"), storage=on(s3))


def test_an_archive_that_is_named_is_read_as_before(tmp_path: Path) -> None:
    (tmp_path / "t.tar").write_bytes(tar_of(SAMPLES))
    records = []
    for record in list_records([str(tmp_path / "t.tar")], reading=Reading(), storage=Storage()):
        records.append((record.key.partition("::")[2], content(record)[-1:], record.label))
    assert records == [(f"{n}.jpg", n[-1:].encode(), None) for n in ("a/1", "a/2", "a/3", "4")]
    assert kinds(listed(tmp_path)) == ["not_image"]  # an archive in a folder is not opened


def test_a_missing_shard_of_a_series_has_a_row(s3: S3, tmp_path: Path) -> None:
    s3.put("t-0.tar", tar_of(SAMPLES))
    (tmp_path / "t-0.tar").write_bytes(tar_of(SAMPLES))
    for root in (f"{tmp_path}/", s3.url()):
        records = listed(root + "t-{0..1}.tar", storage=on(s3))
        assert kinds(records) == [None] * 4 + ["missing"] and records[-1].key == f"{root}t-1.tar"


def test_a_pattern_that_matches_nothing_is_refused(s3: S3, tmp_path: Path) -> None:
    for source in (f"{tmp_path}/*.tar", s3.url("*.tar")):
        with pytest.raises(InputError, match="matches no"):
            listed(source, storage=on(s3))


@pytest.mark.parametrize(
    "name", ["[1].jpg", "what?.jpg", "*.jpg", "{1..2}.jpg", "a b%.jpg", "#.jpg", "::.jpg", "größe.jpg"]
)
def test_a_name_that_exists_is_no_pattern(name: str, s3: S3, tmp_path: Path) -> None:
    files(tmp_path, name)
    s3.put(name, JPEG)
    for source in (f"{tmp_path}/{name}", s3.url(name)):
        (record,) = listed(source, storage=on(s3))
        assert record.key == source and content(record).startswith(JPEG)


def test_the_hub_name_of_a_data_set_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match=r"hf://datasets/user/set/data/\*\.parquet"):
        listed("hf:user/set")


def test_an_url_and_a_scheme_that_is_not_read(tmp_path: Path) -> None:
    assert kinds(listed("ftp://host/a.jpg")) == ["refused"]
    assert kinds(listed("file:///etc/passwd")) == ["refused"]
    assert [content_kind(record) for record in listed("zip::s3://b/a.jpg")] == ["missing"]
    (url,) = listed("https://example.org/a.jpg")
    assert (url.key, url.size, url.label) == ("https://example.org/a.jpg", None, None)


LISTED = ["a.jpg", "deep/b.jpg", "absent.jpg", "deep", "file:///etc/passwd", "zip::s3://b/c.jpg", "ftp://h/d.jpg"]
LISTED_KINDS = [None, None, "missing", "unreadable", "refused", "missing", "refused"]


def content_kind(record: Record) -> str | None:
    if isinstance(record.content, ImageError):
        return record.content.kind
    try:
        read(record.content, Limits())
    except ImageError as error:
        return error.kind
    return None


def write_txt(path: Path, rows: list[str]) -> None:
    path.write_text("\ufeff" + "\r\n".join(rows) + "\n\n", encoding="utf-8")


def write_csv(path: Path, rows: list[str]) -> None:
    path.write_text("id,label,path\n" + "".join(f'{i},cat {i},"{row}"\n' for i, row in enumerate(rows)))


def write_parquet(path: Path, rows: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"url": rows, "label": [f"cat {i}" for i in range(len(rows))]}), path)


@pytest.mark.parametrize(("ending", "write"), [("txt", write_txt), ("csv", write_csv), ("parquet", write_parquet)])
def test_a_list(ending: str, write: Callable[[Path, list[str]], None], tmp_path: Path) -> None:
    folder = files(tmp_path / "in", "a.jpg", "deep/b.jpg")
    rows = [*LISTED, str(folder / "a.jpg"), "a.jpg"]
    write(folder / f"l.{ending}", rows)
    records = listed(list_file=str(folder / f"l.{ending}"))
    assert [content_kind(record) for record in records] == [*LISTED_KINDS, None, None]
    assert records[0].key == records[-1].key == str(folder / "a.jpg")
    assert records[4].key == "file:///etc/passwd"
    assert [record.label for record in records] == [None if ending == "txt" else f"cat {i}" for i in range(len(rows))]


def test_a_list_of_objects_on_object_storage(s3: S3) -> None:
    for i in range(7):
        s3.put(f"in/{i}.jpg", JPEG + str(i).encode())
    rows = [*(f"{i}.jpg" for i in range(7)), s3.url("in/0.jpg"), s3.url("absent.jpg"), s3.url("in"), s3.url("in/")]
    s3.put("in/l.txt", "\n".join(rows).encode())
    records = listed(list_file=s3.url("in/l.txt"), storage=on(s3))
    assert [record.key for record in records[:8]] == [s3.url(f"in/{i}.jpg") for i in (*range(7), 0)]
    assert kinds(records) == [None] * 8 + ["missing", "unreadable", "unreadable"]
    assert content(records[3]) == JPEG + b"3" and records[3].version and records[3].size == len(JPEG) + 1
    with pytest.raises(InputError, match="no such object"):
        listed(list_file=s3.url("in/absent.txt"), storage=on(s3))


def test_urls_of_a_list_wait_for_permission(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("https://example.org/a.jpg\n")
    (record,) = listed(list_file=str(tmp_path / "l.txt"), reading=Reading(allow_urls=False))
    assert isinstance(record.content, ImageError) and record.content.kind == "refused"
    assert "allow_urls=True" in record.content.reason


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("l.json", "[]", "ends in .json; wanted a list that ends in"),
        ("l", "a", "ends in no suffix"),
        ("l.csv", "a,b\n1,2\n", "has the columns a, b; wanted one with the name path or url"),
        ("l.parquet", "no parquet", "cannot be read"),
        ("l.txt", "\udcff", "not UTF-8"),
    ],
)
def test_a_list_that_is_none(name: str, text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=what):
        listed(list_file=str(tmp_path / name))
    with pytest.raises(InputError, match="no such file"):
        listed(list_file=str(tmp_path / "absent.txt"))


def test_every_entry_goes_to_another_process(s3: S3, tmp_path: Path) -> None:
    files(tmp_path, "a.jpg")
    for i in range(2):
        (tmp_path / f"t{i}.tar").write_bytes(tar_of(SAMPLES))
    s3.put("in/a.jpg", JPEG)
    s3.put("in/t.tar", tar_of(SAMPLES))
    records = listed(tmp_path / "a.jpg", f"{tmp_path}/t*.tar", s3.url("in"), "absent.jpg", storage=on(s3))
    assert len(records) == 1 + 8 + 5 + 1
    for record in records:
        copy = pickle.loads(pickle.dumps(record))
        assert copy.key == record.key and content_kind(copy) == content_kind(record)
        assert "s3cret" not in repr(record)


def test_labels_are_text(s3: S3) -> None:
    members = {f"{i}.jpg": JPEG for i in range(4)}
    for i, value in enumerate(({"label": 3}, {"label": None}, {"label": [1]}, 5)):
        members[f"{i}.json"] = json.dumps(value).encode()
    s3.put("t.tar", tar_of(dict(sorted(members.items()))))
    assert [r.label for r in listed(s3.url("t.tar"), storage=on(s3))] == ["3", None, None, "5"]
