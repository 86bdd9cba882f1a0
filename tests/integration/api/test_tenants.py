"""What belongs to another project is not there: a matrix over every route of the description."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from doors import Door
from sqlalchemy import select
from tenants import Tenant, document, export, furnish, line_up, tenant

from core.registry import access_tables

CANARY = "canary"
HOME = "linnet"
# What a part of a path may name. Base models belong to the installation, aliases to a model.
KINDS: dict[str, tuple[str, ...]] = {
    "model": ("model", "model_name"),
    "task_id": ("task",),
    "job_id": ("job", "waiting_job"),
    "dataset_id": ("dataset",),
    "file_id": ("dataset",),
    "version": ("version", "numbered", "aliased"),
    "key_id": ("key",),
    "project_id": ("project",),
    "alias": ("alias",),
    "export_id": ("export",),
    "file": ("file",),
}
OF_THE_INSTALLATION = {"name"}
# Bodies that would be right if the path were: else a refused body would hide what the path says.
BODIES: dict[str, Any] = {
    "PATCH /v1/projects/{project_id}": {"max_open_jobs": 7},
    "PATCH /v1/models/{model}": {"policy": {"gate": {"min_rows": 7}}},
    "PUT /v1/models/{model}/aliases/{alias}": {"version": "0"},
    "POST /v1/models/{model}/rollback": {"version": "0"},
    "POST /v1/models/{model}/versions": {"leave_out": ["letters"]},
    "POST /v1/versions/{version}/exports": {"format": "merged"},
}
REQUEST_ID = {"X-Request-Id": "req-of-the-test"}
Answer = tuple[int, str, dict[str, str]]


@pytest.fixture
def home(door: Door) -> Tenant:
    return tenant(door, "home")


@pytest.fixture
def abroad(door: Door) -> Tenant:
    return tenant(door, "abroad")


def furnished(who: Tenant, word: str) -> dict[str, str]:
    return export(who, furnish(who, word))


def names(things: dict[str, str]) -> dict[str, str]:
    """Add the other ways to name a version, and an alias that every model has."""
    word = things["model_name"]
    return {**things, "numbered": f"{word}@0", "aliased": f"{word}:latest", "alias": "latest"}


def random_like(value: str) -> str:
    """Return what names nothing, as long as ``value``."""
    prefix, underscore, rest = value.partition("_")
    if underscore and len(rest) == 32:
        return f"{prefix}_{uuid.uuid4().hex}"
    return re.sub(r"[a-z]+", lambda word: "z" * len(word[0]), value, count=1)


def operations() -> Iterator[tuple[str, str, list[str]]]:
    """Yield method, path and the parameters of every route that names something of a project."""
    for path, methods in document()["paths"].items():
        parameters = [name for name in re.findall(r"{(\w+)}", path) if name not in OF_THE_INSTALLATION]
        for method in methods if parameters else ():
            yield method.upper(), path, parameters


def answer(caller: Tenant, method: str, path: str, values: list[tuple[str, str]], **headers: str) -> Answer:
    """Call, and return all that the caller sees, with the ids that they sent taken out again."""
    filled = path
    for name, value in values:
        filled = filled.replace(f"{{{name}}}", value)
    body = BODIES.get(f"{method} {path}")
    told = caller.call(method, filled, headers={**REQUEST_ID, **headers}, **({"json": body} if body else {}))
    text = told.text
    for name, value in values:
        # A problem's instance is the path as an address spells it.
        text = text.replace(quote(value), f"<{name}>").replace(value, f"<{name}>")
    return told.status_code, text, {name: value for name, value in told.headers.items() if name != "date"}


def rows_of(door: Door, project_id: str) -> dict[str, list[Any]]:
    """Return every row that a project owns; that a key was used is no change."""
    with door.registry.read() as work:
        tables = access_tables.API_KEY.metadata.tables
        owned = {name: table for name, table in tables.items() if "project_id" in table.c}
        return {
            name: work.connection.execute(
                select(*(column for column in table.c if column.name != "last_used_ms")).where(
                    table.c.project_id == project_id
                )
            ).all()
            for name, table in owned.items()
        }


def test_every_part_of_a_path_and_every_body_is_known_to_this_matrix() -> None:
    with_bodies = {
        f"{method.upper()} {path}"
        for path, methods in document()["paths"].items()
        for method, call in methods.items()
        if "{" in path and "requestBody" in call
    }
    assert set(BODIES) == with_bodies
    assert {name for _, _, parameters in operations() for name in parameters} <= set(KINDS)


def test_another_projects_things_answer_like_things_that_are_not_there(
    door: Door, home: Tenant, abroad: Tenant
) -> None:
    own, foreign = names(furnished(home, HOME)), names(line_up(abroad, furnished(abroad, CANARY)))
    before = rows_of(door, abroad.project_id)
    differing, told = [], 0
    for method, path, parameters in operations():
        owner, *inner = parameters
        for kind in KINDS[owner]:
            rest = [(name, own[KINDS[name][0]]) for name in inner]
            for headers in ({}, {"Accept": "text/event-stream"}):
                there = answer(home, method, path, [(owner, foreign[kind]), *rest], **headers)
                nowhere = answer(home, method, path, [(owner, random_like(foreign[kind])), *rest], **headers)
                told += 1
                if there != nowhere or there[0] != 404 or CANARY in there[1]:
                    differing.append((method, path, kind, there, nowhere))
    assert differing == []
    assert told > 30
    assert rows_of(door, abroad.project_id) == before


def test_deleted_things_answer_like_things_that_are_not_there(home: Tenant) -> None:
    gone = names(furnished(home, HOME))
    lone = home.upload(label="lone", start=500)
    for path in (f"/v1/models/{gone['model']}", f"/v1/datasets/{lone['id']}", f"/v1/keys/{gone['key']}"):
        home.ok("DELETE", path)
    gone["dataset"] = lone["id"]
    deleted = {"model", "model_name", "version", "numbered", "aliased", "dataset", "key", "export"}
    differing = []
    for method, path, (owner, *inner) in operations():
        for kind in deleted.intersection(KINDS[owner]):
            rest = [(name, gone[KINDS[name][0]]) for name in inner]
            there = answer(home, method, path, [(owner, gone[kind]), *rest])
            nowhere = answer(home, method, path, [(owner, random_like(gone[kind])), *rest])
            if there != nowhere or there[0] != 404:
                differing.append((method, path, kind, there, nowhere))
    assert differing == []


def references(things: dict[str, str], own: dict[str, str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield calls that name one thing of ``things`` in a body or a query, and else only ``own``."""
    task = {"model": own["model"], "name": "new", "dataset_id": own["dataset"]}
    for model in (things["model"], things["model_name"]):
        yield "GET", f"/v1/jobs?model={model}", {}
        yield "GET", f"/v1/tasks?model={model}", {}
        yield "POST", "/v1/tasks", {"json": {**task, "model": model}}
    yield "POST", "/v1/tasks", {"json": {**task, "dataset_id": things["dataset"]}}
    yield "POST", "/v1/tasks", {"json": {**task, "eval_dataset_id": things["dataset"]}}
    yield "POST", "/v1/tasks", {"json": {**task, "expected_parent": things["version"]}}
    for version in (things["version"], things["numbered"], things["aliased"]):
        yield "PUT", f"/v1/models/{own['model']}/aliases/latest", {"json": {"version": version}}
        yield "POST", f"/v1/models/{own['model']}/rollback", {"json": {"version": version}}
    for kind in ("version", "numbered", "aliased", "model", "model_name"):
        yield "POST", "/v1/generate", {"json": {"model": things[kind], "prompt": "x"}}
        yield "POST", "/v1/completions", {"json": {"model": things[kind], "prompt": "x"}}
        yield (
            "POST",
            "/v1/chat/completions",
            {"json": {"model": things[kind], "messages": [{"role": "user", "content": "x"}]}},
        )
        learning = {"model": things[kind], "training_file": own["dataset"]}
        yield "POST", "/v1/fine_tuning/jobs", {"json": learning}
    for name in ("training_file", "validation_file"):
        learning = {"model": own["model"], "training_file": own["dataset"], name: things["dataset"]}
        yield "POST", "/v1/fine_tuning/jobs", {"json": learning}
    yield "POST", "/v1/generate", {"json": {"model": own["model"], "task": f"{things['model_name']}-task", "input": {}}}


