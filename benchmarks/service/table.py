"""The figures beside what was aimed at, as README shows them."""

from collections.abc import Callable
from typing import Any, Final

Found = dict[str, Any]

# What is measured, what was aimed at on two cores, and how one database's figures are told.
LINES: Final[tuple[tuple[str, str, Callable[[Found], str]], ...]] = (
    ("`POST /v1/tasks`, 16 clients", "≥ 150/s, p99 ≤ 150 ms, no 5xx", lambda found: _rate(found["submit"])),
    ("the same of a bare FastAPI with one insert", "", lambda found: _rate(found["bare"])),
    ("one row a commit, one client", "", lambda found: f"{found['commits']['per_second']:.0f}/s"),
    ("list 20 jobs, 16 clients", "≥ 500/s, p99 ≤ 100 ms", lambda found: _rate(found["list"])),
    ("read one job, 16 clients", "≥ 500/s, p99 ≤ 100 ms", lambda found: _rate(found["get"])),
    (
        "upload of {file_mib} MiB",
        "≥ 50 MB/s, memory + ≤ 64 MiB",
        lambda found: "{mb_per_second:.0f} MB/s, + {resident_growth_mib:.0f} MiB".format(**found["upload"]),
    ),
    (
        "claim with {queued} jobs queued",
        "p99 ≤ 20 ms, by index",
        lambda found: "p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms".format(**found["claim"]),
    ),
    (
        "an idle worker begins",
        "p99 ≤ 1.5 s polling, ≤ 0.3 s woken",
        lambda found: "p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms".format(**found["dispatch"]),
    ),
    (
        "a killed worker's job is taken over, test settings",
        "≤ 3 s",
        lambda found: f"{found['recovery_test']['seconds_max']:.1f} s at most",
    ),
    (
        "the same, production settings",
        "≤ 80 s",
        lambda found: f"{found['recovery_production']['seconds_max']:.0f} s" if "recovery_production" in found else "",
    ),
)
NAMES: Final = {"sqlite": "SQLite, polling", "postgresql": "PostgreSQL, Celery"}


def markdown(found: Found) -> str:
    """Return the table, and where it was measured."""
    databases = found["databases"]
    lines = [
        f"| | aimed at | {' | '.join(NAMES[name] for name in databases)} |",
        "|---" * (len(databases) + 2) + "|",
    ]
    first = next(iter(databases.values()))
    known = {**first["upload"], **first["claim"]}
    for what, aim, tell in LINES:
        cells = " | ".join(tell(each) for each in databases.values())
        lines.append(f"| {what.format(**known)} | {aim} | {cells} |")
    busy = "" if found["idle"] else f" The machine was not idle (load {found['load_before']})."
    where = (
        f"{found['processor']}, {found['cpus']} cores shared by service, database and clients, one API process, Python "
        f"{found['python']}, durable commits, revision `{found['revision']}`.{busy}"
    )
    return "\n".join([*lines, "", where])


def _rate(found: Found) -> str:
    failures = sum(found["failures"].values())
    told = f"{found['per_second']:.0f}/s, p99 {found['p99_ms']:.0f} ms"
    return f"{told}, {failures} failed" if failures else told
