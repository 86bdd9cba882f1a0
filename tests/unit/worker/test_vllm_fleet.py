"""vLLM servers behind the API, against servers that behave as vLLM documents, over real HTTP."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.tiny_models import tiny_llama
from tests.tiny_versions import Shelf
from tests.vllm_fleets import FOLLOWS, Fleet, in_place, restarted
from worker.compute.vllm.publisher import FAILED, PUBLISHED
from worker.compute.vllm.ways import link_of, point


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    root = tmp_path_factory.mktemp("shelf")
    return Shelf(root, tiny_llama(root / "base"))


def test_servers_read_a_new_version_in_place_one_after_another_as_vllm_documents_it(
    shelf: Shelf, tmp_path: Path
) -> None:
    first = shelf.child(shelf.original(), seed=1)
    second = shelf.child(first, seed=2)
    with in_place(shelf, tmp_path) as made:
        made.follow(first)
        answer = made.ask()
        assert (answer["version_id"], answer["choices"][0]["text"]) == (first.version_id, f"{made.says(first)} one two")
        kept = made.snapshots.path(first.version_id)
        made.follow(second)
        assert made.ask()["choices"][0]["text"] == f"{made.says(second)} one two"
        assert not kept.exists(), "nobody answers by it any more"
        for fake in made.fakes:
            steps = ["sleep", "wake_up weights", "reload_weights", "wake_up kv_cache"]
            assert fake.calls == steps * 2
        assert [(version, kind) for version, kind, _ in made.ledger.events] == [
            (first.version_id, PUBLISHED),
            (second.version_id, PUBLISHED),
        ]
        health = made.client.get("/healthz").json()
        assert health["live"] == [{"version_id": second.version_id, "model_id": "mdl_a", "aliases": ["latest"]}]
        assert (health["loads"], set(health["servers"].values())) == (False, {"ok"})
        assert "strata_vllm_server_up" in made.client.get("/metrics").text


def test_while_servers_change_nobody_is_refused_and_each_answer_is_one_versions(shelf: Shelf, tmp_path: Path) -> None:
    versions = [shelf.original()]
    for seed in range(3):
        versions.append(shelf.child(versions[-1], seed=seed))
    with in_place(shelf, tmp_path) as made:
        made.follow(versions[0])
        marks = {versions[0].version_id: made.says(versions[0])}
        answers: list[tuple[str, str]] = []
        failures: list[str] = []
        done = threading.Event()
        threads = [threading.Thread(target=_asks, args=(made, answers, failures, done, n % 2 == 0)) for n in range(4)]
        for thread in threads:
            thread.start()
        for version in versions[1:]:
            for fake in made.fakes:
                fake.answer_seconds = 0.01
            made.follow(version)
            marks[version.version_id] = made.says(version)
            _until(lambda version=version: any(told[0] == version.version_id for told in list(answers)))
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert {version_id for version_id, _ in answers} == set(marks)
    assert all(text == f"{marks[version_id]} one two" for version_id, text in answers)


def test_a_server_that_fails_to_change_brings_all_back_to_the_version_before(shelf: Shelf, tmp_path: Path) -> None:
    first = shelf.child(shelf.original(), seed=1)
    second = shelf.child(first, seed=2)
    with in_place(shelf, tmp_path) as made:
        made.follow(first)
        made.fakes[1].fails_at = "wake_up kv_cache"
        made.ledger.point("latest", second)
        made.publisher.step()
        assert made.servers[0].held.version_id == first.version_id
        assert made.servers[1].member.is_held, "it could not even go back"
        assert made.ask()["choices"][0]["text"] == f"{made.says(first)} one two"
        version, kind, data = made.ledger.events[-1]
        assert (version, kind) == (second.version_id, FAILED)
        assert data["server"] == made.servers[1].member.name
        assert data["answers"] == first.version_id
        assert "wake_up" in data["reason"]
        made.fakes[1].fails_at = None
        made.publisher.step()
        assert made.holds() == {second.version_id}
        assert made.ledger.events[-1][1] == PUBLISHED


def test_a_version_that_is_damaged_reaches_no_server_and_is_marked_corrupt(shelf: Shelf, tmp_path: Path) -> None:
    first = shelf.child(shelf.original(), seed=1)
    second = shelf.child(first, seed=2)
    delta = shelf.artefacts.path(second.chain[-1].artefact) / "delta.safetensors"
    with in_place(shelf, tmp_path, count=1) as made:
        made.follow(first)
        delta.write_bytes(delta.read_bytes()[:-1] + b"\x42")
        made.follow(second)
        assert made.ask()["version_id"] == first.version_id
        assert [version_id for version_id, _ in made.ledger.corrupt] == [second.version_id]
        assert made.ledger.events[-1][:2] == (second.version_id, FAILED)
        assert [path.name for path in (tmp_path / "snapshots").glob("*ver_*")] == [first.version_id]
        assert not list((tmp_path / "snapshots").glob(".*"))


def test_a_server_is_changed_once_the_answers_under_way_are_over(shelf: Shelf, tmp_path: Path) -> None:
    first = shelf.child(shelf.original(), seed=1)
    second = shelf.child(first, seed=2)
    with in_place(shelf, tmp_path, count=1) as made:
        made.follow(first)
        made.fakes[0].answer_seconds = 0.1
        with made.client.stream(
            "POST", "/v1/completions", json={"model": FOLLOWS, "prompt": "a b c d e", "stream": True}
        ) as stream:
            lines = stream.iter_lines()
            begun = next(lines)
            changing = threading.Thread(target=made.follow, args=(second,))
            changing.start()
            pieces = [
                json.loads(line.removeprefix("data: ")) for line in [begun, *lines] if line and "DONE" not in line
            ]
        changing.join()
        assert "".join(piece["choices"][0]["text"] for piece in pieces).split() == [_old_mark(pieces), *"abcde"]
        assert {piece["version_id"] for piece in pieces} == {first.version_id}
        assert pieces[-1]["usage"]["completion_tokens"] == 6
        assert made.ask()["version_id"] == second.version_id


def test_whoever_leaves_is_left_by_the_server_too(shelf: Shelf, tmp_path: Path) -> None:
    with in_place(shelf, tmp_path, count=1) as made:
        made.follow(shelf.original())
        made.fakes[0].answer_seconds = 30
        with pytest.raises(httpx.ReadTimeout):
            made.client.post("/v1/completions", json={"model": FOLLOWS, "prompt": "x"}, timeout=0.3)
        _until(lambda: made.fakes[0].left == 1)
        _until(lambda: made.servers[0].member.standing.requests == 0)


def test_the_door_answers_for_its_alias_and_what_it_holds_and_knows_no_other(shelf: Shelf, tmp_path: Path) -> None:
    first = shelf.child(shelf.original(), seed=1)
    with in_place(shelf, tmp_path, count=1) as made:
        before = made.client.post("/v1/completions", json={"model": FOLLOWS, "prompt": "x"})
        assert (before.status_code, before.json()["code"]) == (503, "engine_unavailable")
        made.follow(first)
        assert made.client.post("/v1/refresh").status_code == 202
        by_id = made.client.post("/v1/completions", json={"model": first.version_id, "prompt": "x"})
        assert by_id.json()["version_id"] == first.version_id
        for model, status in (("mdl_a:stable", 404), ("ver_9", 425)):
            assert made.client.post("/v1/completions", json={"model": model, "prompt": "x"}).status_code == status
        assert made.client.post("/v1/completions", json={"model": FOLLOWS}).status_code == 422


def test_servers_are_started_again_on_the_new_version_and_known_by_their_name(shelf: Shelf, tmp_path: Path) -> None:
    first = shelf.child(shelf.original(), seed=1)
    second = shelf.child(first, seed=2)
    with restarted(shelf, tmp_path) as (made, state, ports):
        made.follow(first)
        assert made.ask()["choices"][0]["text"] == f"{made.says(first)} one two"
        for server in made.servers:
            server.held.drop()
            server.recognise()
        assert made.holds() == {first.version_id}, "whoever follows them anew knows what they hold"
        (state / f"{ports[1]}.broken").touch()
        made.ledger.point("latest", second)
        made.publisher.step()
        assert made.servers[0].held.version_id == first.version_id
        assert made.ledger.events[-1][1] == FAILED
        (state / f"{ports[1]}.broken").unlink()
        made.publisher.step()
        assert made.holds() == {second.version_id}
        assert made.ask()["choices"][0]["text"] == f"{made.says(second)} one two"


def test_a_link_moves_in_one_step_and_stays_right_where_the_folder_is_mounted_elsewhere(tmp_path: Path) -> None:
    for name in ("ver_1", "ver_2"):
        (tmp_path / "a" / name).mkdir(parents=True)
        (tmp_path / "a" / name / "file").write_text(name)
        point(link_of(tmp_path / "a" / "servers", "http://gpu-1:8000"), tmp_path / "a" / name)
    (tmp_path / "a").rename(tmp_path / "b")
    assert (link_of(tmp_path / "b" / "servers", "http://gpu-1:8000") / "file").read_text() == "ver_2"


def _asks(
    made: Fleet,
    answers: list[tuple[str, str]],
    failures: list[str],
    done: threading.Event,
    streamed: bool,  # noqa: FBT001 - a thread's argument
) -> None:
    while not done.is_set():
        try:
            answers.append(_streamed(made) if streamed else _whole(made))
        except (AssertionError, httpx.HTTPError, KeyError) as error:
            failures.append(repr(error))


def _whole(made: Fleet) -> tuple[str, str]:
    answer = made.ask()
    return answer["version_id"], answer["choices"][0]["text"]


def _streamed(made: Fleet) -> tuple[str, str]:
    body = {"model": FOLLOWS, "prompt": "one two", "stream": True}
    with made.client.stream("POST", "/v1/completions", json=body) as stream:
        assert stream.status_code == 200
        *pieces, last = [line.removeprefix("data: ") for line in stream.iter_lines() if line]
    assert last == "[DONE]"
    told = [json.loads(piece) for piece in pieces]
    (version_id,) = {piece["version_id"] for piece in told}
    return version_id, "".join(piece["choices"][0]["text"] for piece in told)


def _old_mark(pieces: list[dict[str, Any]]) -> str:
    return str(pieces[0]["choices"][0]["text"])


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
