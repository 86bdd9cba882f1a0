"""OpenAI's own client in front of Strata: a chat file is uploaded, learned, and its questions are asked.

    strata up                                  in one terminal
    pip install openai                         in another
    python -m examples.openai_client           after that

The rows are those of the demo's support desk, written as conversations. Exit code 1 when the job does not succeed.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

ROWS: Final = Path(__file__).parent / "support_desk"
BASE_MODEL: Final = "smollm2-135m-instruct"
QUESTIONS: Final = 3
POLL_SECONDS: Final = 1.0
MAX_TOKENS: Final = 16
OVER: Final = frozenset({"succeeded", "failed", "cancelled"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.openai_client", description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8321/v1", help="of the service, with /v1")
    parser.add_argument("--model", default=BASE_MODEL, help="a base model, or a model that learns one task more")
    parser.add_argument("--epochs", type=int, help="passes over the rows; otherwise as many as the method takes")
    arguments = parser.parse_args(argv)
    # Without keys the service asks for none, and the client for something to send.
    with OpenAI(base_url=arguments.url, api_key=os.environ.get("STRATA_API_KEY", "none")) as client:
        job = teach(client, arguments.model, epochs=arguments.epochs)
        if job.fine_tuned_model is None:
            print(f"the job is {job.status}: {job.error.message if job.error else 'it says no more'}")
            return 1
        ask(client, job.fine_tuned_model)
    return 0


def teach(client: OpenAI, model: str, *, epochs: int | None) -> FineTuningJob:
    """Upload the rows and let the model learn them; tell what happens, and return the job once it is over."""
    content = "".join(json.dumps({"messages": list(messages)}) + "\n" for messages in conversations("train"))
    file = client.files.create(file=("support_desk.jsonl", content.encode()), purpose="fine-tune")
    print(f"uploaded {file.filename}: {file.bytes} bytes, {file.id}")
    job = client.fine_tuning.jobs.create(
        model=model,
        training_file=file.id,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": epochs or "auto"}}},
    )
    print(f"{job.id}: {job.model} learns it")
    told, last = 0, ""
    while True:
        # The job first: nothing happens to it after its end.
        job = client.fine_tuning.jobs.retrieve(job.id)
        events = list(client.fine_tuning.jobs.list_events(job.id, limit=100))[::-1]
        for event in events[told:]:
            if event.message != last:
                print(f"  {event.message}")
            last = event.message
        told = len(events)
        if job.status in OVER:
            return job
        time.sleep(POLL_SECONDS)


def ask(client: OpenAI, model: str) -> None:
    """Ask a few questions that were not learned, the last one in chunks."""
    *others, (last, wanted) = held_out()
    for question, answer in others:
        told = client.chat.completions.create(model=model, messages=[question], max_completion_tokens=MAX_TOKENS)
        print(f"{question['content']}\n  {told.choices[0].message.content} ({told.model}; wanted: {answer})")
    print(last["content"], end="\n  ")
    stream = client.chat.completions.create(model=model, messages=[last], max_completion_tokens=MAX_TOKENS, stream=True)
    for chunk in stream:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    print(f" (wanted: {wanted})")


def held_out() -> Iterator[tuple[Any, str]]:
    """Yield a few questions with different answers that were not learned."""
    by_answer = {answer["content"]: question for question, answer in conversations("eval")}
    for answer, question in list(by_answer.items())[:QUESTIONS]:
        yield question, answer


def conversations(name: str) -> Iterator[tuple[Any, Any]]:
    """Yield the rows of a file as a question and its answer."""
    for line in (ROWS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        question = row["prompt"].rpartition("Question: ")[2].removesuffix("\nAnswer:")
        yield {"role": "user", "content": question}, {"role": "assistant", "content": row["completion"].strip()}


if __name__ == "__main__":
    sys.exit(main())
