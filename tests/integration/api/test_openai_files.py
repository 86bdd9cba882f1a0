"""`/v1/files` through OpenAI's own client: a file is a dataset, judged when it comes in."""

import json

import pytest
import stage
from doors import Door, labelled, prompted
from openai import ConflictError, NotFoundError, OpenAI, UnprocessableEntityError

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def chats(n_rows: int, *, start: int = 0) -> bytes:
    """Rows as OpenAI's guides write them."""
    rows = (
        {"messages": [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"answer {n}"}]}
        for n in range(start, start + n_rows)
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_a_file_is_uploaded_shown_listed_sent_back_and_deleted(openai: OpenAI) -> None:
    content = chats(20)
    made = openai.files.create(file=("desk rows.jsonl", content), purpose="fine-tune")
    assert (made.object, made.filename, made.bytes) == ("file", "desk rows.jsonl", len(content))
    assert (made.purpose, made.status) == ("fine-tune", "processed")
    assert openai.files.retrieve(made.id) == made
    assert openai.files.wait_for_processing(made.id) == made
    assert openai.files.content(made.id).read() == content
    assert [each.id for each in openai.files.list()] == [made.id]
    deleted = openai.files.delete(made.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (made.id, "file", True)
    with pytest.raises(NotFoundError) as gone:
        openai.files.retrieve(made.id)
    assert gone.value.code == "dataset_not_found"


def test_a_file_is_a_dataset_of_the_same_id(openai: OpenAI, desk: Door) -> None:
    made = openai.files.create(file=("rows.jsonl", prompted(20)), purpose="fine-tune")
    shown = desk.client.get(f"/v1/datasets/{made.id}").json()
    assert (shown["format"], shown["size_bytes"]) == ("prompt_completion", made.bytes)
    posted = desk.client.post("/v1/datasets", files={"file": ("more.jsonl", labelled(20))}).json()
    assert openai.files.retrieve(posted["id"]).filename == "more.jsonl"


def test_the_same_content_again_is_the_same_file(openai: OpenAI) -> None:
    first = openai.files.create(file=("first.jsonl", chats(20)), purpose="fine-tune")
    again = openai.files.create(file=("second.jsonl", chats(20)), purpose="fine-tune")
    assert again == first


def test_a_file_without_a_name_is_named_after_its_id(openai: OpenAI, desk: Door) -> None:
    with desk.registry.write() as work:
        made = stage.new_dataset(work)
    assert openai.files.retrieve(made.id).filename == f"{made.id}.jsonl"


def test_folders_and_what_cannot_be_shown_are_no_part_of_a_name(openai: OpenAI) -> None:
    made = openai.files.create(file=("../../etc/\u202erows.jsonl", chats(20)), purpose="fine-tune")
    assert made.filename == "rows.jsonl"


def test_files_are_listed_page_by_page(openai: OpenAI) -> None:
    made = [openai.files.create(file=(f"{n}.jsonl", chats(20, start=n)), purpose="fine-tune").id for n in range(3)]
    page = openai.files.list(limit=2)
    assert [each.id for each in page.data] == made[:0:-1]
    assert page.has_next_page()
    assert [each.id for each in openai.files.list(limit=1, order="asc")] == made
    assert [each.id for each in openai.files.list(purpose="fine-tune", limit=10_000)] == made[::-1]
    assert openai.files.list(purpose="batch").data == []


def test_a_bad_file_is_refused_with_its_lines_and_leaves_nothing(openai: OpenAI) -> None:
    bad = chats(3) + b'{"messages": [{"role": "user", "content": "alone"}]}\n'
    with pytest.raises(UnprocessableEntityError) as refused:
        openai.files.create(file=("rows.jsonl", bad), purpose="fine-tune")
    assert (refused.value.code, refused.value.param) == ("invalid_dataset", "file")
    assert refused.value.response.json()["errors"][0]["line"] == 4
    assert openai.files.list().data == []


def test_only_files_for_fine_tuning_are_kept(openai: OpenAI) -> None:
    with pytest.raises(UnprocessableEntityError, match="fine-tune") as other:
        openai.files.create(file=("rows.jsonl", chats(20)), purpose="batch")
    assert other.value.param == "purpose"
    with pytest.raises(UnprocessableEntityError) as expiring:
        openai.files.create(
            file=("rows.jsonl", chats(20)),
            purpose="fine-tune",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
    assert str(expiring.value.param).startswith("expires_after")
    assert openai.files.list().data == []


def test_a_file_that_a_task_needs_stays(openai: OpenAI) -> None:
    made = openai.files.create(file=("rows.jsonl", prompted(20)), purpose="fine-tune")
    openai.fine_tuning.jobs.create(model="desk", training_file=made.id)
    with pytest.raises(ConflictError) as refused:
        openai.files.delete(made.id)
    assert refused.value.code == "dataset_in_use"


def test_an_upload_that_is_sent_again_under_its_key_is_answered_again(openai: OpenAI) -> None:
    sent = {"file": ("rows.jsonl", chats(20)), "purpose": "fine-tune", "extra_headers": {"Idempotency-Key": "once"}}
    first = openai.files.create(**sent)  # type: ignore[arg-type]
    openai.files.delete(first.id)
    assert openai.files.create(**sent) == first  # type: ignore[arg-type]
    assert openai.files.list().data == []
