"""A server on loopback that plays the internet, for the tests of images by URL. The guard itself is never replaced.

Two names are: `_resolve`, which says what addresses a host has, and `_dial`, which takes the address that was checked
and reaches the server on loopback instead.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gmixer.sources import web

PUBLIC, PUBLIC_V6, PRIVATE = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "10.1.2.3"
dial = web._dial

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Internet:
    """hosts: the addresses of each, one list for each time it is resolved, the last one for good.
    pages: what the server does, by path. refusing: addresses at which nobody listens.
    """

    port: int
    hosts: dict[str, list[list[str]]] = field(default_factory=dict)
    pages: dict[str, Answer] = field(default_factory=dict)
    refusing: set[str] = field(default_factory=set)
    resolved: list[str] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    asked: list[BaseHTTPRequestHandler] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(host)
        if host not in self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.hosts[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def dial(self, address: str, port: int, timeout_s: float) -> socket.socket:
        self.dialled.append((address, port))
        if address in self.refusing:
            raise ConnectionRefusedError(111, "Connection refused")
        return dial("127.0.0.1", self.port, timeout_s)


def serve(internet: Internet, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            internet.asked.append(self)
            try:
                internet.pages[self.path.partition("?")[0]](self)
            except OSError:  # the client left
                self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *arguments: None  # type: ignore[method-assign] # clients that do not trust it
    internet.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def sends(body: bytes, *, status: int = 200, **headers: object) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Length": len(body)} | headers).items():
            if value is not None:
                handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirects(to: str, status: int = 302) -> Answer:
    return sends(b"moved", status=status, Location=to)


def drips(head: bytes) -> Answer:
    """`head`, then a byte every 20 ms."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)

    return answer


def floods(head: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        while True:
            handler.wfile.write(b"10000\r\n" + bytes(2**16) + b"\r\n" if b"chunked" in head else bytes(2**16))

    return answer
