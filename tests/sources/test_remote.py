"""remote.py: objects on an S3 over HTTP."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from gmixer.errors import ImageError, InputError
from gmixer.options import Limits, Storage
from gmixer.sources import remote
from gmixer.sources.entry import read
from gmixer.sources.remote import RemoteFile, RemoteStream, is_remote, list_remote, matching, remote_file
from s3 import S3

ODD_NAMES = ["a b.jpg", "100%.jpg", "%41.jpg", "what?.jpg", "#1.jpg", "猫.jpg", "a::b.jpg", "x+y=.jpg", "[1].jpg",
             "*.jpg", "{01..02}.jpg", "a//b.jpg", "é.jpg", "'quoted\".jpg", "a\\b.jpg", "~.jpg"]  # fmt: skip


def listed(s3: S3, prefix: str) -> list[RemoteFile]:
    found = list(list_remote(s3.url(prefix), Storage(options=s3.options)))
    assert all(isinstance(file, RemoteFile) for file in found)
    return found  # type: ignore[return-value]


def only_error(s3: S3, url: str, **options: Any) -> ImageError:
    (error,) = list_remote(url, Storage(options={**s3.options, **options}))
    assert isinstance(error, ImageError)
    return error


def test_all_objects_below_a_prefix_in_order(s3: S3) -> None:
    for name in ("b.jpg", "a/z.jpg", "a.jpg", "a/b/c.jpg"):
        s3.put(f"in/{name}", name.encode())
    s3.put("in2/not.jpg", b"x")
    s3.put("in/folder/", b"")
    s3.put("in/.hidden.jpg", b"x")
    s3.put("in/.hidden/a.jpg", b"x")
    for prefix in ("in", "in/"):
        files = listed(s3, prefix)
        assert [file.key for file in files] == [s3.url(f"in/{n}") for n in ("a.jpg", "a/b/c.jpg", "a/z.jpg", "b.jpg")]
        assert [read(file, Limits()) for file in files] == [b"a.jpg", b"a/b/c.jpg", b"a/z.jpg", b"b.jpg"]
    assert files[0].size == 5 and files[0].version and not files[0].named


def test_keys_with_odd_characters_are_read(s3: S3) -> None:
    for name in ODD_NAMES:
        s3.put(f"in/{name}", name.encode())
    files = listed(s3, "in")
    assert sorted(file.key for file in files) == sorted(s3.url(f"in/{name}") for name in ODD_NAMES)
    for file in files:
        assert read(file, Limits()) == file.key.removeprefix(s3.url("in/")).encode()
        one = remote_file(file.key, file.storage)
        assert (one.key, one.size, one.version) == (file.key, file.size, file.version)


def test_pages_follow_each_other(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAGE", 3)
    for i in range(10):
        s3.put(f"in/{i}.jpg", b"x")
    assert [file.key for file in listed(s3, "in")] == [s3.url(f"in/{i}.jpg") for i in range(10)]


def test_a_listing_that_ends_early_is_no_listing(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an update would take the rest for removed."""
    monkeypatch.setattr(remote, "_PAGE", 3)
    for i in range(10):
        s3.put(f"in/{i}.jpg", b"x")
    listing = list_remote(s3.url("in"), Storage(options=s3.options))
    assert isinstance(next(listing), RemoteFile)
    filesystem, _ = remote.filesystem_of(s3.url("in"), Storage(options=s3.options))

    def fail(*args: object, **options: object) -> None:
        raise OSError(5, "the connection ended")

    monkeypatch.setattr(filesystem, "call_s3", fail)
    with pytest.raises(InputError, match=r"(?s)connection ended.*not complete.*again"):
        list(listing)


def test_one_object(s3: S3) -> None:
    s3.put("a.jpg", b"abc")
    s3.put("a.jpg/below.jpg", b"x")
    (file,) = listed(s3, "a.jpg")
    assert file.named and read(file, Limits()) == b"abc"


def test_an_object_without_bytes(s3: S3) -> None:
    s3.put("a.jpg", b"")
    (file,) = listed(s3, "a.jpg")
    assert read(file, Limits()) == b""


def test_nothing_there(s3: S3) -> None:
    s3.put("placeholder/", b"")
    assert only_error(s3, s3.url("absent")).kind == "missing"
    assert only_error(s3, s3.url("absent/")).kind == "empty"
    assert only_error(s3, s3.url("placeholder/")).kind == "empty"
    assert only_error(s3, "s3://no-such-bucket-here/a").kind == "missing"
    assert "check the bucket" in only_error(s3, "s3://no-such-bucket-here/").reason


