"""Exports over HTTP: asked once, told by their job, downloaded from any byte on, refused with a reason, deleted."""

from typing import Any

import built_exports
import pytest
import stage
from doors import Door, places

from core.domain.base_facts import BaseFacts
from core.registry.work import Registry
from core.services import claims, jobs, models, publication, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
GPT2 = stage.FACTS.model_copy(update={"architecture": "GPT2LMHeadModel", "digest": "c" * 64})
T5 = stage.FACTS.model_copy(update={"architecture": "T5ForConditionalGeneration", "digest": "d" * 64})
LLAMA = stage.FACTS.model_copy(update={"architecture": "LlamaForCausalLM", "digest": "e" * 64, "licence": "mit"})


@pytest.fixture
def learned(desk: Door) -> Door:
    """`desk` with a version that learned."""
    stage.learn(desk.registry, "a")
    return desk


def ask(door: Door, version: str = "desk", **body: Any) -> Any:
    return door.client.post(f"/v1/versions/{version}/exports", json={"format": "merged", **body})


def built(door: Door, **body: Any) -> dict[str, Any]:
    asked = ask(door, **body)
    built_exports.build(door.registry, door.settings.artefacts_dir)
    shown: dict[str, Any] = door.client.get(asked.headers["location"]).json()
    return shown


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    return body


def test_an_export_is_asked_for_once_and_told_with_files_hashes_and_proof(learned: Door) -> None:
    asked = ask(learned, "desk")
    assert asked.status_code == 202, asked.text
    first = asked.json()
    assert (first["state"], first["version"], first["dtype"], first["files"]) == ("queued", "desk@1", "stored", [])
    assert learned.wakes.job_ids[-1] == first["job_id"]
    job = learned.client.get(f"/v1/jobs/{first['job_id']}").json()
    assert (job["kind"], job["parent_version_id"], job["result_version_id"]) == ("export", first["version_id"], None)
    assert refused(learned.client.get(f"/v1/exports/{first['id']}/files/README.md"), 409, "export_not_ready")

    again = ask(learned, "desk:latest")
    assert (again.status_code, again.json()) == (200, first)
    built_exports.build(learned.registry, learned.settings.artefacts_dir)
    shown = learned.client.get(f"/v1/exports/{first['id']}").json()
    assert (shown["state"], shown["error"], shown["parity"]["same_tensors"]) == ("succeeded", None, True)
    assert shown["size_bytes"] == sum(file["bytes"] for file in shown["files"])
    seal = next(file for file in shown["files"] if file["name"] == "manifest.json")
    assert seal["sha256"] == shown["manifest_sha256"]
    assert (ask(learned).status_code, ask(learned).json()) == (200, shown)
    for query in ("", "?version=desk@1", f"?version={first['version_id']}"):
        assert learned.client.get(f"/v1/exports{query}").json()["data"] == [shown]
    assert learned.client.get("/v1/exports?version=desk@0").json()["data"] == []


