"""46 to 57: keys, what they open, and what belongs to somebody else."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from cases import CANARY, Case, covers, hold, parametrised
from doors import Door, statements
from sqlalchemy import update
from tenants import Tenant, document, furnish, line_up, tenant

from core.domain.access import Scope, mint
from core.domain.identifiers import new_id
from core.registry.access_tables import API_KEY

CHALLENGE: Final = {"www-authenticate": 'Bearer realm="strata"'}
PROBES: Final = {"/healthz", "/readyz"}
JSON: Final = "application/json"


@dataclass(frozen=True)
class Two:
    """Two projects with one of everything each."""

    door: Door
    home: Tenant
    own: dict[str, str]
    foreign: dict[str, str]


def two_projects(door: Door) -> Two:
    home, abroad = tenant(door, "home"), tenant(door, "abroad")
    own, foreign = furnish(home, "linnet"), furnish(abroad, "wren")
    two = Two(door, home, line_up(home, own), line_up(abroad, foreign))
    # A key's use is noted now and then: now, so that no case does.
    home.ok("GET", "/v1/models")
    return two


@pytest.fixture(scope="module")
def two(desk: Door) -> Two:
    return two_projects(desk)


@pytest.fixture
def two_on_postgresql(desk_on_postgresql: Door) -> Two:
    return two_projects(desk_on_postgresql)


def routes() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, call in methods.items():
            if path not in PROBES:
                yield method.upper(), re.sub(r"{\w+}", "x", path), call


def everywhere(**headers: str) -> Callable[[Two], list[Any]]:
    """Return what calls every route that needs a key, with these headers."""
    return lambda two: [
        two.door.client.request(method, path, headers={name: value.encode() for name, value in headers.items()})
        for method, path, _ in routes()
    ]


def ended(two: Two, **column: int) -> str:
    """Return a key whose row says so."""
    holder = tenant(two.door, "ended")
    with two.door.registry.write() as work:
        row = {name: work.now_ms() + shift for name, shift in column.items()}
        work.connection.execute(update(API_KEY).where(API_KEY.c.id == holder.key_id).values(**row))
    return holder.key


def bodies_with(**fields: str) -> Callable[[Two], list[Any]]:
    """Return what sends ``fields`` to every route that reads JSON."""
    return lambda two: [
        two.home.call(method, path, json=fields)
        for method, path, call in routes()
        if JSON in call.get("requestBody", {}).get("content", {})
    ]


READS: Final = {
    "job": "/v1/jobs/{}", "waiting_job": "/v1/jobs/{}/events", "model": "/v1/models/{}", "model_name": "/v1/models/{}",
    "dataset": "/v1/datasets/{}", "version": "/v1/versions/{}", "task": "/v1/tasks/{}", "project": "/v1/projects/{}",
}  # fmt: skip
WRITES: Final = {
    "waiting_job": ("POST", "/v1/jobs/{}/cancel"), "model": ("DELETE", "/v1/models/{}"), "key": ("DELETE", "/v1/keys/{}"),
    "dataset": ("DELETE", "/v1/datasets/{}"), "version": ("DELETE", "/v1/versions/{}"),
}  # fmt: skip
UNKNOWN: Final = {"waiting_job": "job", "model_name": "model", "key": "key"}


def foreign(kind: str, method: str, path: str) -> Case:
    return Case(
        number=52,
        name=f"{method} of another project's {kind}",
        send=lambda two: two.home.call(method, path.format(two.foreign[kind])),
        code=f"{UNKNOWN.get(kind, kind)}_not_found",
    )


def task_on(dataset: Callable[[Two], str], **fields: Callable[[Two], str]) -> Callable[[Two], Any]:
    def send(two: Two) -> Any:
        more = {name: value(two) for name, value in fields.items()}
        body = {"model": "linnet", "name": "new", "dataset_id": dataset(two), **more}
        return two.home.call("POST", "/v1/tasks", json=body)

    return send


def of_own(kind: str) -> Callable[[Two], str]:
    return lambda two: two.own[kind]


def of_others(kind: str) -> Callable[[Two], str]:
    return lambda two: two.foreign[kind]


CASES: Final = [
    Case(number=46, name="no token", send=everywhere(), code="unauthorized", headers=CHALLENGE),
    *(
        Case(number=47, name=name, send=everywhere(Authorization=shown), code="unauthorized", headers=CHALLENGE)
        for name, shown in {
            "no scheme": CANARY,
            "another scheme": f"Basic {CANARY}",
            "nothing": "Bearer",
            "blank": "Bearer  ",
            "too long": "Bearer strata_" + "a" * 9_000,
            "non-ASCII": "Bearer strata_é",
            "two words": f"Bearer {mint()} x",
            "another prefix": "Bearer sk-" + "a" * 48,
            "capitals": "Bearer " + mint().upper(),
        }.items()
    ),
    Case(number=48, name="a key of nobody", send=everywhere(Authorization=f"Bearer {mint()}"), code="unauthorized"),
    Case(
        number=50,
        name="token in the query",
        send=lambda two: [
            two.home.call("GET", "/v1/models", params={name: value})
            for name, value in (("api_key", CANARY), ("access_token", CANARY), ("TOKEN", CANARY), ("q", two.home.key))
        ],
        code="unauthorized",
    ),
    *(foreign(kind, "GET", path) for kind, path in READS.items()),
    *(foreign(kind, method, path) for kind, (method, path) in WRITES.items()),
    Case(
        number=52,
        name="another project's model in a body",
        send=task_on(of_own("dataset"), model=of_others("model")),
        code="model_not_found",
        loc=["model"],
    ),
    Case(
        number=52,
        name="another project's version expected",
        send=task_on(of_own("dataset"), expected_parent=of_others("version")),
        code="parent_conflict",
        note="409 as for an id of nothing: the model's head is not that version",
    ),
    Case(number=53, name="foreign dataset", send=task_on(of_others("dataset")), code="dataset_not_found"),
    Case(
        number=53,
        name="foreign rows to evaluate on",
        send=task_on(of_own("dataset"), eval_dataset_id=of_others("dataset")),
        code="dataset_not_found",
    ),
    Case(number=54, name="project_id in the body", send=bodies_with(project_id=CANARY), code="invalid_request"),
    Case(
        number=55,
        name="the ids beside one's own",
        send=lambda two: [
            two.home.call("GET", f"/v1/jobs/job_{int(two.own['job'][4:], 16) + step:032x}") for step in (-2, -1, 1, 2)
        ],
        code="job_not_found",
    ),
]


def refuse_case(two: Two, case: Case) -> None:
    """As `refuse`, for those that need both projects."""
    before = two.door.contents()
    sent = case.send(two)
    for answer in sent if isinstance(sent, list) else [sent]:
        hold(answer, case)
    assert two.door.contents() == before, f"{case} left a trace"


@parametrised(CASES)
def test_who_may_not_is_refused_and_leaves_nothing(two: Two, case: Case) -> None:
    refuse_case(two, case)


def test_nobody_who_may_not_leaves_anything_on_postgresql(two_on_postgresql: Two, subtests: pytest.Subtests) -> None:
    for case in CASES:
        with subtests.test(str(case)):
            refuse_case(two_on_postgresql, case)


@covers(48)
@pytest.mark.parametrize("column", [{"revoked_ms": -1}, {"expires_ms": -1}, {"expires_ms": 0}])
def test_a_key_that_has_ended_opens_nothing(two: Two, column: dict[str, int]) -> None:
    key = ended(two, **column)
    name = "revoked or expired"
    case = Case(
        number=48, name=name, send=everywhere(Authorization=f"Bearer {key}"), code="unauthorized", headers=CHALLENGE
    )
    refuse_case(two, case)


@covers(49)
def test_a_mistyped_key_is_known_as_one_without_asking_the_registry(two: Two) -> None:
    wrong = two.home.key[:-1] + ("0" if two.home.key[-1] != "0" else "1")
    asked = statements(two.door)
    for answer in everywhere(Authorization=f"Bearer {wrong}")(two):
        assert answer.status_code == 401
    assert asked == []


@covers(51)
def test_a_key_that_reads_writes_nothing(two: Two) -> None:
    reader = tenant(two.door, "home", scopes=[Scope.READ])
    reader.ok("GET", "/v1/models")
    described = {(method, path): call["security"][0]["key"][0] for method, path, call in routes()}
    writing = [call for call, scope in described.items() if scope != "read"]
    assert len(writing) > 15
    case = Case(
        number=51,
        name="read-only key",
        send=lambda _: [reader.call(method, path) for method, path in writing],
        code="missing_scope",
    )
    refuse_case(two, case)


@covers(52, 53)
def test_what_belongs_to_others_is_answered_as_what_is_not_there(two: Two) -> None:
    for kind, path in READS.items():
        unknown = "nobody" if kind == "model_name" else new_id(two.foreign[kind].partition("_")[0])
        other, none = (two.home.call("GET", path.format(name)).json() for name in (two.foreign[kind], unknown))
        for told in (other, none):
            del told["instance"], told["request_id"]
        assert other == none


@covers(55)
def test_ids_cannot_be_guessed_and_guessing_is_slowed_down(two: Two) -> None:
    assert all(re.fullmatch(r"[a-z]+_[0-9a-f]{32}", two.own[kind]) for kind in READS if kind != "model_name")
    guesser = tenant(two.door, "guesser")
    guesser.ok("PATCH", "/v1/projects/own", json={"max_requests_per_minute": 5})
    answers = [guesser.call("GET", f"/v1/jobs/{new_id('job')}") for _ in range(8)]
    assert [answer.status_code for answer in answers] == [404] * 5 + [429] * 3
    assert int(answers[-1].headers["retry-after"]) >= 1


@covers(56)
def test_a_foreign_id_as_a_key_of_idempotency_is_a_word_like_any_other(two: Two) -> None:
    key = {"Idempotency-Key": two.foreign["job"]}
    first = two.home.call("POST", "/v1/models", json={"name": "first-of-a-word", "base_model": "tiny"}, headers=key)
    assert first.status_code == 201
    assert "idempotency-replayed" not in first.headers


@covers(57)
def test_a_stream_is_over_seconds_after_its_key_was_revoked(two: Two) -> None:
    listener = two.home.ok("POST", "/v1/keys", json={"name": "ear", "scopes": ["read"]})
    asked = {"Authorization": f"Bearer {listener['key']}", "Accept": "text/event-stream"}
    revoking = threading.Timer(0.3, two.home.ok, ["DELETE", f"/v1/keys/{listener['id']}"])
    revoking.start()
    with two.door.client.stream("GET", f"/v1/jobs/{two.own['waiting_job']}/events", headers=asked) as answer:
        heard = list(answer.iter_lines())
    revoking.join()
    assert heard
    assert two.door.client.get(f"/v1/jobs/{two.own['waiting_job']}/events", headers=asked).status_code == 401


@covers(42)
def test_with_keys_any_host_is_ours_as_long_as_it_is_one(two: Two) -> None:
    named = {"Host": "strata.example:443"}
    assert two.home.call("GET", "/v1/models", headers=named).status_code == 200
    for host in ("a b", "a/b", "<script>", "a@b", "", "[::1", "a:b"):
        answer = two.home.call("GET", "/v1/models", headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
