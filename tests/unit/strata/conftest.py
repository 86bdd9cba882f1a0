"""A client of a scripted service."""

from collections.abc import Iterator

import httpx
import pytest
from fake_service import FakeService

from strata import Client


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def client(service: FakeService) -> Iterator[Client]:
    with Client("http://strata.test", "key_1", transport=httpx.MockTransport(service.handle)) as made:
        yield made