def test_a_server_that_is_not_there_ends_the_listing(s3: S3) -> None:
    options = {**s3.options, "endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}}
    with pytest.raises(InputError, match="not complete") as caught:
        list(list_remote(s3.url("in"), Storage(options={**options, "secret": "hush"})))
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (PermissionError(13, "Access Denied"), "unreadable"),
        (FileNotFoundError(), "missing"),
        (TimeoutError(), "timeout"),
        (type("ReadTimeoutError", (Exception,), {})("slow"), "timeout"),
        (ValueError("internal"), "unreadable"),
    ],
)
def test_every_error_of_the_package_is_one_of_ours(
    raised: Exception, kind: str, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put("a.jpg", b"abc")
    (file,) = listed(s3, "a.jpg")
    filesystem, _ = remote.filesystem_of(file.url, file.storage)

    def fail(*args: object, **options: object) -> None:
        raise raised

    monkeypatch.setattr(filesystem, "cat_file", fail)
    with pytest.raises(ImageError) as caught:
        read(file, Limits())
    assert caught.value.kind == kind and caught.value.source == file.key and "internal" not in str(caught.value)


def test_an_object_over_the_limit_is_not_fetched(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put("a.jpg", b"x" * 11)
    (file,) = listed(s3, "a.jpg")
    monkeypatch.setattr(RemoteFile, "_bytes", lambda *args: pytest.fail("it was fetched"))
    with pytest.raises(ImageError, match="holds 11 bytes; the limit is 10") as caught:
        read(file, Limits(max_bytes=10))
    assert caught.value.kind == "too_large"


@pytest.mark.parametrize("after", [b"longer than it was", b"abc"])
def test_an_object_that_changed_its_size_since_is_not_taken_for_whole(after: bytes, s3: S3) -> None:
    s3.put("a.jpg", b"abcdef")
    (file,) = listed(s3, "a.jpg")
    s3.put("a.jpg", after)
    with pytest.raises(ImageError, match="another size"):
        read(file, Limits())
    s3.client.delete_object(Bucket=s3.bucket, Key="a.jpg")
    with pytest.raises(ImageError) as caught:
        read(file, Limits())
    assert caught.value.kind == "missing"


def test_a_prefix_is_no_object(s3: S3) -> None:
    s3.put("in/a.jpg", b"x")
    for url in (s3.url("in"), s3.url("in/")):
        with pytest.raises(ImageError, match="prefix"):
            remote_file(url, Storage(options=s3.options))


def test_a_second_run_in_one_process_sees_new_objects(s3: S3) -> None:
    storage = Storage(options=s3.options)
    for i in range(2):
        s3.put(f"in/{i}.jpg", b"x")
        assert matching(s3.url("in/*.jpg"), storage) == [s3.url(f"in/{n}.jpg") for n in range(i + 1)]
        assert len(listed(s3, "in")) == i + 1


def test_a_file_goes_to_another_process_with_its_options_and_shows_none(s3: S3) -> None:
    s3.put("a.jpg", b"abc")
    (file,) = listed(s3, "a.jpg")
    assert read(pickle.loads(pickle.dumps(file)), Limits()) == b"abc"
    assert "s3cret" not in repr(file)


def test_a_stream_reads_and_seeks(s3: S3) -> None:
    s3.put("a.bin", bytes(range(256)))
    (file,) = listed(s3, "a.bin")
    with RemoteStream(file) as stream:
        assert stream.read(3) == b"\0\1\2"
        assert stream.seek(250) == 250 and stream.read(10) == bytes(range(250, 256))


@pytest.mark.parametrize("url", ["zip::s3://b/a", "file:///etc/passwd", "ftp://b/a", "s3:/b", "memory://a"])
def test_other_schemes_and_chains_are_refused(url: str) -> None:
    assert not is_remote(url)
    with pytest.raises(InputError, match="no place that gmixer reads"):
        remote.filesystem_of(url, Storage())


def test_options_that_do_not_fit_name_the_package() -> None:
    with pytest.raises(InputError, match=r"(?s)az://.*wanted --storage-options for adlfs"):
        remote.filesystem_of("az://b/a", Storage())


def test_a_storage_without_a_listing_in_order_is_walked_folder_by_folder() -> None:
    class Filesystem:
        tree: ClassVar = {"b": ["b/y", "b/x.jpg", "b/a"], "b/y": ["b/y/1.jpg"], "b/a": ["b/a/2.jpg", "b/a/1.jpg"]}

        def ls(self, path: str, detail: bool) -> Iterator[dict[str, object]]:
            kinds = ("directory" if name in self.tree else "file" for name in self.tree[path])
            return ({"name": n, "size": 1, "type": k} for n, k in zip(self.tree[path], kinds, strict=True))

    found = [f.path for f in remote._objects(Filesystem(), "b/")]
    assert found == ["b/x.jpg", "b/a/1.jpg", "b/a/2.jpg", "b/y/1.jpg"]
