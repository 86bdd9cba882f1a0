"""78 to 89: parents, jobs, versions and names."""

from collections.abc import Callable
from itertools import count
from typing import Any, Final

import pytest
import stage
from cases import CANARY, Case, covers, one_of_each, parametrised, refuse, require_problem
from doors import Door, labelled
from posting import dataset_of, posted, task

from core.domain.jobs import JobState
from core.services import versions as version_services
from core.services.publication import mark_corrupt

_NUMBERS: Final = count()


def job_of(door: Door, state: str) -> str:
    found: str = door.client.get(f"/v1/jobs?model=desk&state={state}").json()["data"][0]["id"]
    return found


NAMES: Final = [
    "../x", "a/b", "a\\b", "CON", "nul.", "trailing.", ".hidden", "-dash", "a..b", "a" * 64, "a" * 199, "e\u0301t\u00e9", "\u00e9t\u00e9",
    "\u202egnp", "a\u200bb", "\U0001f600", "a b", " a", "a\n", "a\tb", "a%2fb", "a@1", "a:latest", "mdl_1", "job_x", "C:", "~", "*",
]  # fmt: skip
NAMED: Final[dict[str, Callable[[Door, str], Any]]] = {
    "model": lambda door, name: door.client.post("/v1/models", json={"name": name, "base_model": "tiny"}),
    "base model": lambda door, name: door.client.post("/v1/base-models", json={"name": name, "source": "folder:/m"}),
    "task": lambda door, name: task(name=name)(door),
    "task by form": lambda door, name: door.post_task(fields={"name": name}, file=labelled(20, start=1)),
    "key": lambda door, name: door.client.post("/v1/keys", json={"name": name, "scopes": ["read"]}),
}
IN_ONE_WAY: Final = "cannot be written in two ways: capitals are no part of a name"

CASES: Final = [
    Case(
        number=79,
        name="parent of another model",
        send=lambda door: task(expected_parent=door.resolve("shelf:latest"))(door),
        code="invalid_request",
        loc=["expected_parent"],
    ),
    Case(
        number=79,
        name="alias to a version of another model",
        send=lambda door: [
            door.client.put("/v1/models/desk/aliases/best", json={"version": "shelf@1"}),
            door.client.post("/v1/models/desk/rollback", json={"version": door.resolve("shelf@1")}),
        ],
        code="invalid_request",
        loc=["version"],
    ),
    Case(
        number=80,
        name="another base than the model's",
        send=task(base_model="wide"),
        code="invalid_request",
        loc=["base_model"],
        note="422: a task names no base, its model has one",
    ),
    Case(
        number=81,
        name="a dataset that was refused",
        send=task(dataset_id="data_" + "0" * 32),
        code="dataset_not_found",
        note="404: a dataset is ready once it is there, and a refused file leaves none",
    ),
    Case(
        number=82,
        name="deletion of a dataset in use",
        send=lambda door: door.client.delete(f"/v1/datasets/{dataset_of(door)}"),
        code="dataset_in_use",
        headers={"x-should-retry": "false"},
    ),
    *(
        Case(
            number=84,
            name=f"{verb} of a finished job",
            send=lambda door, verb=verb: door.client.post(f"/v1/jobs/{job_of(door, 'succeeded')}/{verb}"),
            code="wrong_state",
        )
        for verb in ("cancel", "pause", "resume", "retry")
    ),
    *(
        Case(
            number=86,
            name=f"deletion of {version}",
            send=lambda door, version=version: door.client.delete(f"/v1/versions/{version}"),
            code="version_in_use",
        )
        for version in ("desk:latest", "desk@0", "shelf@1")
    ),
    *(
        Case(
            number=87,
            name=f"{what} named {name[:24]!r} of {len(name)}",
            send=lambda door, send=send, name=name: send(door, name),
            code="invalid_name",
            loc=["name"],
        )
        for what, send in NAMED.items()
        for name in NAMES
    ),
    *(
        Case(number=87, name=f"{what} with a name of 300 characters", send=lambda door, send=send: send(door, "a" * 300), code="invalid_request")
        for what, send in NAMED.items()
    ),
    Case(
        number=87,
        name="alias",
        send=lambda door: [
            door.client.put(f"/v1/models/desk/aliases/{name}", json={"version": "1"}) for name in ("CON", "a..b", "a.", "a@1")
        ],
        code="invalid_name",
    ),
    *(
        Case(
            number=88,
            name=f"{what} in capitals",
            send=lambda door, send=send, name=name: send(door, name),
            code="invalid_name",
            note=f"422: a name {IN_ONE_WAY}",
        )
        for what, (send, name) in {
            "model": (NAMED["model"], "Desk"), "base model": (NAMED["base model"], "TINY"), "task": (NAMED["task"], "FIRST"),
        }.items()
    ),
    *(
        Case(
            number=89,
            name=f"{field} to {url}",
            send=lambda door, field=field, url=url: [
                task(**{field: url})(door),
                posted("/v1/models", name="never", base_model="tiny", **{field: url})(door),
            ],
            code="invalid_request",
            loc=[field],
            note="no webhooks are offered: the field is unknown, whatever it names",
        )
        for field in ("webhook", "webhook_url", "callback")
        for url in ("http://127.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://2130706433/", "gopher://localhost./", f"https://{CANARY}@a/")
    ),
]  # fmt: skip


