"""What `strata up` says once its parts run, over a scripted service."""

import threading
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_service import FakeService, problem
from rich.console import Console

from core.settings import Settings
from strata import Client
from strata.cli import up
from strata.embedded.first_base_model import NAME

READING = f"reading {NAME} … (about half a minute, once)"


def base(state: str, **fields: Any) -> dict[str, Any]:
    return {"id": "base_1", "name": NAME, "source": "wheel:x", "state": state, **fields}


@pytest.fixture
def said(service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def become_ready(*, wait_base: bool) -> str:
        heard = StringIO()
        embedded = up.Embedded(Settings(data_dir=tmp_path), Console(file=heard), threading.Event())
        client = Client("http://strata.test", transport=httpx.MockTransport(service.handle))
        monkeypatch.setattr(embedded, "_client", client)
        monkeypatch.setattr(embedded, "_answers", lambda: True)
        monkeypatch.setattr(embedded, "_look", lambda: None)
        embedded._become_ready(wait_base=wait_base)
        return heard.getvalue()

    return become_ready


def test_ready_is_said_once_the_base_model_has_been_read(service: FakeService, said: Any) -> None:
    service.on(f"GET /v1/base-models/{NAME}", base("pending"), base("pending"), base("ready"))
    words = said(wait_base=True)
    assert len(service.requests) == 3
    assert words.index(READING) < words.index("ready on http") < words.index("try: curl")


def test_a_base_model_need_not_be_awaited(service: FakeService, said: Any) -> None:
    service.on(f"GET /v1/base-models/{NAME}", base("pending"))
    words = said(wait_base=False)
    assert READING not in words
    assert f"try ({NAME} is still being read): curl" in words


def test_a_base_model_that_cannot_be_read_does_not_stop_the_service(service: FakeService, said: Any) -> None:
    service.on(f"GET /v1/base-models/{NAME}", base("pending"), base("failed", error="no such wheel"))
    words = said(wait_base=True)
    assert "ready on http" in words
    assert "could not be read: no such wheel; `strata base-models add" in words
    assert "curl" not in words


def test_a_registry_with_keys_is_served_all_the_same(service: FakeService, said: Any) -> None:
    service.on(f"GET /v1/base-models/{NAME}", problem(401, "unauthorized", "show a key"))
    words = said(wait_base=True)
    assert "keys are asked for here" in words
    assert "ready on http" in words
