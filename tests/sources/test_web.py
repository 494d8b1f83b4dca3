"""web.py: images by URL. A server on loopback plays the internet: internet.py."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import gmixer
from gmixer.cli import app
from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.options import Limits, Reading
from gmixer.sources import web
from gmixer.sources.entry import read
from internet import PRIVATE, PUBLIC, PUBLIC_V6, Answer, Internet, dial, drips, floods, redirects, sends, serve


def failure(url: str, limits: Limits | None = None) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read(web.WebFile(url), limits or Limits())
    assert caught.value.source == url
    assert "\n" not in caught.value.reason
    return caught.value


def test_an_image_comes_as_the_server_has_it(internet: Internet) -> None:
    body = bytes(range(256)) * 1000
    internet.pages["/a b/ü.jpg"] = internet.pages["/a%20b/%C3%BC.jpg"] = sends(body)
    assert read(web.WebFile("http://images.example/a b/ü.jpg?size=1&x=%20#top"), Limits()) == body
    (asked,) = internet.asked
    assert asked.path == "/a%20b/%C3%BC.jpg?size=1&x=%20"
    assert dict(asked.headers) == {
        "Host": "images.example",
        "User-Agent": f"gmixer/{gmixer.__version__}",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    assert internet.dialled == [(PUBLIC, 80)]


@pytest.mark.parametrize(
    ("url", "host", "header", "port"),
    [
        ("http://IMAGES.example:8080/a", "images.example", "images.example:8080", 8080),
        ("http://images.example.:80/a", "images.example", "images.example", 80),
        ("http://bücher.example/a", "xn--bcher-kva.example", "xn--bcher-kva.example", 80),
        (f"http://{PUBLIC}/a", PUBLIC, PUBLIC, 80),
        (f"http://[{PUBLIC_V6}]:81/a", PUBLIC_V6, f"[{PUBLIC_V6}]:81", 81),
    ],
)
def test_hosts_and_ports(url: str, host: str, header: str, port: int, internet: Internet) -> None:
    internet.hosts[host] = [[PUBLIC]]
    internet.pages["/a"] = sends(b"a photo")
    assert read(web.WebFile(url), Limits()) == b"a photo"
    assert internet.resolved == [host]
    assert internet.asked[0].headers["Host"] == header
    assert internet.dialled == [(PUBLIC, port)]


@pytest.mark.parametrize("address", ["1.1.1.1", PUBLIC, PUBLIC_V6, "::ffff:1.1.1.1", "64:ff9b::101:101", "192.0.1.1"])
def test_public_addresses(address: str) -> None:
    assert web.is_public(address)


NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.254 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 172.31.0.1
    192.0.0.1 192.0.0.8 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.9.9 198.51.100.1 203.0.113.1
    224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
    64:ff9b::a00:1 64:ff9b:1::1 100::1 2001::1 2001:0:0:0:0:0:80ff:fffe 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1
    2002:a00:1::1 2002:101:101::1 3fff::1 4000::1 5f00::1 fc00::1 fd12::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
    """


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_addresses_that_are_not_public(address: str) -> None:
    assert not web.is_public(address)


HOSTILE = """
    http://127.0.0.1/ http://127.1/ http://2130706433/ http://0x7f000001/ http://0x7f.1/ http://017700000001/
    http://0177.0.0.1/ http://127.0.0.1./ http://0/ http://0.0.0.0/ http://127.0.0.0x1/ http://１２７.０.０.１/
    http://127。0。0。1/ http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/ http://localhost/ http://localhost./ http://LOCALHOST:8080/ http://[::1]/
    http://[::]/ http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[0:0:0:0:0:ffff:10.0.0.1]/
    http://[64:ff9b::10.0.0.1]/ http://[2002:a00:1::]/ http://[2001:0:53aa:64c:0:0:80ff:fffe]/ http://[fe80::1%25lo]/
    http://169.254.169.254/latest/meta-data/ http://10.0.0.1:80/ http://192.168.1.1/ http://100.64.0.1/
    http://134744072/ http://8.8.2056/ http://1.1.1.1.1/ http://1.2.3.256/
    http://user:password@1.1.1.1/ http://user@1.1.1.1/ http://@1.1.1.1/ http://1.1.1.1\\@127.0.0.1/
    http://127.0.0.1\\.example/ http://127.0.0.1%2f.example/ http://127%2e0%2e0%2e1/ http://[::1/ http://[::1]x/
    http:///a.jpg http:/a.jpg http:a.jpg http: https: http://:80/ http://a..example/ http://1.1.1.1:99999/
    http://1.1.1.1:x/ ftp://1.1.1.1/ file:///etc/passwd gopher://1.1.1.1/ unix://1.1.1.1/
    """
