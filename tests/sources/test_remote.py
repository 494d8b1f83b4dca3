"""Object storage: moto's S3 for what is right, and servers on loopback that answer wrongly, late or as others do."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import s3fs

from gmixer.errors import ImageError, InputError, MissingExtraError
from gmixer.options import Limits, Storage
from gmixer.sources import remote
from gmixer.sources.entry import read, read_head
from gmixer.sources.local import LocalFile
from gmixer.sources.remote import (
    RemoteFile,
    RemoteReader,
    described,
    file_at,
    filesystem_of,
    is_remote,
    list_remote,
    matching,
    open_to_seek,
)
from s3 import S3

ODD = ["100%.jpg", "a b.jpg", "a+b&c.jpg", "c::d.jpg", "q?x=1#y.jpg", "tab\t.jpg", "ü/é.jpg", "[1].jpg", "*.jpg"]
LIMITS = Limits()

Answer = Callable[[BaseHTTPRequestHandler], None]


def storage_of(s3: S3) -> Storage:
    return Storage(options=s3.options)


@contextmanager
def server_that(answers: Answer) -> Iterator[Storage]:
    """A server that does the same for every request, as an endpoint of S3."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers(self)

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        once = {"retries": {"max_attempts": 0}}
        yield Storage(options={"endpoint_url": endpoint, "key": "test", "secret": "s3cret", "config_kwargs": once})
    finally:
        server.shutdown()


def sends(status: int, body: bytes = b"", length: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return answer


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, s3: S3) -> None:
    """The library does not try again, and s3 keeps the developer's keys away."""
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)


def listed(url: str, storage: Storage) -> list[str]:
    return [file.key for file in list_remote(url, storage)]


def test_objects_come_in_the_order_of_their_keys_with_size_and_etag(s3: S3) -> None:
    for key in reversed(["a/b/1.jpg", "a/2.jpg", "a-b/3.jpg", "ab.jpg"]):
        s3.put(f"photos/{key}", key.encode())
    found = list(list_remote(s3.url("photos/"), storage_of(s3)))
    assert [file.key for file in found] == [
        s3.url(f"photos/{k}") for k in ("a-b/3.jpg", "a/2.jpg", "a/b/1.jpg", "ab.jpg")
    ]
    etags = {o["Key"]: o["ETag"].strip('"') for o in s3.client.list_objects_v2(Bucket=s3.bucket)["Contents"]}
    for file in found:
        name = file.key.removeprefix(s3.url("photos/"))
        assert (file.size, file.version, file.named) == (len(name), etags[f"photos/{name}"], False)
        assert read(file, LIMITS) == name.encode()


def test_any_key_is_listed_and_read(s3: S3) -> None:
    for key in ODD:
        s3.put(f"p/{key}", key.encode())
    found = list(list_remote(s3.url("p/"), storage_of(s3)))
    assert sorted(file.key for file in found) == sorted(s3.url(f"p/{key}") for key in ODD)
    assert all(read(file, LIMITS) == file.key.removeprefix(s3.url("p/")).encode() for file in found)
    assert all(read(file_at(s3.url(f"p/{key}"), storage_of(s3)), LIMITS) == key.encode() for key in ODD)


def test_hidden_objects_and_those_that_stand_for_folders_are_left_out(s3: S3) -> None:
    for key in ("p/", "p/a/", "p/.hidden.jpg", "p/.git/x.jpg", "p/a/.x/y.jpg", "p/a/z.jpg"):
        s3.put(key, b"")
    assert listed(s3.url("p/"), storage_of(s3)) == [s3.url("p/a/z.jpg")]


