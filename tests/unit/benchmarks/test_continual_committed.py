"""README's comparison of methods is made of the committed reports."""

from typing import Any

from benchmarks.continual import committed
from benchmarks.tables import README, results, with_table


def report(method: str, order: str, right: str) -> dict[str, Any]:
    settings = {"seed": 0, "train_rows": 4, "eval_rows": 4, "eval_split": "dev", "text_tokens": 8}
    return {
        "method": method,
        "order": order,
        "base": "tiny",
        "settings": settings,
        "tasks": ["hue", "tint"],
        "right": [{"hue": right}, {"hue": right, "tint": right}],
        "oa": right.count("1") / 4,
        "bwt": 0.0,
        "plasticity": 0.5,
        "density": [1.0, 1.0],
        "processor": "abacus",
    }


def test_the_readme_shows_what_the_committed_reports_give() -> None:
    readme = README.read_text(encoding="utf-8")
    assert with_table(readme, results("continual"), name="continual") == readme


def test_methods_are_set_beside_those_that_ran_on_the_same_orders() -> None:
    found = [
        report(method, order, right)
        for method, right in (("inclora", "1000"), ("ella", "1100"))
        for order in ("short_1", "short_2")
    ]
    found += [report("ewc", "short_1", "1110"), report("ella", "long_4", "1111"), report("inclora", "long_4", "0000")]
    everywhere, long, first, circumstances = committed.markdown(found).split("\n\n")
    assert "| `ella` | short_1/0, short_2/0 | 0.500 |" in everywhere
    assert "ewc" not in everywhere
    assert "| `ewc` | short_1/0 | 0.750 |" in first
    assert "+0.500" in first
    assert "| `ella` | long_4/0 | 1.000 |" in long
    assert "abacus" in circumstances
