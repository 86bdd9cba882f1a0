"""The client, as its users call it."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fake_service import FakeService, job, problem

from strata import Client, StrataAPIError
from strata.client import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    NotReadyError,
    ServiceUnavailableError,
    ServiceUnreachableError,
    UnexpectedAnswerError,
)


def test_importing_strata_loads_neither_torch_nor_an_http_library() -> None:
    code = "import sys, strata; print([name for name in ('torch', 'httpx', 'pydantic') if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_client_and_the_command_never_load_torch() -> None:
    code = "import sys, strata.client, strata.cli; print([n for n in ('torch', 'transformers') if n in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_key_goes_with_every_request(service: FakeService, client: Client) -> None:
    service.on("GET /healthz", {"status": "ok"})
    client.health()
    assert service.requests[0].headers["authorization"] == "Bearer key_1"


def test_a_field_that_is_not_known_yet_is_kept(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs/job_1", job(colour="blue"))
    assert client.jobs.get("job_1").to_json()["colour"] == "blue"


def test_a_list_is_read_page_after_page(service: FakeService, client: Client) -> None:
    first = {"object": "list", "data": [job()], "last_id": "job_1", "has_more": True}
    last = {"object": "list", "data": [{**job(), "id": "job_2"}], "last_id": "job_2", "has_more": False}
    service.on("GET /v1/jobs", first, last)
    assert [row.id for row in client.jobs.list(model="helper")] == ["job_1", "job_2"]
    assert dict(service.requests[1].url.params) == {"model": "helper", "limit": "100", "after": "job_1"}


def test_a_limit_ends_the_list(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs", {"object": "list", "data": [job()], "last_id": "job_1", "has_more": True})
    assert len(list(client.jobs.list(limit=1))) == 1
    assert len(service.requests) == 1


def test_a_task_file_goes_up_with_its_fields_before_it(service: FakeService, client: Client, tmp_path: Path) -> None:
    rows = tmp_path / "train.jsonl"
    rows.write_text('{"text": "a", "label": "b"}\n')
    service.on("POST /v1/tasks", job(), status=202)
    posted = client.tasks.submit("helper", rows, name="codes", eval_file=rows, spec={"training": {"epochs": 3}})
    body = service.requests[0].content
    assert posted.state == "queued"
    assert service.requests[0].headers["content-type"].startswith("multipart/form-data")
    places = [body.index(part) for part in (b'name="model"', b'{"training": {"epochs": 3}}', b'name="file"')]
    assert places == sorted(places)
    assert b'name="eval_file"; filename="train.jsonl"' in body


def test_rows_in_memory_go_up_as_json_lines(service: FakeService, client: Client) -> None:
    service.on("POST /v1/tasks", job(), status=202)
    client.tasks.submit(
        "helper", rows=[{"prompt": "p\u2028", "completion": "c"}, {"prompt": "q", "completion": "d"}], name="t"
    )
    assert (
        b'{"prompt": "p\\u2028", "completion": "c"}\n{"prompt": "q", "completion": "d"}\n'
        in service.requests[0].content
    )


def test_a_dataset_that_is_there_is_named_in_json(service: FakeService, client: Client) -> None:
    service.on("POST /v1/tasks", job(), status=202)
    client.tasks.submit("helper", dataset_id="data_1", name="t", expected_parent="ver_1")
    assert service.sent() == {
        "model": "helper", "name": "t", "dataset_id": "data_1", "expected_parent": "ver_1", "spec": {},
    }  # fmt: skip


@pytest.mark.parametrize("source", [{}, {"rows": [], "dataset_id": "data_1"}, {"file": "x", "rows": []}])
def test_a_task_has_one_source_of_rows(client: Client, source: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="give e"):
        client.tasks.submit("helper", name="t", **source)  # type: ignore[arg-type]


def test_not_a_number_is_never_sent(service: FakeService, client: Client) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        client.tasks.submit("helper", rows=[], name="t", spec={"training": {"learning_rate": float("nan")}})
    assert not service.requests


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, InvalidRequestError),
        (425, NotReadyError),
        (503, ServiceUnavailableError),
        (500, UnexpectedAnswerError),
    ],
)
def test_each_status_is_an_error_of_its_own(
    service: FakeService, client: Client, status: int, kind: type[StrataAPIError]
) -> None:
    service.on("GET /v1/jobs/job_1", problem(status, "some_code", "told"))
    with pytest.raises(kind) as caught:
        client.jobs.get("job_1")
    assert (type(caught.value), caught.value.code, caught.value.status) == (kind, "some_code", status)


def test_an_error_carries_its_places_and_what_to_do_next(service: FakeService, client: Client) -> None:
    places = [{"loc": ["file"], "line": 7, "message": "not JSON", "hint": "close the brace"}]
    service.on("POST /v1/tasks", problem(422, "invalid_dataset", "one line is bad", places))
    with pytest.raises(InvalidRequestError) as caught:
        client.tasks.submit("helper", rows=[], name="t")
    assert caught.value.places[0].line == 7
    assert str(caught.value) == "one line is bad; line 7, file: not JSON (close the brace)"


def test_an_unknown_model_says_how_to_find_one(service: FakeService, client: Client) -> None:
    service.on("GET /v1/models/x", problem(404, "model_not_found", "no such model"))
    with pytest.raises(NotFoundError) as caught:
        client.models.get("x")
    assert "strata models list" in (caught.value.next_step or "")


def test_a_service_that_is_not_there_says_how_to_start_it(service: FakeService, client: Client) -> None:
    service.on("GET /healthz", httpx.ConnectError("refused"))
    with pytest.raises(ServiceUnreachableError) as caught:
        client.health()
    assert "strata up" in (caught.value.next_step or "")


@pytest.mark.parametrize("body", [b"<html>", b"[1", b""])
def test_an_error_of_somebody_else_is_not_taken_for_ours(service: FakeService, client: Client, body: bytes) -> None:
    service.on("GET /healthz", httpx.Response(502, content=body))
    with pytest.raises(UnexpectedAnswerError, match="502"):
        client.health()


def test_an_answer_that_is_no_job_is_refused(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs/job_1", {"something": "else"})
    with pytest.raises(UnexpectedAnswerError, match="Job"):
        client.jobs.get("job_1")


def test_a_name_stays_one_segment_of_the_path(service: FakeService, client: Client) -> None:
    service.on("GET /v1/models/..%2Fjobs", {})
    with pytest.raises(NotFoundError):
        client.models.get("../jobs")
    assert service.requests[0].url.raw_path == b"/v1/models/..%2Fjobs"


def test_generation_sends_what_was_given_and_nothing_else(service: FakeService, client: Client) -> None:
    service.on("POST /v1/generate", {"model": "helper", "version": "helper@2", "choices": [{"text": " amber"}]})
    answer = client.generate("helper", task="codes", input={"text": "a"}, max_tokens=4, seed=None)
    assert (answer.text, answer.version) == (" amber", "helper@2")
    assert service.sent() == {"model": "helper", "task": "codes", "input": {"text": "a"}, "max_tokens": 4}


def test_a_streamed_answer_comes_in_pieces(service: FakeService, client: Client) -> None:
    pieces = [{"choices": [{"text": "am\u2028"}]}, {"choices": [{"text": "ber", "finish_reason": "stop"}]}]
    body = "".join(f"data: {json.dumps(piece, ensure_ascii=False)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
    service.on("POST /v1/generate", httpx.Response(200, content=body.encode()))
    assert [piece.text for piece in client.stream("helper", "p")] == ["am\u2028", "ber"]
    assert service.sent()["stream"] is True


@pytest.mark.parametrize(
    "end",
    [
        b'data: {"code": "unavailable", "detail": "gone"}\n\n',
        b'data: {"error": {"code": "unavailable", "message": "gone"}}\n\n',
    ],
)
def test_an_error_in_mid_stream_is_raised(service: FakeService, client: Client, end: bytes) -> None:
    service.on("POST /v1/generate", httpx.Response(200, content=b'data: {"choices": [{"text": "a"}]}\n\n' + end))
    pieces = client.stream("helper", "p")
    assert next(pieces).text == "a"
    with pytest.raises(ServiceUnavailableError, match="gone"):
        next(pieces)


def test_a_stream_that_breaks_off_is_no_answer(service: FakeService, client: Client) -> None:
    service.on("POST /v1/generate", httpx.Response(200, content=b'data: {"choices": []}\n\n'))
    with pytest.raises(UnexpectedAnswerError, match="broke off"):
        list(client.stream("helper", "p"))


def test_a_refused_stream_is_an_error_like_any_other(service: FakeService, client: Client) -> None:
    service.on("POST /v1/generate", problem(404, "model_not_found", "no such model"))
    with pytest.raises(NotFoundError):
        list(client.stream("x", "p"))
