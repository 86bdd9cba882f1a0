"""The committed runs as README shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.continual.compare import Report, compare, read, table

_BASELINE: Final = "inclora"
# The order that every method ran on; the others of its kind hold the same tasks.
_FIRST: Final = "short_1"
_KIND: Final = "short_"


def reports(folder: Path) -> list[Report]:
    """Return the reports that lie in a folder; those in folders below it are no comparison to quote."""
    return [read(file) for file in sorted(folder.glob("*.json"))]


def markdown(found: Sequence[Report]) -> str:
    """Return what ran on all of the orders of five-way tasks, then what ran on the first one alone, then other orders."""
    ran: dict[str, set[str]] = {}
    for report in found:
        ran.setdefault(report["method"], set()).add(report["order"])
    short = {order for orders in ran.values() for order in orders if order.startswith(_KIND)}
    everywhere = {method for method, orders in ran.items() if short <= orders}
    groups = [[report for report in found if report["order"] in short and report["method"] in everywhere]]
    if everywhere != set(ran):
        groups.append([report for report in found if report["order"] == _FIRST and report["settings"]["seed"] == 0])
    groups += [
        [report for report in found if report["order"] == order] for order in sorted(set.union(*ran.values()) - short)
    ]
    tables = [table(compare(group, baseline=_BASELINE), baseline=_BASELINE) for group in groups if group]
    return "\n".join([*tables, _circumstances(found[0])])


def _circumstances(report: Mapping[str, Any]) -> str:
    settings = report["settings"]
    return (
        f"{report['base']}, {settings['train_rows']} training rows and {settings['eval_rows']} held-out rows a task "
        f"(split `{settings['eval_split']}`), texts of up to {settings['text_tokens']} tokens; {report['processor']}."
    )
