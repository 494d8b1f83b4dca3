"""A URL → the bytes there: http and https, from public addresses only.

The name of the host is resolved once. All its addresses must be public, and the connection goes to one of them. So a
name that resolves to another address later (DNS rebinding) has no effect. A redirect is a new URL and
is checked like the first one. Proxies in the environment are not used: a proxy would resolve the name again, without
this check. Only the request is sent: no cookies, no credentials, no referrer.
"""

from __future__ import annotations

import io
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, responses
from typing import ClassVar
from urllib.parse import quote, urljoin, urlsplit

from gmixer import __version__
from gmixer.errors import ImageError
from gmixer.sources.entry import Opened
from gmixer.sources.local import reason_of

TIMEOUT_S = 15.0  # for everything together: resolving, connecting, redirects, the image
MAX_REDIRECTS = 5

_REDIRECTS = {301, 302, 303, 307, 308}
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.IGNORECASE)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)  # a host with such a last label is an address
_URL_CHARACTERS = "%/:?#[]@!$&'()*+,;=~"  # sent unchanged in a path and query; all others are percent-encoded
_WAY_OUT = "save the image and pass its path"

# Addresses that `is_global` of some Python ≥ 3.11 accepts. Source: IANA's registries of special-purpose addresses.
_NOT_PUBLIC = [ipaddress.ip_network(block) for block in ("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4")]
_UNICAST = ipaddress.ip_network("2000::/3")  # the part of IPv6 that is assigned to networks
_NOT_PUBLIC_V6 = [
    ipaddress.ip_network(block)
    for block in (
        "2001::/23",  # protocols such as Teredo, with any IPv4 address inside
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, also with any IPv4 address inside
        "3fff::/20",  # documentation
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # how a network without IPv4 reaches a public IPv4 address


@dataclass(frozen=True, slots=True)
class WebFile:
    """An Entry: what the server sends for a URL, http or https, within TIMEOUT_S. key: the URL."""

    key: str
    named: ClassVar[bool] = True
    read_at_once: ClassVar[bool] = False
    size: ClassVar[None] = None
    version: ClassVar[None] = None

    @contextmanager
    def open(self, source: str) -> Iterator[Opened]:
        """Raises ImageError "refused" for a URL, also of a redirect, without a public address, with credentials or of
        another scheme, and for a redirect from https to http. Raises "timeout", and "unreadable" for every other
        failure, such as an answer that is not the file.
        """
        deadline = _Deadline(TIMEOUT_S)
        place, verb = self.key, "is"
        target: _Target | None = None
        with _as_image_error(source):
            for _ in range(MAX_REDIRECTS + 1):
                before, target = target, _parse(place, verb, source=source)
                if before and before.scheme == "https" and target.scheme == "http":
                    raise _refused(verb, "without encryption, from one with encryption", source)
                with _ask(target, _public_addresses(target, deadline, verb, source=source), deadline) as response:
                    onward = response.getheader("Location") if response.status in _REDIRECTS else None
                    if onward is None:
                        yield _opened(response, source=source)
                        return
                # http.client reads headers as Latin-1; servers mean UTF-8.
                onward = onward.strip().encode("latin-1").decode(errors="surrogateescape")
                place, verb = urljoin(place, onward), "redirects to"
        raise ImageError("refused", f"redirects more than {MAX_REDIRECTS} times: {_WAY_OUT}", source)


def is_public(address: str) -> bool:
    """Whether the whole internet may reach an address, IPv4 or IPv6 in the usual notation.

    For IPv4-mapped and NAT64 addresses, the IPv4 address inside the IPv6 address decides. Other forms that hold an IPv4
    address (6to4, Teredo) are never public.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        if inner is None:
            return ip in _UNICAST and ip.is_global and not any(ip in block for block in _NOT_PUBLIC_V6)
        ip = inner
    return ip.is_global and not ip.is_multicast and not any(ip in block for block in _NOT_PUBLIC)


@dataclass(frozen=True, slots=True)
class _Target:
    """The target of a checked URL. host: ASCII, without brackets; path: with the query, percent-encoded."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """For the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, above 0. Raises TimeoutError if none are left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _parse(url: str, verb: str, *, source: str) -> _Target:
    """Raises ImageError "refused" for a URL that must not be followed, before anything is resolved."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode().removesuffix(".")
        port = parts.port
    except ValueError:
        raise _refused(verb, "that cannot be read: its host or its port is none", source) from None
    if parts.scheme not in _PORTS:
        raise _refused(verb, f"of the scheme {parts.scheme}, which gmixer does not fetch", source)
    if "@" in parts.netloc:
        raise _refused(verb, "with credentials, which gmixer does not send", source)
    if not host:
        raise _refused(verb, "without a host", source)
    if not _HOST.fullmatch(host) or (_NUMBER.fullmatch(host.rpartition(".")[2]) and not _is_dotted_quad(host)):
        raise _refused(verb, "with a host that is neither a name nor an address in the usual notation", source)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path = quote(path, safe=_URL_CHARACTERS, errors="surrogateescape")
    return _Target(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, path)


def _is_dotted_quad(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _public_addresses(target: _Target, deadline: _Deadline, verb: str, *, source: str) -> list[str]:
    """All addresses of the host. Raises ImageError "refused" if one of them is not public: a host on the internet has
    no such address.
    """
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(_resolve(target.host, target.port))
        except Exception as error:
            answers.put(error)

    # The system's resolver has no time limit, so this thread is abandoned if it takes too long.
    threading.Thread(target=look_up, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    if not all(is_public(address) for address in answer):
        raise _refused(verb, "with a host that has an address that is not public", source)
    return answer


def _resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order to try them, as text. Raises OSError if it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _dial(address: str, port: int, timeout_s: float) -> socket.socket:
    """Connects to an address, not to a name, so nothing is resolved here."""
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        connection.settimeout(timeout_s)
        connection.connect((address, port))
    except BaseException:
        connection.close()
        raise
    return connection


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # the system's authorities; the host's name is checked


@contextmanager
def _ask(target: _Target, addresses: list[str], deadline: _Deadline) -> Iterator[HTTPResponse]:
    """Sends the request to the first address that accepts a connection."""
    for i, address in enumerate(addresses):
        try:
            connected = _dial(address, target.port, deadline.left() / (len(addresses) - i))
            break
        except OSError:
            if address == addresses[-1]:
                raise
    try:
        if target.scheme == "https":
            connected.settimeout(deadline.left())
            connected = _tls().wrap_socket(connected, server_hostname=target.host)
        connection = HTTPConnection(target.host, target.port)
        connection.sock = _TimedSocket(connected, deadline)  # already connected, so it resolves nothing
        # http.client itself asks for identity encoding, so the answer is not compressed.
        headers = {"Host": target.authority, "User-Agent": f"gmixer/{__version__}", "Connection": "close"}
        connection.request("GET", target.path, headers=headers)
        with connection.getresponse() as response:
            yield response
    finally:
        connected.close()


class _TimedSocket(io.RawIOBase):
    """What http.client uses of a socket. Each wait ends at the deadline, also if a server sends one byte at a time."""

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._connected = connected
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._connected.settimeout(self._deadline.left())
        return self._connected.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(self._deadline.left())
        self._connected.sendall(data)

    def close(self) -> None:
        """http.client calls this before it reads the body, since the connection has one answer. `_ask` closes it."""


def _opened(response: HTTPResponse, *, source: str) -> Opened:
    if response.status != 200:
        status = f"{response.status} {responses.get(response.status, '')}".strip()
        raise ImageError("unreadable", f"cannot be fetched: the server answers {status}; check the URL", source)
    encoding = response.getheader("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        reason = f"comes compressed as {encoding[:40]!r}, although gmixer asks for no compression: {_WAY_OUT}"
        raise ImageError("unreadable", reason, source)

    def read(byte_count: int) -> bytes:
        data = response.read(byte_count)
        if not data and response.length:  # the rest of Content-Length
            raise IncompleteRead(b"", response.length)
        return data

    return Opened(response.length, read)


def _refused(verb: str, what: str, source: str) -> ImageError:
    """verb: "is", or "redirects to"."""
    return ImageError("refused", f"{verb} a URL {what}: {_WAY_OUT}", source)


@contextmanager
def _as_image_error(source: str) -> Iterator[None]:
    """Every failure of the network → one ImageError."""
    try:
        yield
    except ImageError:
        raise
    except TimeoutError:
        reason = f"did not arrive within {TIMEOUT_S:g} s: try again, or {_WAY_OUT}"
        raise ImageError("timeout", reason, source) from None
    except socket.gaierror as error:
        raise _unreadable(f"its host is not found ({reason_of(error)})", source) from None
    except ssl.SSLCertVerificationError as error:
        raise _unreadable(f"the server's certificate is not valid ({error.verify_message})", source) from None
    except IncompleteRead:
        raise _unreadable("the connection ended before the image did", source) from None
    except HTTPException as error:
        raise _unreadable(f"the server does not answer in HTTP ({type(error).__name__})", source) from None
    except (OSError, ValueError) as error:
        raise _unreadable(reason_of(error), source) from None


def _unreadable(why: str, source: str) -> ImageError:
    return ImageError("unreadable", f"cannot be fetched: {why}; check the URL, or {_WAY_OUT}", source)
