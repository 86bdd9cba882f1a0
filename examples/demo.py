"""The whole story: a real language model learns two tasks over HTTP, remembers both, and answers.

    python -m examples.demo [--keep] [--set training.max_steps=3 …]

Starts the embedded service in var/demo, asks the base model, posts the two tasks of this folder, asks again, and
leaves var/demo/report.json. Exit code 1 when the scores miss what they should reach. With --set, which is for a quick
look, the scores are not judged.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from examples import report
from examples.tasks import TASKS, ExampleTask
from strata.cli.models import print_matrix
from strata.cli.output import plain
from strata.cli.spec import assign, parse
from strata.cli.watching import follow
from strata.client import Client, ServiceUnavailableError, ServiceUnreachableError, StrataAPIError
from strata.embedded import launcher
from strata.embedded.first_base_model import NAME as BASE_MODEL
from strata.embedded.service import holder_of

VAR: Final = Path("var")
FOLDER: Final = VAR / "demo"
MODEL: Final = "demo"
USUAL_PORT: Final = 8321
START_SECONDS: Final = 300.0
STOP_SECONDS: Final = 40.0
FLIP_SECONDS: Final = 60.0
LOG_LINES: Final = 15
EXIT_INTERRUPTED: Final = 130


class DemoError(Exception):
    """The demo cannot go on."""


@dataclass(frozen=True, slots=True)
class Service:
    """The embedded service that the demo started."""

    process: subprocess.Popen[bytes]
    url: str


def main() -> int:
    """Run the demo; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the service running")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="a setting of both tasks")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    # Told to stop, it stops as by Ctrl-C: the service in good order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.monotonic()
    try:
        with service(keep=arguments.keep) as running, Client(running.url) as client:
            found = story(client, console, arguments.set)
            if arguments.keep:
                console.print(f"\nThe service stays at {running.url}; stop it with: kill {running.process.pid}")
    except KeyboardInterrupt:
        console.print("stopped")
        return EXIT_INTERRUPTED
    except (DemoError, StrataAPIError) as error:
        console.print(f"[bold red]demo failed[/]: {escape(str(error))}", soft_wrap=True)
        return 1
    console.print(f"\n{time.monotonic() - begin:.0f} seconds; report in {FOLDER / 'report.json'}")
    missed = [] if arguments.set else report.missed(found)
    for line in missed:
        console.print(f"[bold red]missed[/]: {line}")
    return 1 if missed else 0


def story(client: Client, console: Console, settings: Sequence[str]) -> dict[str, Any]:
    """Ask, teach, ask again, measure; write the report and return it."""
    console.rule("A base model, as it came")
    wait_for_base(client, console)
    client.models.create(MODEL, base_model=BASE_MODEL)
    before = ask(client, console)
    for task in TASKS:
        console.rule(f"Learning {task.name}")
        teach(client, console, task, settings)
    console.rule("The same questions")
    after = ask(client, console)
    console.rule("What it remembers")
    matrix = client.evaluations.matrix(MODEL)
    print_matrix(console, matrix)
    asked = [question for task in TASKS for question in task.questions()]
    found = report.of(
        matrix,
        [
            {"prompt": question.prompt, "before": old, "after": new}
            for question, old, new in zip(asked, before, after, strict=True)
        ],
    )
    report.write(found, FOLDER / "report.json")
    return found


def wait_for_base(client: Client, console: Console) -> None:
    """Wait until the base model is converted and inspected: once in this clone, later it is found ready."""
    console.print(f"reading {BASE_MODEL} …")
    deadline = time.monotonic() + START_SECONDS
    while (base := client.base_models.get(BASE_MODEL)).state == "pending":
        if time.monotonic() > deadline:
            raise DemoError(f"{BASE_MODEL} was not read within {START_SECONDS:.0f} seconds; see {FOLDER}/strata.log")
        time.sleep(0.5)
    if base.state != "ready":
        raise DemoError(f"{BASE_MODEL} is {base.state}: {base.error}")
    console.print(f"digest {base.digest}")