HOSTILE_WITH_SPACES = ["http://127.0.0.1\t/", "http://exa mple.com/", "http://a\r\nHost:b/", "http://\udcff/"]


@pytest.mark.parametrize("url", HOSTILE.split() + HOSTILE_WITH_SPACES)
def test_hostile_urls_are_refused_before_anybody_is_called(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own resolver answers here: it knows all those ways to write an address, and asks nobody for them."""
    monkeypatch.setattr(web, "_dial", lambda *arguments: pytest.fail(f"dialled {arguments}"))
    error = failure(url)
    assert error.kind == "refused", error.reason
    assert error.reason.endswith("save the image and pass its path")


@pytest.mark.parametrize("addresses", [[PRIVATE], [PUBLIC, PRIVATE], [PUBLIC, "::1"], [PUBLIC_V6, PUBLIC, "127.0.0.1"]])
def test_one_address_that_is_not_public_is_enough(addresses: list[str], internet: Internet) -> None:
    internet.hosts["mixed.example"] = [addresses]
    assert failure("http://mixed.example/a").kind == "refused"
    assert internet.dialled == []


def test_a_name_is_resolved_once_and_the_checked_address_is_dialled(internet: Internet) -> None:
    """DNS rebinding: the second answer would be loopback."""
    internet.hosts["rebinding.example"] = [[PUBLIC], ["127.0.0.1"]]
    internet.pages["/a"] = sends(b"a photo")
    assert read(web.WebFile("http://rebinding.example/a"), Limits()) == b"a photo"
    assert internet.resolved == ["rebinding.example"]
    assert internet.dialled == [(PUBLIC, 80)]


def test_dialling_resolves_nothing(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_resolver(*arguments: object, **options: object) -> None:
        pytest.fail("resolved")

    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, no_resolver)
    dial("127.0.0.1", internet.port, 1.0).close()


def test_the_next_address_is_tried_where_one_refuses(internet: Internet) -> None:
    internet.hosts["two.example"] = [[PUBLIC_V6, PUBLIC]]
    internet.refusing = {PUBLIC_V6}
    internet.pages["/a"] = sends(b"a photo")
    assert read(web.WebFile("http://two.example/a"), Limits()) == b"a photo"
    assert [address for address, _ in internet.dialled] == [PUBLIC_V6, PUBLIC]


def test_redirects_are_followed(internet: Internet) -> None:
    internet.hosts["other.example"] = [[PUBLIC_V6]]
    internet.pages["/a"] = redirects("/b?x=1", 301)
    internet.pages["/b"] = redirects("//other.example/c", 303)
    internet.pages["/c"] = redirects("http://other.example:81/ü".encode().decode("latin-1"), 308)
    internet.pages["/%C3%BC"] = sends(b"a photo")
    assert read(web.WebFile("http://images.example/a"), Limits()) == b"a photo"
    assert internet.dialled == [(PUBLIC, 80), (PUBLIC, 80), (PUBLIC_V6, 80), (PUBLIC_V6, 81)]


@pytest.mark.parametrize(
    "to",
    [
        "http://home.example/",
        "http://127.0.0.1/",
        "//[::1]/",
        "http://2130706433/",
        "file:///etc/passwd",
        "ftp://1.1.1.1/",
        "http://user:password@images.example/",
        "http://images.example:99999/",
    ],
)
def test_a_redirect_is_checked_as_the_first_url_is(to: str, internet: Internet) -> None:
    internet.hosts |= {"127.0.0.1": [["127.0.0.1"]], "::1": [["::1"]]}
    internet.pages["/a"] = redirects(to)
    error = failure("http://images.example/a")
    assert error.kind == "refused" and error.reason.startswith("redirects to a URL ")
    assert internet.dialled == [(PUBLIC, 80)]


def test_redirects_end(internet: Internet) -> None:
    for i in range(20):
        internet.pages[f"/{i}"] = redirects(f"/{i + 1}")
    internet.pages["/20"] = sends(b"a photo")
    assert read(web.WebFile("http://images.example/15"), Limits()) == b"a photo"
    error = failure("http://images.example/14")
    assert error.kind == "refused" and "more than 5 times" in error.reason
    assert len(internet.asked) == 6 + 6


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
    ],
)
def test_a_server_that_drips_is_left_at_the_time_limit(
    head: bytes, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "TIMEOUT_S", 0.3)
    internet.pages["/a"] = drips(head)
    start = time.monotonic()
    error = failure("http://images.example/a")
    assert error.kind == "timeout" and "within 0.3 s" in error.reason
    assert 0.25 < time.monotonic() - start < 2


def test_the_time_limit_is_one_for_all_redirects(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.15)
        redirects("/a")(handler)

    monkeypatch.setattr(web, "TIMEOUT_S", 0.4)
    internet.pages["/a"] = late
    assert failure("http://images.example/a").kind == "timeout"


def test_a_resolver_that_hangs_is_left_behind(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(web, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(web, "_resolve", lambda host, port: go.wait(10) and [])
    start = time.monotonic()
    assert failure("http://images.example/a").kind == "timeout"
    assert time.monotonic() - start < 2
    go.set()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_an_endless_body_is_left_at_the_byte_limit(head: bytes, internet: Internet) -> None:
    internet.pages["/a"] = floods(head)
    error = failure("http://images.example/a", Limits(max_bytes=10**6))
    assert error.kind == "too_large" and "1,000,000" in error.reason


def test_a_length_over_the_limit_is_believed_at_once(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TIMEOUT_S", 5)
    internet.pages["/a"] = drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
    error = failure("http://images.example/a", Limits(max_bytes=1000))
    assert error.kind == "too_large" and "holds 1,001 bytes" in error.reason
    internet.pages["/a"] = sends(bytes(1000))
    assert read(web.WebFile("http://images.example/a"), Limits(max_bytes=1000)) == bytes(1000)


def test_more_than_content_length_is_not_read(internet: Internet) -> None:
    internet.pages["/a"] = sends(b"a photo and more", Content_Length=7)
    assert read(web.WebFile("http://images.example/a"), Limits()) == b"a photo"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (sends(b"no", status=404), "answers 404 Not Found"),
        (sends(b"no", status=500), "answers 500 Internal Server Error"),
        (sends(b"", status=204, Content_Length=None), "answers 204"),
        (sends(b"", status=302), "answers 302"),
        (sends(b"part", status=206), "answers 206"),
        (sends(gzip.compress(bytes(10**6)), Content_Encoding="gzip"), "comes compressed as 'gzip'"),
        (sends(b"cut", Content_Length=100), "the connection ended before the image did"),
        (sends(b"5\r\ncut", Content_Length=None, Transfer_Encoding="chunked"), "the connection ended before"),
        (lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"), "does not answer in HTTP"),
        (lambda handler: None, "does not answer in HTTP"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000), "does not answer in HTTP"),
    ],
)
def test_answers_that_are_not_the_image(answer: Answer, word: str, internet: Internet) -> None:
    internet.pages["/a"] = answer
    error = failure("http://images.example/a")
    assert error.kind == "unreadable" and word in error.reason, error.reason


def test_who_is_not_there(internet: Internet) -> None:
    assert "its host is not found" in failure("http://absent.example/a").reason
    internet.refusing = {PUBLIC}
    error = failure("http://images.example/a")
    assert error.kind == "unreadable" and "connection refused" in error.reason


def test_proxies_of_the_environment_are_not_used(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    internet.pages["/a"] = sends(b"a photo")
    assert read(web.WebFile("http://images.example/a"), Limits()) == b"a photo"
    assert internet.dialled == [(PUBLIC, 80)]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for images.example that nobody signed but its owner, with the key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    path = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", path, "-out", tmp_path / "c", "-days", "2", "-subj", "/CN=x"]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:images.example"], check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "c").read_text())
    return path


def test_https_checks_the_certificate_and_its_name(
    internet: Internet, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    internet.hosts["other.example"] = [[PUBLIC]]
    internet.pages |= {"/a": sends(b"a photo"), "/down": redirects("http://images.example/a")}
    with serve(internet, context) as server:
        error = failure("https://images.example/a")
        assert error.kind == "unreadable" and "certificate is not valid (self-signed certificate" in error.reason
        monkeypatch.setattr(web, "_tls", lambda: ssl.create_default_context(cafile=certificate))
        assert read(web.WebFile("https://images.example/a"), Limits()) == b"a photo"
        assert internet.dialled[-1] == (PUBLIC, 443) and internet.asked[-1].headers["Host"] == "images.example"
        assert "certificate is not valid (Hostname mismatch" in failure("https://other.example/a").reason
        asked = len(internet.asked)
        error = failure("https://images.example/down")
        assert error.kind == "refused" and "without encryption" in error.reason and len(internet.asked) == asked + 1
        server.shutdown()


def test_https_with_one_who_does_not_speak_it(internet: Internet) -> None:
    error = failure("https://images.example/a")
    assert error.kind == "unreadable" and "cannot be fetched" in error.reason


def test_a_url_is_fetched_only_when_allowed(internet: Internet, jpeg: Path) -> None:
    internet.pages["/cat.jpg"] = sends(jpeg.read_bytes())
    url = "http://images.example/cat.jpg"
    with pytest.raises(ImageError, match=r"is a URL.*pass allow_urls=True to gmixer.load") as caught:
        decode(url)
    assert caught.value.kind == "refused" and internet.resolved == []
    np.testing.assert_array_equal(decode(url, reading=Reading(allow_urls=True)), decode(jpeg))
    with pytest.raises(ImageError, match="no such file"):
        decode(Path(url), reading=Reading(allow_urls=True))


@pytest.mark.parametrize("url", ["ftp://files.example/a.jpg", "s3://bucket/a.jpg", "file:///etc/passwd", "FTP://x"])
def test_other_schemes_are_refused_whatever_is_allowed(url: str, internet: Internet) -> None:
    for reading in (Reading(), Reading(allow_urls=True)):
        with pytest.raises(ImageError, match=r"is a URL of the scheme .*, which gmixer does not fetch") as caught:
            decode(url, reading=reading)
        assert (caught.value.kind, caught.value.source) == ("refused", url)
    assert internet.resolved == []


def test_a_wrong_scheme_on_the_command_line_is_one_refused_row(jpeg: Path) -> None:
    finished = CliRunner().invoke(app, ["classify", "ftp://files.example/a.jpg", str(jpeg), "--json"])
    refused, good = (json.loads(line) for line in finished.stdout.splitlines())
    assert refused["path"] == "ftp://files.example/a.jpg" and refused["error"]["kind"] == "refused"
    assert "predictions" in good and finished.exit_code == 1


def test_through_the_predictor(internet: Internet, jpeg: Path) -> None:
    internet.pages |= {"/cat.jpg": sends(jpeg.read_bytes()), "/page": sends(b"<!doctype html><title>cat")}
    url = "http://images.example/cat.jpg"
    predictor = gmixer.load("gmixer_8_64", allow_urls=True)
    assert predictor.classify(url) == predictor.classify(jpeg)
    _, page = predictor.classify([url, "http://images.example/page"], on_error="return")
    assert isinstance(page, ImageError) and page.kind == "not_image" and "starts like HTML" in page.reason
    with pytest.raises(ImageError, match="allow_urls=True"):
        gmixer.load("gmixer_8_64").classify(url)


def test_on_the_command_line_a_url_works_as_typed(internet: Internet, jpeg: Path, tmp_path: Path) -> None:
    internet.pages["/cat.jpg"] = sends(jpeg.read_bytes())
    urls = ["HTTP://images.example/cat.jpg", "http://home.example/cat.jpg"]
    finished = CliRunner().invoke(app, ["classify", *urls, str(jpeg), "--json"])
    good, bad, file = (json.loads(line) for line in finished.stdout.splitlines())
    assert [good["path"], bad["path"]] == urls
    assert good["predictions"] == file["predictions"]
    assert bad["error"]["kind"] == "refused" and "not public" in bad["error"]["message"]
    assert finished.exit_code == 1
    CliRunner().invoke(app, ["embed", *urls, "-o", str(tmp_path / "out.npz")])
    with np.load(tmp_path / "out.npz") as stored:
        assert (stored["paths"].tolist(), stored["failed_kinds"].tolist()) == (urls[:1], ["refused"])


def test_a_file_that_is_called_so_goes_by_its_path(jpeg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:").mkdir()
    shutil.copy(jpeg, "http:/a.jpg")
    np.testing.assert_array_equal(decode("./http:/a.jpg"), decode(jpeg))
    with pytest.raises(ImageError, match="without a host"):
        decode("http:/a.jpg", reading=Reading(allow_urls=True))


def test_nothing_of_it_is_imported_before_a_url_comes(jpeg: Path) -> None:
    program = (
        "import sys, gmixer; gmixer.load('gmixer_8_64').classify(sys.argv[1])\n"
        "print([m for m in ('gmixer.sources.web', 'gmixer.sources.archive', 'ssl', 'tarfile') if m in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", program, str(jpeg)], capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"
