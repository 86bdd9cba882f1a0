"""OpenAI's own client against the whole service: a real API, worker, trainer and engine, on a tiny model."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import pytest
from loopback import served
from openai import NotFoundError, OpenAI, UnprocessableEntityError
from openai.types.fine_tuning import FineTuningJob
from stage import Wakes, claim, fence_of
from tiny_models import tiny_llama

from api.asgi import build
from core.dispatch.local import LocalDispatcher
from core.registry.work import Registry
from core.services import base_models
from core.settings import Settings
from core.weights import base
from examples import openai_client
from tests.integration.engine.served import EngineProcess
from tests.integration.worker.installation import Installation, prepare

pytestmark = pytest.mark.timeout(400)

PATIENCE_SECONDS: Final = 150
QUICK: Final = {"spec": {"training": {"max_steps": 4, "batch_size": 4}, "evaluation": {"max_rows": 4}}}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[OpenAI]:
    """OpenAI's client of a service that knows one tiny base model."""
    folder = tmp_path_factory.mktemp("facade")
    data = folder / "data"
    data.mkdir()
    shutil.copyfile(sqlite_template, data / "registry.sqlite")
    with ExitStack() as stack:
        sockets = stack.enter_context(tempfile.TemporaryDirectory(prefix="strata-"))
        settings = Settings(
            data_dir=data,
            engine_address=f"unix:{sockets}/engine.sock",
            min_free_bytes=0,
            device="cpu",
            trainer_threads=1,
            beat_seconds=0.25,
            poll_seconds=0.1,
        )
        engine = EngineProcess(data, settings.database_url, Path(sockets) / "engine.sock")
        stack.callback(engine.process.wait, 30)
        stack.callback(engine.process.kill)
        registry = stack.enter_context(closing(Registry(settings.database_url)))
        prepare(registry)
        inspected(registry, tiny_llama(folder / "tiny"))
        stack.enter_context(Installation(settings, registry, LocalDispatcher()).worker())
        url = stack.enter_context(served(build(settings)))
        engine.await_ready()
        yield stack.enter_context(OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0))


def inspected(registry: Registry, folder: Path) -> None:
    """Add a base model as if it had been inspected."""
    facts = base.load(folder).facts
    with registry.write() as work:
        base_models.add(work, name="tiny", source=f"folder:{folder}", dispatcher=Wakes())
    with registry.write() as work:
        job = claim(work)
        base_models.record_facts(work, job=job, fence=fence_of(job), facts=facts, path=str(folder))


def chats(word: str) -> bytes:
    rows = (
        [{"role": "user", "content": f"{word} {n}?"}, {"role": "assistant", "content": f"{word} is {n}."}]
        for n in range(24)
    )
    return "".join(json.dumps({"messages": messages}) + "\n" for messages in rows).encode()


def until(client: OpenAI, job: FineTuningJob, reached: Callable[[FineTuningJob], bool]) -> FineTuningJob:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached(job := client.fine_tuning.jobs.retrieve(job.id)):
        assert time.monotonic() < deadline, f"{job.status}: {job.error}"
        time.sleep(0.1)
    return job


def is_over(job: FineTuningJob) -> bool:
    return job.status in openai_client.OVER


@pytest.fixture(scope="module")
def learned(client: OpenAI) -> FineTuningJob:
    """A job that learned a chat file, to its end."""
    file = client.files.create(file=("chats.jsonl", chats("harbour")), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model="tiny", training_file=file.id, suffix="harbour", seed=1, extra_body={"strata": QUICK}
    )
    return until(client, job, is_over)


def test_a_chat_file_is_learned(client: OpenAI, learned: FineTuningJob) -> None:
    assert (learned.status, learned.fine_tuned_model) == ("succeeded", "harbour@1"), learned.error
    messages = [event.message for event in client.fine_tuning.jobs.list_events(learned.id)]
    assert messages[-1] == "The job is queued"
    assert "The job is training" in messages
    (checkpoint,) = client.fine_tuning.jobs.checkpoints.list(learned.id)
    assert (checkpoint.fine_tuned_model_checkpoint, checkpoint.step_number) == ("harbour@1", 4)
    assert checkpoint.metrics.train_loss is not None
    assert "harbour" in [model.to_dict()["name"] for model in client.models.list()]


