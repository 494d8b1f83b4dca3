"""An S3 over HTTP for tests: moto's server on loopback, with a bucket of its own for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

BUCKETS = itertools.count()


@dataclass(frozen=True)
class S3:
    """endpoint: `http://127.0.0.1:port`. bucket: empty at the start of the test."""

    endpoint: str
    bucket: str

    @property
    def options(self) -> dict[str, Any]:
        """What --storage-options takes, as for MinIO."""
        return {"endpoint_url": self.endpoint, "key": "test", "secret": "s3cret"}

    @property
    def client(self) -> Any:
        """botocore's own client, which speaks to the server past fsspec."""
        return _client(self.endpoint)

    def url(self, key: str = "") -> str:
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, data: bytes) -> str:
        """The URL of the new object."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)
        return self.url(key)

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data

    def keys(self) -> list[str]:
        """Of all objects, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


@cache
def _client(endpoint: str) -> Any:
    """Making one takes 0.4 s."""
    import botocore.session

    session = botocore.session.get_session()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "s3cret"}
    return session.create_client("s3", region_name="us-east-1", endpoint_url=endpoint, **keys)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> S3:
    """No test finds the developer's own keys, nor asks the metadata service of a cloud for some."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    server = S3(s3_endpoint, f"bucket-{next(BUCKETS)}")
    server.client.create_bucket(Bucket=server.bucket)
    return server