def test_a_file_is_sent_whole_or_from_any_byte_on(learned: Door) -> None:
    export = built(learned)
    content = built_exports.CONTENTS["weights/model.safetensors"]
    (file,) = [each for each in export["files"] if each["name"] == "weights/model.safetensors"]
    get = learned.client.get
    whole = get(file["href"])
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["etag"] == f'"{file["sha256"]}"'
    assert (whole.headers["accept-ranges"], whole.headers["content-length"]) == ("bytes", str(len(content)))
    assert "model.safetensors" in whole.headers["content-disposition"]
    for asked, part, told in (
        ("bytes=5000-", content[5000:], "5000-5119"),
        ("bytes=2-3", content[2:4], "2-3"),
        ("bytes=-4", content[-4:], "5116-5119"),
        ("bytes=5000-9999", content[5000:], "5000-5119"),
        ("bytes=-9999", content, "0-5119"),
    ):
        answer = get(file["href"], headers={"Range": asked, "If-Range": whole.headers["etag"]})
        assert (answer.status_code, answer.content) == (206, part), asked
        assert answer.headers["content-range"] == f"bytes {told}/5120"
        assert answer.headers["content-length"] == str(len(part))
    for ignored in ("bytes=3-2", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=x-"):
        assert (get(file["href"], headers={"Range": ignored}).status_code, ignored) == (200, ignored)
    changed = get(file["href"], headers={"Range": "bytes=5000-", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, content)
    assert refused(get(file["href"], headers={"Range": "bytes=5120-"}), 416, "range_not_satisfiable")
    known = get(file["href"], headers={"If-None-Match": f'"x", W/{whole.headers["etag"]}'})
    assert (known.status_code, known.content) == (304, b"")
    head = learned.client.head(file["href"])
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "5120")
    assert get(f"/v1/exports/{export['id']}/files/empty").content == b""


def test_a_file_that_the_export_does_not_list_is_not_sent(learned: Door) -> None:
    export = built(learned)
    for name in ("nothing", "weights", "../../../registry.sqlite", "%2e%2e/registry.sqlite", "/"):
        answer = learned.client.get(f"/v1/exports/{export['id']}/files/{name}")
        assert (answer.status_code, name) == (404, name)
    (learned.settings.artefacts_dir / "exports").rename(learned.settings.data_dir / "elsewhere")
    refused(learned.client.get(f"/v1/exports/{export['id']}/files/README.md"), 404, "artefact_not_found")


def with_base(registry: Registry, name: str, facts: BaseFacts) -> str:
    stage.ready_base(registry, name, facts=facts)
    with registry.write() as work:
        models.create(work, project_id=PROJECT, name=f"of-{name}", base_model=name, method={})
    return f"of-{name}"


@on_sqlite
def test_what_cannot_be_written_is_refused_with_what_to_ask_instead(learned: Door, registry: Registry) -> None:
    stage.learn(registry, "b", model=with_base(registry, "gpt2", GPT2))
    stage.learn(registry, "c", model=with_base(registry, "t5", T5))
    stage.learn(registry, "d", model=with_base(registry, "llama", LLAMA))
    woken = list(learned.wakes.job_ids)
    for version, body, says in (
        ("of-gpt2", {"format": "adapter"}, "Conv1D"),
        ("of-gpt2", {"format": "gguf"}, "Llama"),
        ("of-t5", {"format": "gguf"}, "T5ForConditionalGeneration"),
        ("of-llama@0", {"format": "adapter"}, "no task"),
        ("of-llama@0", {"format": "delta"}, "no task"),
        ("of-llama", {"format": "merged", "dtype": "f16"}, "stored"),
        ("of-llama", {"format": "gguf", "dtype": "stored"}, "f32 or f16"),
    ):
        fault = refused(ask(learned, version, **body), 422, "unsupported_export")
        assert says in fault["errors"][0]["message"]
        assert fault["errors"][0]["loc"] == ["dtype" if "dtype" in body else "format"]
    assert places(ask(learned, format="onnx")) == [["format"]]
    assert ask(learned, format="merged", more=1).status_code == 422
    assert learned.wakes.job_ids == woken
    assert ask(learned, "of-llama@0", format="gguf", dtype="f16").json()["dtype"] == "f16"
    assert ask(learned, "of-llama", format="gguf").json()["dtype"] == "f32"


def test_only_a_version_that_is_ready_is_exported(learned: Door) -> None:
    export = built(learned)
    stage.learn(learned.registry, "b")
    learned.client.post("/v1/models/desk/rollback", json={"version": "0"}).raise_for_status()
    assert learned.client.put("/v1/models/desk/aliases/stable", json={"version": "0"}).is_success
    with learned.registry.write() as work:
        second = versions.resolve(work, project_id=PROJECT, reference="desk@2")
        publication.mark_corrupt(work, version_id=second.id, reason="a byte")
    assert "corrupt" in refused(ask(learned, "desk@2"), 409, "wrong_state")["detail"]
    assert learned.client.delete("/v1/versions/desk@2").is_success
    assert "deleted" in refused(ask(learned, "desk@2"), 409, "wrong_state")["detail"]
    assert learned.client.delete("/v1/versions/desk@1").is_success
    for path in ("", "/files/README.md"):
        refused(learned.client.get(f"/v1/exports/{export['id']}{path}"), 404, "export_not_found")
    assert learned.client.get("/v1/exports").json()["data"] == []
    refused(ask(learned, "nobody@1"), 404, "model_not_found")


def test_a_version_is_kept_while_it_is_being_exported(learned: Door) -> None:
    stage.learn(learned.registry, "b")
    learned.client.post("/v1/models/desk/rollback", json={"version": "0"}).raise_for_status()
    asked = ask(learned, "desk@2").json()
    refused(learned.client.delete("/v1/versions/desk@2"), 409, "version_in_use")
    learned.client.post(f"/v1/jobs/{asked['job_id']}/cancel").raise_for_status()
    assert learned.client.delete("/v1/versions/desk@2").is_success
    refused(learned.client.post(f"/v1/jobs/{asked['job_id']}/retry"), 404, "export_not_found")


def test_an_export_that_failed_is_asked_for_again(learned: Door) -> None:
    first = ask(learned).json()
    with learned.registry.write() as work:
        job = stage.claim(work)
        claims.fail(work, job_id=job.id, fence=stage.fence_of(job), code="parity_failed", detail="its logits differ")
    failed = learned.client.get(f"/v1/exports/{first['id']}").json()
    assert (failed["state"], failed["error"]) == ("failed", {"code": "parity_failed", "detail": "its logits differ"})
    again = ask(learned)
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (202, first["id"], "queued")
    refused(learned.client.post(f"/v1/jobs/{first['job_id']}/retry"), 409, "wrong_state")
    learned.client.post(f"/v1/jobs/{again.json()['job_id']}/cancel").raise_for_status()
    retried = learned.client.post(f"/v1/jobs/{first['job_id']}/retry").json()
    assert (retried["kind"], retried["retry_of"]) == ("export", first["job_id"])
    assert learned.client.get(f"/v1/exports/{first['id']}").json()["job_id"] == retried["id"]


def test_a_job_that_was_cancelled_or_overtaken_delivers_nothing(learned: Door) -> None:
    asked = ask(learned).json()
    job = stage.claimed(learned.registry)
    learned.client.post(f"/v1/jobs/{asked['job_id']}/cancel").raise_for_status()
    stage.expire(learned.registry, job)
    with learned.registry.write() as work:
        jobs.sweep(work, barren_limit=3)
    with pytest.raises(AssertionError, match="nothing to claim"):
        built_exports.build(learned.registry, learned.settings.artefacts_dir)
    assert learned.client.get(f"/v1/exports/{asked['id']}").json()["state"] == "cancelled"


def test_an_export_is_deleted_and_built_anew(learned: Door) -> None:
    export = built(learned)
    path = f"/v1/exports/{export['id']}"
    assert learned.client.delete(path).json() == {"id": export["id"], "object": "export", "deleted": True}
    refused(learned.client.get(path), 404, "export_not_found")
    anew = ask(learned)
    assert (anew.status_code, anew.json()["id"] != export["id"]) == (202, True)
    refused(learned.client.delete(f"/v1/exports/{anew.json()['id']}"), 409, "wrong_state")
    told = learned.client.get("/v1/events").json()["data"]
    assert [event["kind"] for event in told if event["subject_id"] == export["id"]] == ["deleted", "created"]


def test_the_same_request_twice_is_one_job(learned: Door) -> None:
    key = {"Idempotency-Key": "one"}
    body = {"format": "merged"}
    first = learned.client.post("/v1/versions/desk/exports", json=body, headers=key)
    built_exports.build(learned.registry, learned.settings.artefacts_dir)
    again = learned.client.post("/v1/versions/desk/exports", json=body, headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"


def test_exports_count_against_the_quotas(learned: Door) -> None:
    project = "/v1/projects/own"
    before = learned.client.get(project).json()["bytes"]
    export = built(learned)
    assert learned.client.get(project).json()["bytes"] == before + export["size_bytes"]
    learned.client.patch(project, json={"max_bytes": before + export["size_bytes"] + 100}).raise_for_status()
    refused(ask(learned, "desk@0"), 429, "too_many_bytes")
    learned.client.delete(f"/v1/exports/{export['id']}").raise_for_status()
    learned.client.patch(project, json={"max_open_jobs": 0, "max_bytes": None}).raise_for_status()
    refused(ask(learned), 429, "too_many_open_jobs")