def test_a_listing_of_many_pages_asks_for_one_page_at_a_time(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAGE", 3)
    keys = [f"p/{i:02}.jpg" for i in range(10)]
    for key in keys:
        s3.put(key, b"x")
    pages = []
    real = remote._PAGES["s3"]
    monkeypatch.setitem(remote._PAGES, "s3", lambda *asked: pages.append(asked[-1]) or real(*asked))
    found = list_remote(s3.url("p/"), storage_of(s3))
    next(found)
    assert len(pages) == 1
    assert [file.key for file in found] == [s3.url(key) for key in keys[1:]]
    assert len(pages) == 4 and pages[0] is None


def test_a_bucket_that_does_not_exist_holds_nothing(s3: S3) -> None:
    assert listed("s3://no-such-bucket/p/", storage_of(s3)) == []


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("p/*.jpg", ["1.jpg", "2.jpg", "a[1].jpg"]),
        ("p/?.jpg", ["1.jpg", "2.jpg"]),
        ("p/[2-9].jpg", ["2.jpg"]),
        ("p/*/3.jpg", ["deep/3.jpg"]),
        ("p/.*.jpg", [".h.jpg"]),
        ("p*/1.jpg", ["1.jpg"]),
        ("p/*/*/3.jpg", []),
    ],
)
def test_a_pattern_names_objects(pattern: str, names: Sequence[str], s3: S3) -> None:
    for name in ("2.jpg", "1.jpg", "a[1].jpg", "deep/3.jpg", ".h.jpg", "4.png"):
        s3.put(f"p/{name}", b"x")
    found = list(matching(s3.url(pattern), storage_of(s3)))
    assert [file.key for file in found] == [s3.url(f"p/{name}") for name in names]
    assert all(file.named for file in found)


def test_the_size_and_version_of_one_object(s3: S3) -> None:
    s3.put("a.jpg", b"12345")
    file = described(file_at(s3.url("a.jpg"), storage_of(s3)))
    assert file.size == 5 and file.version == s3.client.head_object(Bucket=s3.bucket, Key="a.jpg")["ETag"].strip('"')
    s3.put("folder/a.jpg", b"")
    for missing in ("b.jpg", "folder"):
        with pytest.raises(ImageError) as caught:
            described(file_at(s3.url(missing), storage_of(s3)))
        assert caught.value.kind == "missing"


