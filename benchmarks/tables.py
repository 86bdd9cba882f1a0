"""The tables that README takes from `benchmarks/results/`; a test holds the two together.

python -m benchmarks.tables
"""

import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from benchmarks.continual import committed
from benchmarks.evaluation import table as evaluation_table
from benchmarks.service import table as service_table
from benchmarks.serving import table as serving_table

RESULTS: Final = Path(__file__).parent / "results"
README: Final = Path(__file__).parents[1] / "README.md"
_NAME: Final = "step_cost"
_HEADINGS: Final = ("model", "phase", "method", "seconds", "time", "95 %", "memory")


def with_table(readme: str, found: Any, *, name: str = _NAME) -> str:
    """Return README's text with the table between the markers of a name made from these results."""
    marker = f"<!-- {name} -->"
    block = f"{marker}\n{TABLES[name](found)}\n{marker}"
    return re.sub(f"{marker}.*?{marker}", lambda _: block, readme, count=1, flags=re.DOTALL)


def markdown(found: dict[str, Any]) -> str:
    """Return the time of a step as a multiple of LoRA's, a line a method and phase, a column a model."""
    rows = found["rows"]
    models = list(dict.fromkeys(row["model"] for row in rows))
    lines = [f"| step time, LoRA = 1 | {' | '.join(models)} | median | memory, at most |"]
    lines.append("|---" * (len(models) + 3) + "|")
    for method, phase, label in _lines(rows):
        own = {row["model"]: row for row in rows if (row["method"], row["phase"]) == (method, phase)}
        times = [own[model]["time_ratio"] for model in models]
        memory = [row["memory_ratio"] for row in own.values() if row["memory_ratio"] is not None]
        cells = [*times, statistics.median(times), max(memory, default=float("nan"))]
        lines.append(f"| {label} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    rounds = found["settings"]["rounds"].values()
    lines.append("")
    lines.append(
        f"{found['processor'] or found['device']}, {found['threads']} threads, torch {found['torch']}, rank 8, "
        f"8 x 128 tokens, {found['settings']['target_tokens']} target tokens, "
        f"lower quartiles of {min(rounds)} to {max(rounds)} interleaved rounds, 95 % intervals of up to {_widest(rows):.2f} "
        f"in width, revision `{found['revision']}`."
    )
    return "\n".join(lines)


def _widest(rows: list[dict[str, Any]]) -> float:
    """Return the width of the widest interval: how much a figure may owe to whatever else the machine did."""
    return max((high - low for low, high in (row["time_ratio_interval"] for row in rows)), default=0.0)


def step_cost_table(found: dict[str, Any]) -> Table:
    """Return the results for a terminal."""
    table = Table(*_HEADINGS)
    for row in found["rows"]:
        low, high = row["time_ratio_interval"]
        memory = "" if row["memory_ratio"] is None else f"{row['memory_ratio']:.3f}"
        figures = (f"{row['seconds']:.4f}", f"{row['time_ratio']:.3f}", f"{low:.3f} - {high:.3f}", memory)
        table.add_row(row["model"], row["phase"], row["method"], *figures)
    return table


def _lines(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return the method, phase and label of each line; a method without a gate has one line, LoRA itself none."""
    methods = [method for method in dict.fromkeys(row["method"] for row in rows) if method != "lora"]
    return [
        (method, phase, f"`{method}`, {phase}" if "jumplora" in method else f"`{method}`")
        for method in methods
        for phase in (("dense", "sparse") if "jumplora" in method else ("dense",))
    ]


# Which table the results of each name make: a file, or a folder of reports.
TABLES: Final[dict[str, Callable[[Any], str]]] = {
    _NAME: markdown,
    "service": service_table.markdown,
    "serving": serving_table.markdown,
    "evaluation": evaluation_table.markdown,
    "continual": committed.markdown,
}


def results(name: str) -> Any:
    """Return the committed results of a name, None or an empty list where there are none."""
    folder, file = RESULTS / name, RESULTS / f"{name}.json"
    if folder.is_dir():
        return committed.reports(folder)
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def main() -> None:
    """Rewrite README's tables from the results that are there."""
    readme = README.read_text(encoding="utf-8")
    for name in TABLES:
        found = results(name)
        if found:
            readme = with_table(readme, found, name=name)
    README.write_text(readme, encoding="utf-8")


if __name__ == "__main__":
    main()
