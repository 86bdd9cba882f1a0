"""The picture of a comparison: what each method scores in the end, and what it forgot on the way."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

_FIGURES: Final = (("oa", "accuracy over all tasks in the end (OA)"), ("bwt", "change of earlier tasks (BWT)"))
_ROW_INCHES: Final = 0.32
_BAR: Final = "#3b6ea5"
_LINE: Final = "#222222"


def draw(lines: Sequence[Mapping[str, Any]], path: Path, *, baseline: str) -> None:
    """Write the lines of `compare.compare` as a picture, of the kind that the file's ending names (svg, png).

    Each bar is a mean over a method's runs; the whisker is the 90 % interval of its difference to the baseline.
    """
    figure = Figure(figsize=(9, 1.2 + _ROW_INCHES * len(lines)), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, 2, sharey=True), _FIGURES, strict=True):
        values = [float(line[name] or 0.0) for line in lines]
        axes.barh([line["method"] for line in lines], values, color=_BAR)
        for row, (value, line) in enumerate(zip(values, lines, strict=True)):
            difference = line[f"{name}_difference"]
            if difference is not None:
                ends = (value - difference.value + difference.low, value - difference.value + difference.high)
                axes.plot(ends, (row, row), color=_LINE, linewidth=1.5)
        axes.set_title(title, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
    # barh begins below; the best method stands on top.
    figure.axes[0].invert_yaxis()
    figure.supxlabel(f"whiskers: 90 % interval of the difference to {baseline}, paired over rows", fontsize=8)
    figure.savefig(path)