def test_a_foreign_thing_in_a_body_or_a_query_is_not_there_either(home: Tenant, abroad: Tenant) -> None:
    own, foreign = names(furnished(home, HOME)), names(furnished(abroad, CANARY))
    nowhere = {kind: random_like(value) for kind, value in foreign.items()}
    for there, elsewhere in zip(references(foreign, own), references(nowhere, own), strict=True):
        answers = [home.call(method, path, headers=REQUEST_ID, **body) for method, path, body in (there, elsewhere)]
        assert answers[0].status_code in {404, 409}
        assert answers[0].text == answers[1].text
        assert CANARY not in answers[0].text


def test_a_project_that_a_request_names_is_not_the_callers(home: Tenant, abroad: Tenant) -> None:
    furnish(abroad, CANARY)
    for name in ("project", "project_id"):
        assert home.ok("GET", f"/v1/models?{name}={abroad.project_id}")["data"] == []
        body = {"name": "desk", "base_model": "tiny", name: abroad.project_id}
        assert home.call("POST", "/v1/models", json=body).status_code == 422


def test_no_list_holds_anything_of_another_project(home: Tenant, abroad: Tenant) -> None:
    own = names(furnished(home, HOME))
    foreign = furnished(abroad, CANARY)
    asked = 0
    for path, methods in document()["paths"].items():
        if "get" not in methods or path in {"/healthz", "/readyz", "/metrics"}:
            continue
        filled = re.sub(r"{(\w+)}", lambda part: own[KINDS[part[1]][0]] if part[1] in KINDS else "tiny", path)
        for query in ("", "?limit=100", f"?after={foreign['model']}", "?order=asc"):
            told = home.call("GET", filled + query)
            asked += told.is_success
            assert CANARY not in told.text, filled
            assert not [value for value in foreign.values() if value in told.text], filled
    assert asked > 30


def test_the_same_content_is_kept_once_and_told_to_nobody(home: Tenant, abroad: Tenant) -> None:
    theirs, ours = abroad.upload(), home.upload()
    assert theirs["sha256"] == ours["sha256"]
    assert theirs["id"] != ours["id"]
    home.ok("DELETE", f"/v1/datasets/{ours['id']}")
    assert abroad.ok("GET", f"/v1/datasets/{theirs['id']}/preview")["data"]
