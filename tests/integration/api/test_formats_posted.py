"""Conversations and plain text, from the upload to the engine's request."""

import json
from typing import Any

import pytest
import stage
from doors import Door, places, prompted

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SYSTEM = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "When?"}
PLAIN = b"".join(b'{"text": "The harbour was built in %d."}\n' % year for year in range(1700, 1720))


def talks(n_rows: int, *, last: str = "assistant") -> bytes:
    rows = (
        {
            "messages": [
                SYSTEM,
                ASK,
                {"role": "assistant", "content": "Now.", "weight": 0},
                {"role": "user", "content": f"And on day {n}?"},
                {"role": last, "content": f"At {n}."},
            ]
        }
        for n in range(n_rows)
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def on_base(door: Door, **facts: Any) -> Door:
    """Give the service a model named `chat` on a base with these facts."""
    stage.ready_base(door.registry, "other", facts=stage.FACTS.model_copy(update=facts))
    door.client.post("/v1/models", json={"name": "chat", "base_model": "other"}).raise_for_status()
    return door


def upload(door: Door, content: bytes) -> Any:
    answer = door.client.post("/v1/datasets", files={"file": ("a.jsonl", content)})
    assert answer.status_code == 201, answer.text
    return answer.json()


@on_sqlite
def test_the_preview_of_a_conversation_shows_roles_and_what_is_learned(door: Door) -> None:
    made = upload(door, talks(12))
    assert (made["format"], made["n_rows"], made["labels"]) == ("messages", 12, None)
    (row,) = door.client.get(f"/v1/datasets/{made['id']}/preview", params={"limit": 1}).json()["data"]
    assert [(span["role"], span["masked"]) for span in row["spans"]] == [
        ("system", True),
        ("user", True),
        ("assistant", True),
        ("user", True),
        ("assistant", False),
    ]
    assert row["spans"][-1]["text"] == "At 0."


@on_sqlite
def test_the_preview_of_plain_text_shows_all_of_it_as_learned(door: Door) -> None:
    made = upload(door, PLAIN)
    assert made["format"] == "text"
    (row,) = door.client.get(f"/v1/datasets/{made['id']}/preview", params={"limit": 1}).json()["data"]
    assert row["spans"] == [{"role": "target", "masked": False, "text": "The harbour was built in 1700."}]


@on_sqlite
def test_a_model_without_a_chat_template_refuses_conversations_before_they_are_queued(desk: Door) -> None:
    before = desk.contents()
    answer = desk.post_task(file=talks(12))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert places(answer) == [["model"]]
    assert "chat template" in answer.json()["errors"][0]["message"]
    assert desk.contents() == before


@on_sqlite
def test_a_seq2seq_model_refuses_plain_text(door: Door) -> None:
    before = on_base(door, family="seq2seq").contents()
    answer = door.post_task(fields={"model": "chat"}, file=PLAIN)
    assert (answer.status_code, places(answer)) == (422, [["model"]])
    assert "text alone" in answer.json()["errors"][0]["message"]
    assert door.contents() == before


@on_sqlite
@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"file": talks(12, last="user")}, ["file"]),
        ({"file": talks(12, last="tool")}, ["file"]),
        ({"file": b'{"messages": []}\n' * 2}, ["file"]),
        ({"file": talks(12), "eval_file": talks(2)}, ["eval_file"]),
        ({"file": talks(12), "eval_file": PLAIN}, ["eval_file"]),
        ({"file": PLAIN, "eval_file": prompted(3)}, ["eval_file"]),
        ({"file": PLAIN + b'{"text": "a", "label": "b"}\n'}, ["file"]),
        ({"file": PLAIN, "eval_file": PLAIN}, ["eval_file"]),
    ],
)
def test_a_bad_file_of_either_format_is_refused_and_leaves_nothing(
    door: Door, files: dict[str, bytes], place: list[str]
) -> None:
    before = on_base(door, chat_template="{{ messages }}").contents()
    answer = door.post_task(fields={"model": "chat"}, **files)
    assert (answer.status_code, places(answer)[0]) == (422, place), answer.text
    assert door.contents() == before


@on_sqlite
def test_a_task_of_conversations_is_asked_by_messages(door: Door) -> None:
    on_base(door, chat_template="{{ messages }}")
    door.echo.version_id = door.resolve("chat@0")
    posted = door.post_task(fields={"model": "chat"}, file=talks(12))
    assert posted.status_code == 202, posted.text
    body = {"model": "chat", "task": "codes", "input": {"messages": [SYSTEM, ASK]}}
    assert door.client.post("/generate", json=body).status_code == 200
    (request,) = door.echo.requests
    assert request["messages"] == [SYSTEM, ASK]
    assert "prompt" not in request
    for inputs in ({"messages": []}, {"text": "When?"}, {"messages": [ASK | {"role": "tool"}]}):
        answer = door.client.post("/generate", json=body | {"input": inputs})
        assert answer.status_code == 422, answer.text


@on_sqlite
def test_a_task_of_plain_text_is_asked_by_text(desk: Door) -> None:
    desk.echo.version_id = desk.resolve("desk@0")
    assert desk.post_task(file=PLAIN).status_code == 202
    body = {"model": "desk", "task": "codes", "input": {"text": "The harbour"}}
    assert desk.client.post("/generate", json=body).status_code == 200
    assert desk.echo.requests[0]["prompt"] == "The harbour"


@pytest.mark.parametrize(("content", "inputs"), [(talks(12), [SYSTEM, ASK]), (PLAIN, None)])
def test_a_finished_task_shows_how_to_try_it_and_its_own_metric(
    door: Door, content: bytes, inputs: list[dict[str, str]] | None
) -> None:
    on_base(door, chat_template="{{ messages }}")
    job_id = door.post_task(fields={"model": "chat"}, file=content).json()["id"]
    metric = "exact_match" if inputs else "token_accuracy"
    with door.registry.write() as work:
        job = stage.claim(work)
        scores = [
            stage.result(job.task_id or "", 0.25, metric=metric),
            stage.result(job.task_id or "", 9.5, metric="perplexity"),
            stage.result(job.task_id or "", 0.125, subject="base", metric=metric),
        ]
        stage.publish(work, job, scores)
    tried = door.client.get(f"/v1/jobs/{job_id}").json()["try_it"]
    assert '"task": "codes"' in tried
    assert ('"messages": [{"role": "system"' in tried) is bool(inputs)
    matrix = door.client.get("/v1/models/chat/evaluations").json()
    assert (matrix["metrics"], matrix["scores"], matrix["base_scores"]) == ([metric], [[0.25]], [0.125])
    assert matrix["oa"] == 0.25