def test_what_was_learned_answers_whole_and_in_chunks(client: OpenAI, learned: FineTuningJob) -> None:
    said: Any = [{"role": "user", "content": "harbour 3?"}]
    asked: Any = {"model": learned.fine_tuned_model, "messages": said, "max_completion_tokens": 8}
    whole = client.chat.completions.create(**asked)
    assert (whole.model, whole.usage is not None) == ("harbour@1", True)
    assert whole.choices[0].message.content
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content, "greedy answers are the same, in chunks or not"
    assert chunks[-1].usage == whole.usage


def test_a_seed_makes_a_sampled_answer_the_same(client: OpenAI, learned: FineTuningJob) -> None:
    # The version by its number: `latest` may flip to it between the two.
    sampled: Any = {
        "model": learned.fine_tuned_model,
        "prompt": "harbour",
        "max_tokens": 6,
        "temperature": 1,
        "seed": 5,
    }
    first, second = (client.completions.create(**sampled) for _ in range(2))
    assert first.choices[0].text == second.choices[0].text
    assert first.usage is not None
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens


def test_probabilities_are_the_engines_own(client: OpenAI, learned: FineTuningJob) -> None:
    asked: Any = {"model": learned.fine_tuned_model, "max_tokens": 3, "stop": ["\n"]}
    said: Any = [{"role": "user", "content": "harbour 3?"}]
    chat = client.chat.completions.create(messages=said, logprobs=True, top_logprobs=2, **asked).choices[0]
    assert chat.logprobs is not None
    assert chat.logprobs.content
    for token in chat.logprobs.content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 2
    plain = client.completions.create(prompt="harbour", logprobs=2, **asked).choices[0]
    assert plain.logprobs is not None
    assert len(plain.logprobs.tokens or []) == len(plain.logprobs.token_logprobs or []) > 0


def test_several_answers_come_of_one_prompt(client: OpenAI, learned: FineTuningJob) -> None:
    asked: Any = {"model": learned.model, "prompt": "harbour", "max_tokens": 4, "temperature": 1, "seed": 5, "n": 3}
    whole = client.completions.create(**asked)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    texts = dict.fromkeys(range(3), "")
    for chunk in client.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == {choice.index: choice.text for choice in whole.choices}


def test_a_prompt_that_is_too_long_is_refused_with_its_code(client: OpenAI, learned: FineTuningJob) -> None:
    with pytest.raises(UnprocessableEntityError) as refused:
        client.completions.create(model=learned.model, prompt="harbour " * 2_000)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "prompt")


def test_a_model_and_its_file_are_deleted(client: OpenAI) -> None:
    content = chats("quay")
    file = client.files.create(file=("chats.jsonl", content), purpose="fine-tune")
    client.post("/models", body={"name": "quay", "base_model": "tiny"}, cast_to=object)
    assert client.completions.create(model="quay", prompt="quay", max_tokens=1).model == "quay@0"
    assert client.models.delete("quay").deleted
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(NotFoundError):
        client.completions.create(model="quay", prompt="quay")


def test_a_job_that_runs_is_paused_and_cancelled(client: OpenAI) -> None:
    file = client.files.create(file=("chats.jsonl", chats("ferry")), purpose="fine-tune")
    slow = {"spec": {"training": {"max_steps": 100_000, "batch_size": 4}, "evaluation": {"max_rows": 4}}}
    job = client.fine_tuning.jobs.create(
        model="tiny", training_file=file.id, suffix="ferry", extra_body={"strata": slow}
    )
    until(client, job, lambda now: now.status == "running" and now.estimated_finish is not None)
    client.fine_tuning.jobs.pause(job.id)
    until(client, job, lambda now: str(now.status) == "paused")
    over = client.fine_tuning.jobs.cancel(job.id)
    assert (over.status, over.fine_tuned_model, over.error) == ("cancelled", None, None)


def test_the_example_teaches_and_asks(client: OpenAI, capsys: pytest.CaptureFixture[str]) -> None:
    # What so small a network learns is below any gate.
    lenient = {"name": "lenient", "base_model": "tiny", "policy": {"gate": {"enabled": False}}}
    client.post("/models", body=lenient, cast_to=object)
    assert openai_client.main(["--url", str(client.base_url), "--model", "lenient", "--epochs", "1"]) == 0
    said = capsys.readouterr().out
    assert "The job is succeeded" in said
    assert said.count("wanted: ") == openai_client.QUESTIONS
