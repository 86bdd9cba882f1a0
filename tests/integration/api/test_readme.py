"""The three calls of README's quickstart, as they stand there, against the API."""

import json
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import stage
from doors import Door

ROOT = Path(__file__).parents[3]
BASE_MODEL = "smollm2-135m-instruct"


def calls() -> list[list[str]]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"In another terminal.*?```sh\n(.*?)```", readme, re.DOTALL)
    assert block
    return [shlex.split(call.replace("\\\n", " ")) for call in block[1].split("\n\n")]


def post(door: Door, words: list[str]) -> Any:
    """Send what curl would."""
    program, silent, url, *options = words
    assert (program, silent) == ("curl", "-s")
    headers: dict[str, str] = {}
    parts: list[tuple[str, tuple[str | None, bytes]]] = []
    content: bytes | None = None
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option == "-H":
            name, said = value.split(": ", 1)
            headers[name] = said
        elif option == "-F":
            name, said = value.split("=", 1)
            path = ROOT / said[1:] if said.startswith("@") else None
            parts.append((name, (path.name, path.read_bytes()) if path else (None, said.encode())))
        else:
            assert option == "-d"
            assert json.loads(value)
            content = value.encode()
    assert url.startswith(f"{door.client.base_url}/")
    return door.client.post(urlsplit(url).path, headers=headers, files=parts or None, content=content)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_three_calls_of_the_quickstart_are_accepted(door: Door) -> None:
    stage.ready_base(door.registry, BASE_MODEL)
    create, teach, ask = calls()
    assert post(door, create).status_code == 201
    taught = post(door, teach)
    assert (taught.status_code, taught.json()["state"]) == (202, "queued")
    door.echo.version_id = door.resolve("support@0")
    answer = post(door, ask)
    assert (answer.status_code, answer.json()["version"]) == (200, "support@0")
    assert door.echo.requests[0]["prompt"].startswith("Which house code fits this note?\n")