@pytest.mark.parametrize("size", [0, 1, 512, 513, 3_000_000])
def test_every_size_is_read_whole_with_and_without_a_listing(
    size: int, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PIECE_BYTES", 2**20)
    data = bytes(range(256)) * (size // 256 + 1)
    url = s3.put("a.jpg", data[:size])
    file = file_at(url, storage_of(s3))
    assert read(file, LIMITS) == data[:size] and read(described(file), LIMITS) == data[:size]
    assert read_head(described(file)) == data[: min(size, 512)]


def test_the_usual_object_takes_one_request(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    file = described(file_at(s3.put("a.jpg", b"x" * 200_000), storage_of(s3)))
    calls = []
    real = remote.call
    monkeypatch.setattr(remote, "call", lambda *a, **b: calls.append(a[1]) or real(*a, **b))
    read(file, LIMITS)
    read(replace(file, size=None), LIMITS)
    assert calls == ["cat_file", "cat_file"]


def test_a_large_object_is_refused_without_a_request_or_within_the_limit(s3: S3) -> None:
    url = s3.put("a.jpg", b"x" * 5_000)
    small = Limits(max_bytes=4_999)
    for file in (RemoteFile(url, "nowhere/at-all", storage_of(s3), 5_000), file_at(url, storage_of(s3))):
        with pytest.raises(ImageError) as caught:
            read(file, small)
        assert caught.value.kind == "too_large"


@pytest.mark.parametrize("now", [b"", b"1234", b"123456"], ids=["emptied", "shorter", "longer"])
def test_an_object_that_changes_after_the_listing_is_an_error(now: bytes, s3: S3) -> None:
    s3.put("a.jpg", b"12345")
    (file,) = list_remote(s3.url(), storage_of(s3))
    s3.put("a.jpg", now)
    with pytest.raises(ImageError) as caught:
        read(file, LIMITS)
    assert caught.value.kind == "unreadable"


def test_a_removed_object_is_missing(s3: S3) -> None:
    s3.put("a.jpg", b"12345")
    (file,) = list_remote(s3.url(), storage_of(s3))
    s3.client.delete_object(Bucket=s3.bucket, Key="a.jpg")
    for gone in (file, replace(file, size=None)):
        with pytest.raises(ImageError) as caught:
            read(gone, LIMITS)
        assert caught.value.kind == "missing"


def test_a_part_of_an_object_is_read_by_its_place(s3: S3) -> None:
    file = described(file_at(s3.put("t.tar", b"abcdefgh"), storage_of(s3)))
    part = replace(file, key=f"{file.key}::b", offset=2, size=3)
    assert read(part, LIMITS) == b"cde" and read(replace(part, offset=7, size=0), LIMITS) == b""
    with pytest.raises(ImageError):
        read(replace(part, offset=6, size=3), LIMITS)


def test_many_threads_share_one_file_system(s3: S3) -> None:
    for i in range(40):
        s3.put(f"{i:02}.jpg", b"%d" % i)
    files = list(list_remote(s3.url(), storage_of(s3)))
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda file: read(file, LIMITS), files)) == [b"%d" % i for i in range(40)]
        systems = set(threads.map(lambda file: id(filesystem_of(file.key, file.storage)[0]), files))
    assert len(systems) == 1


def test_an_entry_can_be_pickled_and_shows_no_key(s3: S3) -> None:
    file = file_at(s3.put("a.jpg", b"123"), storage_of(s3))
    assert read(pickle.loads(pickle.dumps(file)), LIMITS) == b"123"
    assert "s3cret" not in repr(file) and "s3cret" not in str(file.storage)


def test_a_reader_seeks_in_blocks(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BLOCK_BYTES", 100)
    data = bytes(range(256)) * 4
    reader = RemoteReader(file_at(s3.put("a", data), storage_of(s3)))
    for at, count in ((0, 10), (50, 100), (1_000, 24), (1_020, 100), (3, 500), (2_000, 1)):
        reader.seek(at)
        got = b""
        while some := reader.read(count):
            got += some
        assert got == data[at:] and reader.tell() == max(at, len(data))
    assert reader.seek(-4, 2) == len(data) - 4 and reader.read(9) == data[-4:]


def test_a_file_here_and_an_object_there_open_alike(s3: S3, tmp_path: Any) -> None:
    (tmp_path / "a").write_bytes(b"123")
    for file in (LocalFile(str(tmp_path / "a")), file_at(s3.put("a", b"123"), storage_of(s3))):
        with open_to_seek(file) as opened:
            opened.seek(1)
            assert opened.read(5) == b"23"
    for gone in (LocalFile(str(tmp_path / "b")), file_at(s3.url("b"), storage_of(s3))):
        with pytest.raises(ImageError) as caught, open_to_seek(gone) as opened:
            opened.read(1)
        assert caught.value.kind == "missing"


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (sends(404), "missing"),
        (sends(403), "unreadable"),
        (sends(500), "unreadable"),
        (sends(200, b"123", length=1_000), "unreadable"),
        (lambda handler: time.sleep(5), "timeout"),
        (lambda handler: handler.wfile.write(b"no HTTP"), "unreadable"),
    ],
    ids=["404", "403", "500", "cut short", "late", "no HTTP"],
)
@pytest.mark.usefixtures("impatient")
def test_a_server_that_fails_costs_one_error(answers: Answer, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "timeout":
        monkeypatch.setattr(remote, "TIMEOUT_S", 1.0)
    with server_that(answers) as storage:
        for size in (1_000, None):
            with pytest.raises(ImageError) as caught:
                read(RemoteFile("s3://b/a.jpg", "b/a.jpg", storage, size), LIMITS)
            assert caught.value.kind == kind and caught.value.source == "s3://b/a.jpg"
            assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.usefixtures("impatient")
def test_a_listing_that_fails_is_not_taken_for_an_empty_one(status: int) -> None:
    with (
        server_that(sends(status)) as storage,
        pytest.raises(InputError, match="s3://b/p/ cannot be listed") as caught,
    ):
        listed("s3://b/p/", storage)
    assert ("--storage-options" in str(caught.value)) == (status == 403)


@pytest.mark.usefixtures("impatient")
def test_a_listing_that_breaks_off_is_an_error_after_the_pages_before() -> None:
    page = b"""<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>2
    </NextContinuationToken><Contents><Key>p/new%0Aline.jpg</Key><Size>7</Size><ETag>"e"</ETag></Contents>
    <EncodingType>url</EncodingType></ListBucketResult>"""
    answers = iter([sends(200, page)])
    with server_that(lambda handler: next(answers, sends(500))(handler)) as storage:
        found = list_remote("s3://b/p/", storage)
        assert next(found) == RemoteFile("s3://b/p/new\nline.jpg", "b/p/new\nline.jpg", storage, 7, "e")
        with pytest.raises(InputError, match="cannot be listed"):
            next(found)


def test_a_wrong_key_of_a_private_bucket_is_no_empty_prefix() -> None:
    with server_that(sends(401)) as storage, pytest.raises(InputError, match="cannot be listed"):
        listed("s3://b/", replace(storage, options={**storage.options, "anon": True}))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "memory://a", "zip::s3://b/a", "ftp://a/b", "s3:/b", "S3://b/a", "https://a/b", "a/b"]
)
def test_no_other_scheme_is_opened(url: str) -> None:
    assert not is_remote(url)
    with pytest.raises(InputError, match="s3://"):
        filesystem_of(url, Storage())


