"""A bucket to store in."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3_server

from core.storage import manifests
from core.storage.s3 import Bucket


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of an S3 server."""
    with s3_server.running() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket, with a prefix."""
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    opened = Bucket.open(f"s3://{name}/one/installation", endpoint_url=endpoint)
    opened.client.create_bucket(Bucket=name)
    return opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sealed folder."""
    folder = tmp_path / "out"
    (folder / "adapter").mkdir(parents=True)
    (folder / "delta.safetensors").write_bytes(bytes(1000))
    (folder / "adapter" / "config.json").write_text("{}")
    manifests.seal(folder, {"schema_version": 1})
    return folder
