"""How fast a version answers, and what flips and further versions cost.

    python -m benchmarks.serving [--json] [--base FOLDER] [--concurrency 1 4 8 16 32] [--rounds 3] [--max-tokens 48]
                                 [--flips 50] [--rollbacks 10] [--versions 10] [--threads 2] [--gguf FILE]

Everything runs in one process, one thing after another, round by round: our engine, and transformers' `generate` on the
same prompts, one by one and in a static batch. Greedy answers throughout. The base model is that of `make demo`; run it
while nothing else runs: it takes about ten minutes on two cores.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import structlog
import torch
from rich.console import Console
from rich.markdown import Markdown
from transformers.utils import logging as transformers_logging

from benchmarks import figures
from benchmarks.service import machine
from benchmarks.serving import baselines, flips, memory, over_http, table, throughput
from benchmarks.serving.prompts import PROMPTS
from core.serving.engine import Engine
from core.serving.loading import VersionLoader
from core.settings import usable_cpus
from tests.tiny_versions import SetSource, Shelf

BASES: Final = Path("var/base-models/smollm2-135m-instruct")
_MEMORY_BYTES: Final = 16 * 2**30
_POLL_SECONDS: Final = 0.5


def measure(base: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Measure everything on the base model of a folder."""
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as folder:
        shelf, source = Shelf(Path(folder), base), SetSource()
        loader = VersionLoader(artefacts=shelf.artefacts, cache=Path(folder) / "cache", device=torch.device("cpu"))
        engine = Engine(source=source, loader=loader, memory_bytes=_MEMORY_BYTES)
        engine.start(poll_seconds=_POLL_SECONDS)
        try:
            model = source.point("latest", shelf.original())
            known = {"concurrency": given.concurrency, "rounds": given.rounds, "max_tokens": given.max_tokens}
            found: dict[str, Any] = {"rows": throughput.rows(engine, model, shelf.loaded, **known)}
            known = {"rounds": given.rounds, "max_tokens": given.max_tokens}
            found["http"] = over_http.figures(engine, source, shelf, **known)
            found["memory"] = memory.rows(engine, source, shelf, versions=given.versions)
            found["flips"] = flips.figures(engine, source, shelf, flips=given.flips, rollbacks=given.rollbacks)
        finally:
            engine.stop()
        how = {"max_tokens": given.max_tokens, "threads": given.threads}
        return found | {"llama_cpp": baselines.llama_cpp(given.gguf, PROMPTS[:4], **how)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print JSON or a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--base", type=Path, help="folder of a base model; by default that of `make demo`")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 8, 16, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--flips", type=int, default=50)
    parser.add_argument("--rollbacks", type=int, default=10)
    parser.add_argument("--versions", type=int, default=10, help="made live, to see what memory they take")
    parser.add_argument("--threads", type=int, default=usable_cpus())
    parser.add_argument("--gguf", type=Path, help="the same model for llama-cpp-python, where that is installed")
    given = parser.parse_args(arguments)
    base = given.base or next(iter(sorted(BASES.glob("*/config.json")))).parent
    torch.set_num_threads(given.threads)
    # Standard output is the figures' own.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    settings = {name: value for name, value in vars(given).items() if name not in {"json", "base", "gguf"}}
    found = {"settings": settings, **machine.facts(), **figures.circumstances(), **measure(base, given)}
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        Console().print(Markdown(table.markdown(found)))


if __name__ == "__main__":
    main()
