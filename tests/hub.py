"""A Hub for tests: its cache on disk, and a server on loopback that speaks its protocol.

The server answers the requests of huggingface_hub for a download (HEAD and GET of `/org/model/resolve/revision/file`)
and for an upload (create, preupload, the LFS batch, PUT of a large file, the commit).
Source of the protocol: huggingface_hub 2.4, file_download.py, hf_api.py, _commit_api.py and utils/_http.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

COMMIT = "c0ffee" + "0" * 34


def hub_cache(folder: Path, repo_id: str, weights: Path) -> Path:
    """A cache as huggingface_hub lays it out, with these weights as the main revision of one repository."""
    repo = folder / ("models--" + repo_id.replace("/", "--"))
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    (repo / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (repo / "snapshots" / ("0" * 40) / "model.safetensors").symlink_to(weights)
    return folder


def client_environment(hub: Hub, cache: Path) -> dict[str, str]:
    """The environment that makes huggingface_hub in a new process use only this server."""
    return os.environ | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",  # the server speaks the older way of uploading
    }


def use_in_this_process(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for this process, which has imported huggingface_hub already. A new process would import torch first."""
    for name, value in {
        "ENDPOINT": hub.endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_TELEMETRY": True,
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(constants, name, value)


@dataclass
class Hub:
    """The files on the server, its faults, and the requests to it.

    refuse: called with the method and the path before each response; (status, X-Error-Code or ""), or None to accept.
    spoil: called with each body before it is sent.
    cut_after: the first GET of a large file stops after this many bytes, and closes the connection.
    """

    endpoint: str
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)  # repository → name → content
    commit: str = COMMIT
    branches: tuple[str, ...] = ("main",)
    refuse: Callable[[str, str], tuple[int, str] | None] = lambda method, path: None
    spoil: Callable[[bytes], bytes] = lambda body: body
    cut_after: int | None = None
    large: dict[str, bytes] = field(default_factory=dict)  # uploaded files by SHA-256
    requests: list[tuple[str, str]] = field(default_factory=list)  # method, path
    ranges: list[str] = field(default_factory=list)  # Range headers
    tokens: list[str | None] = field(default_factory=list)  # Authorization headers

    @property
    def counted(self) -> Counter[str]:
        """Requests by method."""
        return Counter(method for method, _ in self.requests)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        """A large file, to the address that the LFS batch gave."""
        body = self._body()
        self.hub.large[hashlib.sha256(body).hexdigest()] = body
        self._json({})

    def do_POST(self) -> None:
        hub, body = self.hub, self._body()
        hub.requests.append((self.command, self.path))
        hub.tokens.append(self.headers.get("Authorization"))
        if refused := hub.refuse(self.command, self.path):
            return self._error(*refused)
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            hub.files.setdefault(f"{wanted['organization']}/{wanted['name']}", {})
            return self._json({"url": f"{hub.endpoint}/{wanted['organization']}/{wanted['name']}"})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            modes = (
                (file["path"], "lfs" if file["path"] == "model.safetensors" else "regular")
                for file in json.loads(body)["files"]
            )
            return self._json({"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes]})
        if self.path.endswith("/info/lfs/objects/batch"):
            return self._json(
                {"transfer": "basic", "objects": [self._upload_of(o) for o in json.loads(body)["objects"]]}
            )
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", self.path):
            for entry in map(json.loads, body.splitlines()):
                value = entry["value"]
                if entry["key"] == "file":
                    hub.files[match[1]][value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    hub.files[match[1]][value["path"]] = hub.large[value["oid"]]
            return self._json({"commitUrl": f"{hub.endpoint}/{match[1]}/commit/{hub.commit}", "commitOid": hub.commit})
        return self._error(404, "")

    def _upload_of(self, wanted: dict[str, object]) -> dict[str, object]:
        address = f"{self.hub.endpoint}/lfs/{wanted['oid']}"
        return {"oid": wanted["oid"], "size": wanted["size"], "actions": {"upload": {"href": address}}}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _json(self, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> None:
        hub = self.hub
        hub.requests.append((self.command, self.path))
        hub.tokens.append(self.headers.get("Authorization"))
        if refused := hub.refuse(self.command, self.path):
            return self._error(*refused)
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        if not match or match[1] not in hub.files:
            return self._error(404, "RepoNotFound")
        repo, revision, name = match.groups()
        if revision not in (*hub.branches, hub.commit):
            return self._error(404, "RevisionNotFound")
        if name not in hub.files[repo]:
            return self._error(404, "EntryNotFound")
        body = hub.files[repo][name]
        start = 0
        if wanted := self.headers.get("Range"):
            hub.ranges.append(wanted)
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", hub.commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{etag_of(name, body)}"')
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        body = hub.spoil(body)[start:]
        if hub.cut_after is not None and len(body) > hub.cut_after:
            self.wfile.write(body[: hub.cut_after])
            hub.cut_after = None
            self.close_connection = True
        else:
            self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def etag_of(name: str, body: bytes) -> str:
    """The Hub's: SHA-256 of a large file, git's SHA-1 of a small one."""
    if name.endswith(".json"):
        return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    return hashlib.sha256(body).hexdigest()


@contextmanager
def hub_server() -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"hub": hub})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
