"""The committed runs as README shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.continual.compare import Report, compare, read, table

_BASELINE: Final = "inclora"
_KIND: Final = "short_"


def reports(folder: Path) -> list[Report]:
    """Return the reports that lie in a folder; those in folders below it are no comparison to quote."""
    return [read(file) for file in sorted(folder.glob("*.json"))]


def markdown(found: Sequence[Report]) -> str:
    """Return the methods that ran on all of the short orders, then the other runs, order by order beside the baseline."""
    ran: dict[str, set[str]] = {}
    for report in found:
        ran.setdefault(report["method"], set()).add(report["order"])
    orders = sorted(set().union(*ran.values()))
    short = {order for order in orders if order.startswith(_KIND)}
    everywhere = {method for method, ran_on in ran.items() if short <= ran_on}
    first = [report for report in found if report["method"] in everywhere and report["order"] in short]
    groups = [first]
    for order in orders:
        others = [report for report in found if report["order"] == order and report not in first]
        beside = [report for report in first if report["order"] == order and report["method"] == _BASELINE]
        groups.append([*beside, *others] if others else [])
    tables = [table(compare(group, baseline=_BASELINE), baseline=_BASELINE) for group in groups if group]
    return "\n".join([*tables, _circumstances(found[0])])


def _circumstances(report: Mapping[str, Any]) -> str:
    settings = report["settings"]
    return (
        f"{report['base']}, {settings['train_rows']} training rows and {settings['eval_rows']} held-out rows a task "
        f"(split `{settings['eval_split']}`), texts of up to {settings['text_tokens']} tokens; {report['processor']}."
    )