@parametrised(CASES)
def test_what_is_in_the_wrong_state_is_refused_and_leaves_nothing(bench: Door, case: Case) -> None:
    refuse(bench, case)


def test_nothing_in_the_wrong_state_leaves_anything_on_postgresql(
    bench_on_postgresql: Door, subtests: pytest.Subtests
) -> None:
    for case in one_of_each(CASES):
        with subtests.test(str(case)):
            refuse(bench_on_postgresql, case)


def fresh(door: Door, *, versions: int = 1) -> str:
    """Return the name of a new model with so many versions."""
    number = next(_NUMBERS)
    name = f"fresh-{number}"
    door.client.post("/v1/models", json={"name": name, "base_model": "tiny"}).raise_for_status()
    for n in range(versions):
        rows = labelled(20, start=1_000 * (number + 1) + 100 * n)
        door.post_task(fields={"model": name, "name": f"task-{n}"}, file=rows).raise_for_status()
        with door.registry.write() as work:
            stage.publish(work, stage.claim(work))
    return name


@covers(78)
def test_a_deleted_version_is_nobodys_parent(bench: Door) -> None:
    model = fresh(bench)
    gone = bench.resolve(f"{model}:latest")
    for alias in ("latest", "stable"):
        bench.client.put(f"/v1/models/{model}/aliases/{alias}", json={"version": "0"}).raise_for_status()
    bench.client.delete(f"/v1/versions/{gone}").raise_for_status()
    refuse(
        bench,
        Case(
            number=78,
            name="task",
            send=task(model=model, dataset_id=dataset_of(bench), expected_parent=gone),
            code="parent_conflict",
        ),
    )
    back = Case(
        number=78,
        name="rollback",
        send=lambda door: door.client.post(f"/v1/models/{model}/rollback", json={"version": gone}),
        code="wrong_state",
    )
    refuse(bench, back)


@covers(81)
def test_a_refused_file_leaves_no_dataset_behind_that_could_be_named(bench: Door) -> None:
    before = bench.contents()
    answer = bench.client.post("/v1/datasets", files={"file": ("a.jsonl", b"{")})
    require_problem(answer, "invalid_dataset")
    assert "location" not in answer.headers
    assert bench.contents() == before


@covers(83)
def test_a_project_at_its_limit_is_told_when_to_come_again(bench: Door) -> None:
    bench.client.patch("/v1/projects/own", json={"max_open_jobs": 0}).raise_for_status()
    try:
        case = Case(number=83, name="cap", send=task(), code="too_many_open_jobs", headers={"retry-after": "30"})
        refuse(bench, case)
    finally:
        bench.client.patch("/v1/projects/own", json={"max_open_jobs": None}).raise_for_status()


@covers(84)
def test_cancelling_twice_is_answered_twice_alike(bench: Door) -> None:
    waiting = task(name=f"waiting-{next(_NUMBERS)}")(bench).json()["id"]
    first, again = (bench.client.post(f"/v1/jobs/{waiting}/cancel") for _ in range(2))
    assert (first.status_code, first.json()["state"]) == (202, JobState.CANCELLED)
    assert (again.status_code, again.content) == (202, first.content)


@covers(85)
def test_a_corrupt_version_is_not_promoted(bench: Door) -> None:
    model = fresh(bench)
    spoiled = bench.resolve(f"{model}:latest")
    with bench.registry.write() as work:
        mark_corrupt(work, version_id=spoiled, reason="digest")
        assert version_services.resolve(work, project_id=stage.PROJECT, reference=f"{model}:latest").number == 0
    for send in (
        lambda door: door.client.put(f"/v1/models/{model}/aliases/latest", json={"version": "1"}),
        lambda door: door.client.post(f"/v1/models/{model}/rollback", json={"version": spoiled}),
    ):
        refuse(bench, Case(number=85, name="corrupt", send=send, code="wrong_state"))