def ask(client: Client, console: Console) -> list[str]:
    """Ask every question; print and return the answers."""
    answers = []
    for task in TASKS:
        for question in task.questions():
            answer = client.generate(MODEL, question.prompt, max_tokens=16, temperature=0.0)
            answers.append(answer.text)
            console.print(f"[bold]{escape(question.text)}[/]")
            console.print(
                f"  {escape(plain(' '.join(answer.text.split())))}  [dim]({answer.version}; wanted: {question.wanted})[/]"
            )
    return answers


def teach(client: Client, console: Console, task: ExampleTask, settings: Sequence[str]) -> None:
    """Post one task and show it being learned."""
    spec = task.spec()
    for assignment in settings:
        path, value = parse(assignment)
        assign(spec, path, value)
    begin = time.monotonic()
    job = client.tasks.submit(MODEL, task.train, name=task.name, eval_file=task.eval, spec=spec)
    console.print(f"posted in {1000 * (time.monotonic() - begin):.0f} ms: job {job.id}")
    done = follow(client, job.id, console)
    console.print(f"learned in {time.monotonic() - begin:.0f} seconds: version {done.result_version}")
    committed = time.monotonic()
    while client.generate(MODEL, ".", max_tokens=1).version != done.result_version:
        if time.monotonic() - committed > FLIP_SECONDS:
            raise DemoError(f"{done.result_version} does not answer {FLIP_SECONDS:.0f} seconds after its commit")
        time.sleep(0.1)
    console.print(f"it answers {time.monotonic() - committed:.1f} seconds after it was seen")


@contextmanager
def service(*, keep: bool) -> Iterator[Service]:
    """Start the embedded service in a fresh folder; stop it at the end, unless it is to be kept and all went well."""
    stop_earlier()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    port = free_port()
    command = [sys.executable, "-m", "strata", "up", f"--data-dir={FOLDER}", f"--port={port}"]
    if not keep:
        # Whatever ends this process ends the service.
        command = [sys.executable, "-m", launcher.__name__, str(os.getpid()), *command]
    environment = {**os.environ, "STRATA_BASE_MODELS_DIR": str(VAR / "base-models")}
    with (FOLDER / "strata.log").open("wb") as log:
        # A session of its own: a Ctrl-C here ends the demo, which then stops the service in good order.
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)  # noqa: S603
    running = Service(process, f"http://127.0.0.1:{port}")
    kept = False
    try:
        await_answer(running)
        yield running
        kept = keep
    finally:
        if not kept:
            process.terminate()
            process.wait(STOP_SECONDS)


def await_answer(running: Service) -> None:
    """Wait until the service answers and the base model is on its list."""
    deadline = time.monotonic() + START_SECONDS
    with Client(running.url) as client:
        while time.monotonic() < deadline:
            if running.process.poll() is not None:
                tail = (FOLDER / "strata.log").read_text(errors="replace").splitlines()[-LOG_LINES:]
                raise DemoError("the service did not start:\n" + "\n".join(tail))
            try:
                if any(base.name == BASE_MODEL for base in client.base_models.list()):
                    return
            except (ServiceUnavailableError, ServiceUnreachableError):
                pass
            time.sleep(0.2)
    raise DemoError(f"the service did not answer within {START_SECONDS:.0f} seconds; see {FOLDER}/strata.log")


def stop_earlier() -> None:
    """Stop the service that an earlier run with --keep left in the demo's folder."""
    earlier = holder_of(FOLDER)
    if earlier is None:
        return
    os.kill(earlier, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while holder_of(FOLDER) is not None:
        if time.monotonic() > deadline:
            raise DemoError(f"an earlier demo still runs: stop process {earlier} first")
        time.sleep(0.2)


def free_port() -> int:
    """Return the usual port, or another one where that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
