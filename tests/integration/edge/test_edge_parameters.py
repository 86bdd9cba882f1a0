"""66 to 89: jobs, and what they are asked to do."""

import sys
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import pytest
import stage
from cases import CANARY, Case, covers, parametrised, refuse, require_problem
from doors import Door, labelled

from core.domain.jobs import JobState
from core.services import versions as version_services
from core.services.publication import mark_corrupt

_NUMBERS: Final = count()
# Modules so large that a rank decides whether a task fits the memory of the tests' service.
WIDE: Final = stage.FACTS.model_copy(update={"modules": dict.fromkeys(stage.FACTS.modules, (1024, 1024))})


def dataset_of(door: Door, model: str = "desk") -> str:
    found: str = door.client.get(f"/v1/tasks?model={model}&order=asc").json()["data"][0]["dataset_id"]
    return found


def task(model: str = "desk", **fields: Any) -> Callable[[Door], Any]:
    """Return what posts a task on the model's own first file."""

    def send(door: Door) -> Any:
        body = {"model": model, "name": "never", "dataset_id": dataset_of(door), **fields}
        return door.client.post("/v1/tasks", json=body)

    return send


def spec(**fields: Any) -> Callable[[Door], list[Any]]:
    """Return what posts a task with a spec, and asks for its estimate."""
    return lambda door: [task(spec=fields)(door), task(spec=fields, dry_run=True)(door)]


def bad(number: int, section: str, name: str, *values: Any, note: str = "") -> list[Case]:
    """Return the cases of one setting with values that it cannot have."""
    return [
        Case(
            number=number,
            name=f"{section}.{name} {str(value)[:24]}",
            send=spec(**{section: {name: value}}),
            code="invalid_request",
            loc=["spec", section, name],
            note=note,
        )
        for value in values
    ]


def posted(path: str, **body: Any) -> Callable[[Door], Any]:
    return lambda door: door.client.post(path, json=body)


def job_of(door: Door, state: str) -> str:
    found: str = door.client.get(f"/v1/jobs?model=desk&state={state}").json()["data"][0]["id"]
    return found


PATHS: Final = [
    "/etc/passwd", "../x", "..", "file:///etc/passwd", "http://169.254.169.254/latest", "https://evil.example/m", "//a/b",
    "org/name", "org/name@{u}", "hub:org/name@{u}", "hub:org/name", "hub:../x@main", "hub:org/../x@main", "wheel:../x",
    "wheel:a/b", "folder:relative", "folder:", "folder:/a/../b", "folder:/a/./b", "hub:a//b@c", "hub:org/name@a/b", "hub:@",
    "hub:org/name@", "HUB:org/name@main", " hub:org/name@main", "hub:org/name@main\n", "s3://bucket/x",
]  # fmt: skip
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
        number=66,
        name="unknown base model",
        send=posted("/v1/models", name="never", base_model="nobody"),
        code="unknown_base_model",
        loc=["base_model"],
    ),
    *(
        Case(
            number=67,
            name=f"base model {path!r}",
            send=posted("/v1/models", name="never", base_model=path),
            code="unknown_base_model",
            loc=["base_model"],
        )
        for path in PATHS
    ),
    *(
        Case(
            number=67,
            name=f"source {path!r}",
            send=posted("/v1/base-models", name="never", source=path),
            code="invalid_source",
            loc=["source"],
        )
        for path in PATHS
    ),
    *(
        Case(
            number=68,
            name=f"hub id {name[:24]}",
            send=posted("/v1/base-models", name="never", source=f"hub:{name}@main"),
            code="invalid_source",
            loc=["source"],
        )
        for name in ("o/" + "a" * 97, "o" * 97 + "/a", "org/a--b", "org/a..b", "org/-a", "org/a-", "org/a.", "a/b/c", "org")
    ),
    *(
        Case(number=69, name=f"{field} of {path}", send=posted(path, **body, **{field: True}), code="invalid_request", loc=[field])
        for field in ("trust_remote_code", "code", "auto_map")
        for path, body in {
            "/v1/models": {"name": "never", "base_model": "tiny"},
            "/v1/base-models": {"name": "never", "source": "folder:/m"},
            "/v1/generate": {"model": "desk", "prompt": "a"},
        }.items()
    ),
    *bad(69, "adapter", "trust_remote_code", True),
    *bad(69, "training", "trust_remote_code", True),
    *bad(70, "adapter", "rank", 0, -1, 17, 4_097, 10**30, "8", 8.0, True, None),
    Case(
        number=71,
        name="rank times layers over the memory",
        send=task(model="wide", spec={"adapter": {"rank": 1_024}}),
        code="invalid_request",
        loc=["spec"],
    ),
    *bad(72, "training", "learning_rate", 0, -0.1, 1.1, 10**400, "1e-3"),
    *bad(73, "training", "epochs", 0, -1, 10**9),
    *bad(73, "training", "max_steps", 0, -1, 10**9),
    *bad(74, "training", "batch_size", 0, -1, 1_025),
    *bad(74, "training", "gradient_accumulation", 0, 1_025),
    *bad(74, "training", "max_source_tokens", 0, 1_025, 131_073),
    *bad(74, "training", "max_target_tokens", 0, 1_025, 32_769),
    *bad(75, "training", "seed", -1, 2**32, 2**63, note="a seed has 32 bits, as the libraries' have"),
    *bad(76, "adapter", "bandwidth", 0, -0.1, 1.1),
    *bad(76, "adapter", "first_interpolation", -0.1, 1.1),
    *bad(76, "adapter", "final_interpolation", -0.1, 1.1),
    *bad(76, "adapter", "threshold", 0.5, "none", note="a threshold is learned: what is chosen is how many there are"),
    Case(
        number=77,
        name="unknown target module",
        send=spec(adapter={"target_modules": ["q_proj", "no_such"]}),
        code="invalid_request",
        loc=["spec", "adapter", "target_modules", 1],
    ),
    Case(
        number=77,
        name="an expression that never ends",
        send=spec(adapter={"target_modules": "(l|a|y|e|r|s|la|ay|ye|er|rs|layers)+(x+x+)+y"}),
        code="invalid_request",
        loc=["spec", "adapter", "target_modules"],
    ),
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


