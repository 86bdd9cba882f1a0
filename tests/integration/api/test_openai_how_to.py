"""What the page on OpenAI's client prints runs as printed; a stand-in learns and answers."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import stage
from doors import Door
from loopback import served

from core.domain.base_facts import BaseFacts
from core.services import jobs

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PAGE: Final = Path(__file__).parents[3] / "docs" / "how-to" / "use-the-openai-client.md"
CHATS: Final[BaseFacts] = stage.FACTS.model_copy(update={"chat_template": "{{ messages }}"})


@pytest.fixture
def learning(door: Door) -> Iterator[Door]:
    """The service, with a worker beside it that learns at once whatever is queued."""
    stage.ready_base(door.registry, "smollm2-135m-instruct", facts=CHATS)
    stop = threading.Event()

    def work_off() -> None:
        while not stop.wait(0.05):
            with door.registry.write() as work:
                job = jobs.claim(work, owner="worker-1", lease_seconds=60)
                if job is not None:
                    door.echo.version_id = stage.publish(work, job).id

    thread = threading.Thread(target=work_off)
    thread.start()
    yield door
    stop.set()
    thread.join()


def test_the_page_runs_as_printed(learning: Door, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    known: dict[str, Any] = {}
    with served(learning.client.app) as url:
        exec(compile(first.replace("http://127.0.0.1:8321", url), PAGE.name, "exec"), known)
        with known["client"] as client:
            assert capsys.readouterr().out.startswith("gates@1 ")
            exec(compile(second, PAGE.name, "exec"), known)
            job = client.fine_tuning.jobs.list(limit=1).data[0]
    shown = learning.client.get(f"/v1/jobs/{job.id}").json()
    assert (shown["model"], shown["task"], shown["effective_spec"]["method"]) == ("gates", "gates-of-may", "ella")