@pytest.mark.parametrize("url", ["s3://", "s3:///", "hf://", "gs:///a.jpg"])
def test_a_url_needs_a_bucket(url: str) -> None:
    with pytest.raises(InputError, match="no bucket"):
        filesystem_of(url, Storage())


def test_options_that_the_library_does_not_take_are_refused() -> None:
    with pytest.raises(InputError, match="adlfs refuses the storage options"):
        filesystem_of("az://container/a", Storage(options={"account_key": "s3cret"}))  # of which account?


def test_no_value_of_an_option_is_in_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """gcsfs asks a server about a token, and names the URL with the token when the server does not answer."""

    def refuse(**options: object) -> None:
        raise RuntimeError(f"no answer at /tokeninfo?access_token={options['token']} for {options['more']}")

    monkeypatch.setattr("s3fs.S3FileSystem", refuse)
    with pytest.raises(InputError, match=r"no answer at /tokeninfo\?access_token=\*\*\* for") as caught:
        filesystem_of("s3://bucket/a", Storage(options={"token": "s3cret", "more": {"keys": ["s3cret2"]}}))
    assert "s3cret" not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "adlfs", None)
    with pytest.raises(MissingExtraError, match=r"gmixer\[cloud\]"):
        filesystem_of("az://container/a", Storage(options={"account_name": "nobody"}))


def check_listed_and_read(folder: str, storage: Storage) -> None:
    """Each object of the stand-ins below holds its own name."""
    found = list(list_remote(folder, storage))
    names = [file.key.removeprefix(folder) for file in found]
    assert names == ["a.jpg", "b/1.jpg", "c.jpg", "ü é.jpg"]
    assert [read(file, LIMITS).decode() for file in found] == names
    assert found[0].version == "e"


class Google(BaseHTTPRequestHandler):
    """The JSON API of Google Cloud Storage, as far as listing and reading need it."""

    objects: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        path, query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
        if path.endswith("/b/bucket/o"):
            names = sorted(name for name in self.objects if name.startswith(query.get("prefix", [""])[0]))
            begin = int(query.get("pageToken", ["0"])[0])
            end = begin + int(query["maxResults"][0])
            items = [{"name": name, "size": str(len(self.objects[name])), "etag": "e"} for name in names[begin:end]]
            answer: dict[str, Any] = {"items": items} | ({"nextPageToken": str(end)} if end < len(names) else {})
            self._send(json.dumps(answer).encode(), "application/json")
            return
        first, last = (self.headers["Range"] or "bytes=0-").removeprefix("bytes=").split("-")
        data = self.objects[path.rpartition("/o/")[2]][int(first) : int(last or 10**9) + 1]
        self._send(data, "application/octet-stream")

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