def prepared(door: Door) -> Door:
    """Add a model on a wide base, and a second version to `shelf`."""
    stage.ready_base(door.registry, "wide", facts=WIDE)
    door.client.post("/v1/models", json={"name": "wide", "base_model": "wide"}).raise_for_status()
    for model, name, start in (("wide", "first", 300), ("shelf", "second", 400)):
        door.post_task(fields={"model": model, "name": name}, file=labelled(20, start=start)).raise_for_status()
        with door.registry.write() as work:
            stage.publish(work, stage.claim(work))
    return door


@pytest.fixture(scope="module")
def bench(desk: Door) -> Door:
    return prepared(desk)


@pytest.fixture
def bench_on_postgresql(desk_on_postgresql: Door) -> Door:
    return prepared(desk_on_postgresql)


@parametrised(CASES)
def test_what_cannot_be_asked_is_refused_and_leaves_nothing(bench: Door, case: Case) -> None:
    refuse(bench, case)


def test_nothing_that_cannot_be_asked_leaves_anything_on_postgresql(
    bench_on_postgresql: Door, subtests: pytest.Subtests
) -> None:
    for case in CASES:
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


@covers(67)
def test_no_file_and_no_socket_is_touched_for_a_base_model_that_is_named_by_a_path(bench: Door) -> None:
    touched: list[str] = []
    watching = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching[0] and event in {"open", "os.listdir", "socket.connect", "socket.getaddrinfo"}:
            touched.append(f"{event} {arguments[:1]!r}")

    sys.addaudithook(hook)
    try:
        for path in PATHS:
            assert bench.client.post("/v1/models", json={"name": "never", "base_model": path}).status_code == 422
            assert bench.client.post("/v1/base-models", json={"name": "never", "source": path}).status_code == 422
    finally:
        watching[0] = False
    assert [each for each in touched if "passwd" in each or "socket" in each] == []


@covers(70, 71)
def test_a_limit_is_named(bench: Door) -> None:
    (place,) = require_problem(task(spec={"adapter": {"rank": 17}})(bench), "invalid_request")["errors"]
    assert place["message"] == "must be at most 16, the smallest adapted dimension"
    (place,) = require_problem(CASES_OF[71].send(bench), "invalid_request")["errors"]
    assert f"over the limit of {bench.settings.task_memory_bytes} bytes" in place["message"]
    assert task(model="wide", dry_run=True)(bench).status_code == 200, "a usual rank fits"


CASES_OF: Final = {case.number: case for case in CASES}


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
