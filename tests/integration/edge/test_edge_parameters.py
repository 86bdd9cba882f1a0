"""66 to 77: base models and settings of tasks."""

import sys
from collections.abc import Callable
from typing import Any, Final

import pytest
from cases import Case, covers, one_of_each, parametrised, refuse, require_problem
from doors import Door
from posting import posted, task


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


PATHS: Final = [
    "/etc/passwd", "../x", "..", "file:///etc/passwd", "http://169.254.169.254/latest", "https://evil.example/m", "//a/b",
    "org/name", "org/name@{u}", "hub:org/name@{u}", "hub:org/name", "hub:../x@main", "hub:org/../x@main", "wheel:../x",
    "wheel:a/b", "folder:relative", "folder:", "folder:/a/../b", "folder:/a/./b", "hub:a//b@c", "hub:org/name@a/b", "hub:@",
    "hub:org/name@", "HUB:org/name@main", " hub:org/name@main", "hub:org/name@main\n", "s3://bucket/x",
]  # fmt: skip
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
]  # fmt: skip


@parametrised(CASES)
def test_what_cannot_be_asked_is_refused_and_leaves_nothing(bench: Door, case: Case) -> None:
    refuse(bench, case)


def test_nothing_that_cannot_be_asked_leaves_anything_on_postgresql(
    bench_on_postgresql: Door, subtests: pytest.Subtests
) -> None:
    for case in one_of_each(CASES):
        with subtests.test(str(case)):
            refuse(bench_on_postgresql, case)


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
