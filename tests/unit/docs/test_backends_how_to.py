"""What the page on several engines prints is accepted as printed, and means what it says."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.domain.backends import EngineEntry, OpenAIEntry, VllmFleet
from core.settings import Settings

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"


def printed(page: str = "use-several-engines.md") -> str:
    (block,) = re.findall(r"```json\n(.*?)```", (HOW_TO / page).read_text(), flags=re.DOTALL)
    return str(block)


def test_the_printed_backends_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "strata_backends").write_text(printed())
    (tmp_path / "strata_engine_secret").write_text("s")
    given = Settings(data_dir=tmp_path, _secrets_dir=tmp_path)
    assert [entry.name for entry in given.all_backends] == ["near", "gpu-1", "vllm", "laptop"]
    assert given.engine_addresses == tuple(entry.address for entry in given.backends if entry.kind == "engine")
    (server,) = (entry for entry in given.backends if isinstance(entry, OpenAIEntry))
    assert server.key is not None
    assert "k-1" not in repr(given)


def test_every_member_stands_on_the_page() -> None:
    page = (HOW_TO / "use-several-engines.md").read_text()
    members = {*EngineEntry.model_fields, *OpenAIEntry.model_fields}
    assert {name for name in members if f"| `{name}` |" not in page} == set()


def test_the_printed_servers_of_vllm_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "strata_vllm").write_text(printed("serve-with-vllm.md"))
    given = Settings(data_dir=tmp_path, _secrets_dir=tmp_path)
    assert given.vllm is not None
    assert given.vllm.follows == "mdl_01a1f2c0:latest"
    assert given.vllm.snapshots_dir == Path("/mnt/shared/strata-snapshots")
    page = (HOW_TO / "serve-with-vllm.md").read_text()
    assert {name for name in VllmFleet.model_fields if f"| `{name}` |" not in page} == set()


@pytest.mark.parametrize(
    "wrong",
    [
        {"restart_command": " "},
        {"servers": []},
        {"servers": ["gpu-1:8000"]},
        {"follows": "desk:latest"},
        {"snapshots_dir": "snapshots"},
        {"change": "both"},
        {"drain_seconds": 0},
    ],
)
def test_servers_of_vllm_that_cannot_be_meant_are_refused_at_start(wrong: dict[str, object], tmp_path: Path) -> None:
    whole = {"follows": "mdl_1:latest", "servers": ["http://gpu-1:8000"], "restart_command": "start"}
    assert Settings(data_dir=tmp_path, vllm=VllmFleet.model_validate(whole)).vllm is not None
    with pytest.raises(ValidationError):
        VllmFleet.model_validate({**whole, **wrong})


def test_without_any_the_one_engine_answers(tmp_path: Path) -> None:
    given = Settings(data_dir=tmp_path)
    assert [(entry.name, entry.address) for entry in given.all_backends] == [("engine", given.engine_address)]


ENGINE = {"kind": "engine", "name": "a", "address": "unix:/run/a.sock"}
SERVER = {"kind": "openai", "name": "b", "address": "https://gpu/v1", "serves": {"ver_1": "x"}, "key": "s3cret-key"}


@pytest.mark.parametrize(
    "wrong",
    [
        [ENGINE, ENGINE],
        [{**ENGINE, "address": "http://gpu:1"}],
        [{**ENGINE, "address": "https://gpu:1"}],
        [{**ENGINE, "address": "gpu"}],
        [{**ENGINE, "name": "No Name"}],
        [{**ENGINE, "models": []}],
        [{**ENGINE, "models": ["desk"]}],
        [{**SERVER, "serves": {}}],
        [{**SERVER, "serves": {"desk@3": "x"}}],
        [{**SERVER, "dialect": "other"}],
        [{**SERVER, "address": "https://user:word@gpu/v1"}],
        [{**SERVER, "kind": "magic"}],
    ],
)
def test_what_cannot_be_meant_is_refused_at_start_without_telling_keys(wrong: object, tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as raised:
        Settings(data_dir=tmp_path, backends=json.loads(json.dumps(wrong)))
    assert "s3cret-key" not in str(raised.value)
