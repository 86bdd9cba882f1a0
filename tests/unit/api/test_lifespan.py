"""What the API does when it starts and when it stops."""

import os
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import create_engine
from starlette.testclient import TestClient

from api.asgi import build
from api.main import assemble
from core.registry import access_tables
from core.settings import Settings


def test_leftover_uploads_go_at_start_and_ports_are_closed_at_the_end(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/strata.db")
    access_tables.API_KEY.metadata.create_all(create_engine(settings.database_url))
    left, running = (settings.uploads_dir / name for name in ("upload-left", "upload-running"))
    for folder in (left, running):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    hours_ago = time.time() - 7200
    for path in (left / "file", left, running):
        os.utime(path, (hours_ago, hours_ago))
    closed: list[str] = []
    context = build(settings).state.context
    ports = (lambda: closed.append("first"), lambda: closed.append("second"))

    with TestClient(assemble(replace(context, at_shutdown=(*ports, *context.at_shutdown)))):
        assert [folder.name for folder in settings.uploads_dir.iterdir()] == ["upload-running"]
        assert closed == []

    assert closed == ["first", "second"]
