"""Keys: what opens the door, what each scope opens behind it, and what is left of a key in the registry and the log."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog
from doors import Door, labelled, statements
from sqlalchemy import select, update
from starlette.requests import Request
from tenants import Tenant, document, furnish, line_up, tenant

from api import scopes
from core.domain.access import Scope, mint
from core.registry import tables
from core.registry.access_tables import API_KEY
from core.services import keys

CHALLENGE = 'Bearer realm="strata"'


@pytest.fixture
def admin(door: Door) -> Tenant:
    return tenant(door, "home")


def routes() -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]


def call(door: Door, method: str, path: str, **request: Any) -> Any:
    return door.client.request(method, re.sub(r"{\w+}", "x", path), **request)


def refused(answer: Any) -> bool:
    body = answer.json()
    assert body["code"] == "unauthorized", body
    assert answer.headers["www-authenticate"] == CHALLENGE
    return bool(answer.status_code == 401)


def test_without_a_key_in_the_registry_this_machine_may_call(door: Door) -> None:
    assert door.client.get("/v1/models").status_code == 200
    assert door.client.get("/v1/models", headers={"Authorization": "Bearer sk-any"}).status_code == 200


def test_the_first_key_closes_the_door_and_revoking_it_does_not_open_it(door: Door) -> None:
    made = door.client.post("/v1/keys", json={"name": "ops", "scopes": ["admin"]})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    assert refused(door.client.get("/v1/models"))
    bearer = {"Authorization": f"Bearer {made.json()['key']}"}
    assert door.client.get("/v1/models", headers=bearer).status_code == 200
    assert door.client.delete(f"/v1/keys/{made.json()['id']}", headers=bearer).json()["deleted"]
    assert refused(door.client.get("/v1/models", headers=bearer))
    assert refused(door.client.get("/v1/models"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_route_but_the_probes_asks_for_a_key(door: Door) -> None:
    tenant(door, "home")
    answers = {f"{method} {path}": call(door, method, path).status_code for method, path in routes()}
    assert {route for route, status in answers.items() if status != 401} == {"GET /healthz", "GET /readyz"}


def test_the_table_of_scopes_holds_every_route_and_nothing_else() -> None:
    assert set(scopes.SCOPES) == {f"{method} {path}" for method, path in routes()}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_key_opens_the_routes_of_its_scope_only(door: Door) -> None:
    for scope in Scope:
        holder = tenant(door, f"only-{scope}", scopes=[scope])
        opened = set()
        for method, path in routes():
            answer = holder.call(method, re.sub(r"{\w+}", "x", path))
            if answer.status_code != 403:
                opened.add(f"{method} {path}")
            else:
                assert answer.json()["code"] == "missing_scope"
        needed = {route for route, each in scopes.SCOPES.items() if each in {scope, None} or scope is Scope.ADMIN}
        assert opened == needed


@pytest.mark.parametrize(
    "shown",
    ["", "Bearer", "Bearer ", "Basic x", "Bearer sk-1", "Bearer strata_", "Bearer " + "a" * 9_000, "Bearer strata_é"],
)
def test_what_is_no_key_is_refused_without_asking_the_registry(door: Door, admin: Tenant, shown: str) -> None:
    admin.ok("GET", "/v1/models")
    asked = statements(door)
    assert refused(door.client.get("/v1/models", headers={"Authorization": shown.encode()}))
    wrong = admin.key[:-1] + ("0" if admin.key[-1] != "0" else "1")
    assert refused(door.client.get("/v1/models", headers={"Authorization": f"Bearer {wrong}"}))
    assert asked == []
    assert refused(door.client.get("/v1/models", headers={"Authorization": f"Bearer {mint()}"}))
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["api_key", "access_token", "token", "key", "anything"])
def test_a_key_in_the_address_is_refused(admin: Tenant, name: str) -> None:
    assert refused(admin.door.client.get("/v1/models", params={name: admin.key}))
    assert refused(admin.call("GET", "/v1/models", params={name: admin.key}))


def test_an_expired_key_opens_nothing(door: Door) -> None:
    holder = tenant(door, "home", expires_in_seconds=3600)
    assert holder.call("GET", "/v1/models").status_code == 200
    with door.registry.write() as work:
        work.connection.execute(update(API_KEY).values(expires_ms=work.now_ms() - 1))
    assert refused(holder.call("GET", "/v1/models"))


def test_a_call_costs_one_query_and_its_use_is_noted_now_and_then(door: Door, admin: Tenant) -> None:
    refused(door.client.get("/v1/methods"))  # now the API knows that there are keys
    asked = statements(door)
    for _ in range(3):
        admin.ok("GET", "/v1/methods")
    assert [text[:6] for text in asked if "api_key" in text] == ["SELECT", "UPDATE", "SELECT", "SELECT"]
    assert admin.ok("GET", "/v1/keys")["data"][0]["last_used_at"] is not None
    asked.clear()
    admin.ok("GET", "/v1/methods")
    assert len(asked) == 1


def test_keys_are_made_listed_and_revoked_over_http(admin: Tenant) -> None:
    body = {"name": "ci", "scopes": ["train", "read"], "expires_in_seconds": 60}
    made = admin.ok("POST", "/v1/keys", json=body)
    assert made["key"].startswith(made["hint"])
    assert made["scopes"] == ["read", "train"]
    listed = admin.ok("GET", "/v1/keys")["data"]
    assert [row["name"] for row in listed] == ["ci", "first"]
    assert "key" not in listed[0]
    admin.ok("DELETE", f"/v1/keys/{made['id']}")
    assert [row["name"] for row in admin.ok("GET", "/v1/keys")["data"]] == ["first"]
    assert admin.call("DELETE", f"/v1/keys/{made['id']}").json()["code"] == "key_not_found"
    for fault in ({"scopes": []}, {"scopes": ["all"]}, {"expires_in_seconds": 0}, {"project_id": "prj_x"}):
        assert admin.call("POST", "/v1/keys", json=body | fault).status_code == 422


def test_every_change_names_the_key_that_made_it(door: Door, admin: Tenant) -> None:
    things = line_up(admin, furnish(admin, "linnet"))
    admin.ok("POST", f"/v1/jobs/{things['waiting_job']}/cancel")
    admin.ok("POST", f"/v1/jobs/{things['waiting_job']}/retry")
    admin.ok("POST", "/v1/base-models", json={"name": "other", "source": "folder:/models/other"})
    admin.ok("PATCH", "/v1/projects/own", json={"max_open_jobs": 9})
    admin.ok("POST", "/v1/models/linnet/rollback", json={"version": "0"})
    admin.ok("PUT", "/v1/models/linnet/aliases/best", json={"version": "1"})
    admin.ok("DELETE", "/v1/models/linnet/aliases/best")
    admin.ok("DELETE", f"/v1/datasets/{admin.upload(label='lone', start=700)['id']}")
    admin.ok("DELETE", f"/v1/keys/{things['key']}")
    with door.registry.read() as work:
        rows = work.connection.execute(
            select(tables.EVENT).where(tables.EVENT.c.subject_id.not_in([admin.project_id, admin.key_id]))
        ).all()
        moves = work.connection.scalars(select(tables.ALIAS_MOVE.c.actor)).all()
    made = {row.kind if row.to_state is None else row.to_state for row in rows if row.actor == admin.key_id}
    told = {"created", "deleted", "revoked", "alias_moved", "alias_deleted", "ready", "queued", "cancelled"}
    assert made == told
    others = {row.actor for row in rows} | set(moves)
    assert others - {"worker-1"} == {admin.key_id, "user"}, "user made the base model, before there was a key"
    assert all(row.subject_id.startswith(("job_", "base_")) for row in rows if row.actor == "user")


def test_a_stream_ends_when_the_listeners_key_is_revoked(door: Door, admin: Tenant) -> None:
    job = line_up(admin, furnish(admin, "linnet"))["waiting_job"]
    listener = admin.ok("POST", "/v1/keys", json={"name": "ear", "scopes": ["read"]})
    asked = {"Authorization": f"Bearer {listener['key']}", "Accept": "text/event-stream"}
    revoking = threading.Timer(0.3, admin.ok, ["DELETE", f"/v1/keys/{listener['id']}"])
    revoking.start()
    with door.client.stream("GET", f"/v1/jobs/{job}/events", headers=asked) as answer:
        assert answer.status_code == 200
        heard = list(answer.iter_lines())
    revoking.join()
    assert any("queued" in line for line in heard)
    assert refused(door.client.get(f"/v1/jobs/{job}/events", headers=asked))


def test_a_streamed_answer_stops_when_the_callers_key_is_revoked(door: Door, admin: Tenant) -> None:
    from api.generations import Generation

    caller = keys.authenticate(door.registry, key=admin.key)
    app = door.client.app
    request = Request({"type": "http", "app": app})
    generation = Generation(app.state.context, caller=caller, request=request)  # type: ignore[attr-defined]
    generation._checked_at = float("-inf")
    admin.ok("DELETE", f"/v1/keys/{admin.key_id}")
    with pytest.raises(Exception, match="opens nothing"):
        generation._checked({"version_id": "ver_x"})


def test_a_key_is_kept_nowhere_and_told_once(
    door: Door, admin: Tenant, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with structlog.testing.capture_logs() as logged:
        made = admin.ok("POST", "/v1/keys", json={"name": "ci", "scopes": ["read"]})
        for shown in (made["key"], made["key"][:-1] + "!", admin.key):
            door.client.get("/v1/models", headers={"Authorization": f"Bearer {shown}"})
            door.client.get(f"/v1/models?api_key={shown}")
        admin.post_task(model="nobody", name="codes", dataset_id="data_0")
        admin.call("POST", "/v1/tasks", files={"file": ("a.jsonl", labelled(3))}, data={"model": "x", "name": "y"})
    secrets = [key.removeprefix("strata_")[6:] for key in (made["key"], admin.key)]
    rows, _ = door.contents()
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in secrets:
        assert secret not in repr(rows)
        assert secret not in repr(logged)
        assert secret not in "".join(capfd.readouterr())
        assert secret.encode() not in files