async def no(*arguments: object) -> bool:
    return False


def test_google_is_listed_page_by_page_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAGE", 2)
    monkeypatch.setattr("gcsfs.extended_gcsfs.ExtendedGcsFileSystem._is_zonal_bucket", no)  # asks Google over gRPC
    Google.objects = {f"p/{name}": name.encode() for name in ("b/1.jpg", "a.jpg", "ü é.jpg", "c.jpg", ".hidden")}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Google)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    storage = Storage(options={"endpoint_url": f"http://127.0.0.1:{server.server_address[1]}", "token": "anon"})
    check_listed_and_read("gs://bucket/p/", storage)
    server.shutdown()


class Azure(BaseHTTPRequestHandler):
    """The XML API of Azure's blobs, as far as listing and reading need it."""

    objects: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        path, query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
        if query.get("comp") == ["list"]:
            names = sorted(name for name in self.objects if name.startswith(query["prefix"][0]))
            begin = int(query.get("marker", ["0"])[0])
            end = begin + int(query["maxresults"][0])
            blobs = "".join(
                f"<Blob><Name>{name}</Name><Properties><Content-Length>{len(self.objects[name])}</Content-Length>"
                "<Etag>e</Etag><BlobType>BlockBlob</BlobType></Properties></Blob>"
                for name in names[begin:end]
            )
            marker = f"<NextMarker>{end if end < len(names) else ''}</NextMarker>"
            answer = f"<?xml version='1.0'?><EnumerationResults><Blobs>{blobs}</Blobs>{marker}</EnumerationResults>"
            self._send(200, answer.encode(), {"Content-Type": "application/xml"})
            return
        whole = self.objects[path.removeprefix("/account/container/")]
        first, last = (self.headers["x-ms-range"] or "bytes=0-").removeprefix("bytes=").split("-")
        data = whole[int(first) : int(last or 10**9) + 1]
        span = f"bytes {first}-{int(first) + len(data) - 1}/{len(whole)}"
        self._send(206, data, {"Content-Range": span, "ETag": "e", "x-ms-blob-type": "BlockBlob"})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


def test_azure_is_listed_page_by_page_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAGE", 2)
    Azure.objects = {f"p/{name}": name.encode() for name in ("b/1.jpg", "a.jpg", "ü é.jpg", "c.jpg", ".hidden")}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Azure)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}/account"
    account = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;BlobEndpoint={endpoint};"
    storage = Storage(options={"connection_string": account})
    check_listed_and_read("az://container/p/", storage)
    server.shutdown()


class HfFileSystem:
    """As the library's: folders, and a cache that keeps each of them."""

    def __init__(self, files: dict[str, int]) -> None:
        self.files, self.dircache = files, dict[str, Any]()

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        self.dircache[path] = True
        found = {}
        for file, size in self.files.items():
            if file.startswith(f"{path}/"):
                name, slash, _ = file[len(path) + 1 :].partition("/")
                kind = "directory" if slash else "file"
                found[name] = {"name": f"{path}/{name}", "type": kind, "size": size, "blob_id": "b"}
        return list(reversed(found.values()))


def test_a_storage_of_folders_is_walked_in_the_order_of_the_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["d/a/b/2.jpg", "d/a-b/1.jpg", "d/ab.jpg", "d/a/1.jpg", "d/.h/1.jpg", "e/1.jpg"]
    system = HfFileSystem({f"datasets/org/name/{name}": i for i, name in enumerate(names)})
    monkeypatch.setattr(remote, "filesystem_of", lambda url, storage: (system, url.partition("://")[2]))
    root = "hf://datasets/org/name/"
    assert listed(f"{root}d/", Storage()) == [f"{root}d/{n}" for n in ("a-b/1.jpg", "a/1.jpg", "a/b/2.jpg", "ab.jpg")]
    assert not system.dircache
    assert [file.key for file in matching(f"{root}d/a*/1.jpg", Storage())] == [
        f"{root}d/a-b/1.jpg",
        f"{root}d/a/1.jpg",
    ]
