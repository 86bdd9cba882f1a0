"""What the service bears, on SQLite with polling and on PostgreSQL with Celery over Redis.

    python -m benchmarks.service [--json] [--seconds 10] [--upload-mib 512] [--queued 10000] [--only sqlite]

Starts everything it needs on loopback, with databases that write through to the disk, and stops it again; the clients
share the machine with the service. Run it while nothing else runs: it takes about five minutes on two cores.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.service import calls, claims, dispatch, installation, machine, table, uploads
from benchmarks.service.installation import Installation

INSTALLATIONS = {"sqlite": installation.sqlite, "postgresql": installation.postgresql}
MAX_UPLOAD_MIB = 512


def measure(service: Installation, given: argparse.Namespace) -> dict[str, Any]:
    """Measure one installation, but for the recovery at production settings, which takes a minute of waiting."""
    found: dict[str, Any] = {
        "bare": calls.bare(service, seconds=given.seconds / 2),
        "commits": claims.commits(service, seconds=given.seconds / 5),
        "claim": claims.deep_queue(service, queued=given.queued, rounds=given.claims),
    }
    with service.api() as api:
        # The workers' part comes first: what the load leaves behind is a long queue.
        found["dispatch"] = dispatch.latencies(service, rounds=given.rounds)
        found["recovery_test"] = dispatch.recoveries(service, rounds=given.recoveries, settings=dispatch.TEST)
        found["upload"] = uploads.upload(service, api, mebibytes=given.upload_mib)
        found["submit"] = calls.submissions(service, seconds=given.seconds)
        found |= calls.reads(service, seconds=given.seconds / 2)
    return found


def recover(service: Installation) -> dict[str, Any]:
    """Measure one recovery at production settings."""
    with service.api():
        return dispatch.recoveries(service, rounds=1, settings=dispatch.PRODUCTION)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print JSON or a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of posting tasks; the other loads take a share of it"
    )
    parser.add_argument("--upload-mib", type=int, default=MAX_UPLOAD_MIB)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--claims", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15, help="of dispatching to an idle worker")
    parser.add_argument("--recoveries", type=int, default=3, help="at test settings")
    parser.add_argument("--no-production", action="store_true", help="leave the recovery at production settings out")
    parser.add_argument("--only", choices=INSTALLATIONS)
    given = parser.parse_args(arguments)
    found = {"settings": vars(given), **machine.facts(), "databases": run(given)}
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        Console().print(Markdown(table.markdown(found)))


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure one installation after the other, and then what is waiting on all of them at once."""
    chosen = [given.only] if given.only else [*INSTALLATIONS]
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as folder, ExitStack() as held:
        # The data lies on a real disk: a temporary folder in memory would make every commit free.
        services = {name: held.enter_context(INSTALLATIONS[name](Path(folder) / name)) for name in chosen}
        found = {name: measure(service, given) for name, service in services.items()}
        if not given.no_production:
            # Away from the queue that the load left.
            others = [held.enter_context(service.fresh()) for service in services.values()]
            with ThreadPoolExecutor() as threads:
                recovered = dict(zip(services, threads.map(recover, others), strict=True))
            for name in chosen:
                found[name]["recovery_production"] = recovered[name]
    return found


if __name__ == "__main__":
    main()
