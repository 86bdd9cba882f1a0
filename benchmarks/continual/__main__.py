"""The command: `python -m benchmarks.continual`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from rich.console import Console
from rich.progress import Progress

from benchmarks.continual import agreement, compare, page, report
from benchmarks.continual.base_scores import BaseScores
from benchmarks.continual.data import Collection, Portion, first_tokens
from benchmarks.continual.run import Run
from benchmarks.step_cost_models import smollm2_folder
from core.domain.errors import InvalidError
from core.learning.catalogue.presets import PRESETS
from core.learning.lineage import Lineage
from core.storage import durable
from core.weights import base

# One pass in steps of 8 rows: what the published comparisons at this scale use, and their rate where a method names none.
SPEC: Final[dict[str, Any]] = {
    "training": {"epochs": 1, "batch_size": 8, "max_target_tokens": 16},
    "evaluation": {"batch_size": 50},
}
_LEARNING_RATE: Final = 1e-3
# What is done with finished runs.
COMMANDS: Final = {"agree": agreement.main, "compare": compare.main, "report": page.main}


def main(arguments: Sequence[str]) -> None:
    """Run one method on one order, or look at finished runs."""
    if arguments[:1] and (command := COMMANDS.get(arguments[0])):
        command(arguments[1:])
        return
    given = _parser().parse_args(arguments)
    torch.set_num_threads(given.threads)
    folder, spec = _folder(given.base), _spec(given)
    loaded = base.load(folder, dtype=torch.float32)
    lineage = Lineage(loaded.model, loaded.tokenizer, method=given.method)
    try:
        recipe = lineage.recipe(spec)
    except InvalidError as error:
        places = "; ".join(f"{'.'.join(map(str, place.loc))}: {place.message}" for place in error.places)
        raise SystemExit(f"{error}: {places}") from error
    collection = Collection.open(given.data)
    portion = Portion(train_rows=given.train_rows, eval_rows=given.eval_rows, split=given.eval_split, seed=given.seed)
    cut = first_tokens(loaded.tokenizer, given.text_tokens)
    tasks = [collection.task(name, portion, cut) for name in collection.names(given.order)[: given.first]]
    about = {
        "order": given.order,
        "method": given.method,
        "base": given.base,
        "settings": {
            "recipe": recipe.model_dump(mode="json"),
            "train_rows": given.train_rows,
            "eval_rows": given.eval_rows,
            "eval_split": given.eval_split,
            "text_tokens": given.text_tokens,
            "seed": given.seed,
        },
    }
    _keep_to_one_run(given.out, about)
    cuts = (recipe.training.max_source_tokens, recipe.training.max_target_tokens)
    kept = BaseScores(given.base_scores, (loaded.digest_with({}), *cuts))
    with Progress(console=Console(stderr=True)) as progress:
        run = Run(lineage=lineage, tasks=tasks, spec=spec, folder=given.out, progress=progress, base_scores=kept)
        records = run.finish()
    found = report.of(run, records, about)
    durable.write_bytes(given.out / "report.json", (json.dumps(found, indent=1) + "\n").encode())
    figures = ("oa", "bwt", "forgetting", "plasticity", "density")
    sys.stdout.write(json.dumps({name: found[name] for name in figures}) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.continual", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the tasks; see docs/how-to/reproduce.md")
    parser.add_argument("--order", required=True, help="a name of benchmark.json, or tasks with commas between")
    parser.add_argument("--first", type=int, help="only so many tasks of the order")
    parser.add_argument("--method", required=True, help="a preset; see GET /v1/methods")
    parser.add_argument("--base", default="smollm2-135m-instruct", help="the wheel's model, or a folder")
    parser.add_argument("--train-rows", type=int, default=320)
    parser.add_argument("--eval-rows", type=int, default=100)
    parser.add_argument("--eval-split", default="dev")
    parser.add_argument("--text-tokens", type=int, default=80, help="longer texts are cut")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--base-scores", type=Path, help="folder of the base's own scores, shared by runs")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=JSON", help="e.g. training.epochs=2")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run; given again, the run goes on")
    return parser


def _spec(given: argparse.Namespace) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(json.dumps(SPEC))
    spec["training"]["seed"] = given.seed
    if given.method in PRESETS and "learning_rate" not in PRESETS[given.method].training:
        spec["training"]["learning_rate"] = _LEARNING_RATE
    for setting in given.set:
        path, _, value = setting.partition("=")
        *parents, last = path.split(".")
        place = spec
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = json.loads(value)
    return spec


def _folder(named: str) -> Path:
    return smollm2_folder() if named == "smollm2-135m-instruct" else Path(named)


def _keep_to_one_run(folder: Path, about: dict[str, Any]) -> None:
    """Refuse a folder that holds another run's tasks."""
    durable.make_folder(folder)
    file = folder / "run.json"
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) != about:
        raise SystemExit(f"{folder} holds a run with other settings: give another folder, or remove it")
    durable.write_bytes(file, json.dumps(about, indent=1).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
