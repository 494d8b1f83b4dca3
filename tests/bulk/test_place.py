"""place.py: where parts are written, on this machine and on an S3 over HTTP."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gmixer.bulk.place import Place, RemotePlace, open_place
from gmixer.errors import InputError
from gmixer.options import Storage
from s3 import S3

Open = Callable[[], Place]


@pytest.fixture(params=["local", "s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same place each time."""
    if request.param == "local":
        return lambda: open_place(str(tmp_path / "out"), Storage())
    s3: S3 = request.getfixturevalue("s3")
    return lambda: open_place(s3.url("out"), Storage(options=s3.options))


def test_what_is_written_is_there(opened: Open) -> None:
    place = opened()
    assert place.read("a/b") is None and place.names("") == [] and place.names("a") == []
    place.write("a/b", b"1")
    place.write("c", b"")
    place.write("a/b", b"22")
    assert place.read("a/b") == b"22" and place.read("c") == b""
    assert place.names("") == ["a", "c"] and place.names("a") == ["b"]
    assert opened().names("a") == ["b"]


def test_object_storage_states_the_md5_of_each_file(opened: Open) -> None:
    place = opened()
    place.write("a", b"1")
    place.write("b/c", b"2")
    stated = {"a": "c4ca4238a0b923820dcc509a6f75849b"} if isinstance(place, RemotePlace) else {}
    assert place.md5s() == stated


@pytest.mark.parametrize(
    ("details", "md5"),
    [
        ({"ETag": '"c4ca4238a0b923820dcc509a6f75849b"'}, "c4ca4238a0b923820dcc509a6f75849b"),
        ({"ETag": '"c4ca4238a0b923820dcc509a6f75849b-2"'}, None),  # of an upload in two pieces
        ({"etag": "0x8DB", "md5Hash": "xMpCOKC5I4INzFCab3WEmw=="}, "c4ca4238a0b923820dcc509a6f75849b"),
        ({"size": 1}, None),
    ],
)
def test_only_an_md5_is_taken_for_one(details: dict[str, object], md5: str | None) -> None:
    class Lists:
        def ls(self, path: str, **options: bool) -> list[dict[str, object]]:
            return [{"name": f"{path}/a", **details}]

    assert RemotePlace("s3://b/out", Lists(), "b/out").md5s() == ({"a": md5} if md5 else {})


def test_removing_twice_does_no_harm(opened: Open) -> None:
    place = opened()
    place.write("a/b", b"1")
    place.remove("a/b")
    place.remove("a/b")
    assert place.read("a/b") is None


def test_only_one_creates_a_file(opened: Open) -> None:
    created: list[int] = []
    ready = threading.Barrier(6)

    def create(number: int) -> None:
        place = opened()
        ready.wait()
        if place.create("a/b", str(number).encode()):
            created.append(number)

    threads = [threading.Thread(target=create, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = created
    assert opened().read("a/b") == str(first).encode()
    assert opened().names("a") == ["b"]


def refusing(code: str, *, condition: str | None = None, text: str = "it was refused") -> OSError:
    """As s3fs tells an answer of S3."""
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    said = {"Code": code, "Message": text} | ({"Condition": condition} if condition else {})
    error: OSError = translate_boto_error(ClientError({"Error": said}, "PutObject"))
    return error


@pytest.mark.parametrize(
    "error",
    [refusing("PreconditionFailed", condition="If-None-Match"), refusing("PreconditionFailed"), refusing("412")],
)
def test_every_s3_may_say_that_a_file_is_there(error: OSError) -> None:
    """s3fs looks for the condition, which only some servers name."""
    assert not RemotePlace("s3://b/out", Answers([error]), "b/out").create("a", b"1")


def test_a_request_that_another_one_disturbed_is_made_again() -> None:
    disturbed = refusing("ConditionalRequestConflict")
    assert RemotePlace("s3://b/out", Answers([disturbed, disturbed, None]), "b/out").create("a", b"1")
    with pytest.raises(OSError, match="ConditionalRequestConflict"):
        RemotePlace("s3://b/out", Answers([disturbed] * 9), "b/out").create("a", b"1")


def test_a_refused_write_is_no_file_that_is_there() -> None:
    """Whatever numbers its text holds."""
    for call in (RemotePlace.create, RemotePlace.write):
        place = RemotePlace("s3://b/out", Answers([refusing("AccessDenied", text="request 0412F")]), "b/out")
        with pytest.raises(OSError, match="0412F") as caught:
            call(place, "a", b"1")
        assert not isinstance(caught.value, FileExistsError)


class Answers:
    """A file system of fsspec that answers this to one upload after the other."""

    def __init__(self, answers: list[OSError | None]) -> None:
        self.answers = iter(answers)

    def pipe_file(self, path: str, data: bytes, mode: str = "overwrite") -> None:
        answer = next(self.answers)
        if answer is not None:
            raise answer


def test_a_new_file_is_seen_by_who_listed_before(opened: Open) -> None:
    first, second = opened(), opened()
    assert first.names("a") == []
    second.write("a/b", b"1")
    assert first.names("a") == ["b"] and first.read("a/b") == b"1"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_place(str(tmp_path), Storage())
    place.write("a", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write in (place.write, place.create):
        with pytest.raises(OSError, match="No space left"):
            write("a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and place.read("a") == b"old"


def test_errors_of_object_storage_are_errors_of_the_system(s3: S3) -> None:
    missing = open_place("s3://no-such-bucket-here/out", Storage(options=s3.options))
    assert missing.read("a") is None
    with pytest.raises(OSError, match="bucket does not exist") as no_bucket:
        missing.write("a", b"1")
    assert no_bucket.value.filename == "s3://no-such-bucket-here/out"
    options = {**s3.options, "endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}}
    absent = open_place(s3.url("out"), Storage(options=options))
    for call in (lambda: absent.read("a"), lambda: absent.write("a", b"1"), lambda: absent.names("")):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.filename == s3.url("out") and "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("s3://bucket", "is a whole bucket; wanted a prefix in it, such as s3://bucket/embeddings"),
        ("ftp://host/a", "ftp://host/a is a URL that gmixer does not read; wanted one of s3://"),
        ("file:///tmp/a", "file:///tmp/a is a URL that gmixer does not read; wanted one of s3://"),
    ],
)
def test_places_that_are_none(name: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        open_place(name, Storage())


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    for name in ("file", "file/", "file/deep/er", "link", "link/a"):
        with pytest.raises(
            InputError, match=r"(file is no folder|link is a link to a folder that does not exist); wanted"
        ):
            open_place(str(tmp_path / name), Storage())
    (tmp_path / "absent").mkdir()
    open_place(str(tmp_path / "link"), Storage()).write("a", b"1")
    assert (tmp_path / "absent" / "a").read_bytes() == b"1"
