"""The page of metrics names every metric with its type and labels, and none that is not there."""

import re
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from prometheus_client.core import Metric

from api.backend_exposition import BackendCollector
from api.exposition import ServiceCollector
from api.metering import Meters
from core.domain.backends import Question, Standing
from core.registry.work import Registry
from core.serving.meters import EngineMeters
from core.serving.store import VersionStore
from worker.compute.vllm.door import server_meters

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
HOW_TO = (DOCS / "how-to" / "watch-the-service.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (`(?:strata|process)_.+?) \| ([a-z, ]+) \|(.*?)\| (.+) \|$", flags=re.MULTILINE)


class OneBackend:
    """Backends of which one answers, and measures nothing."""

    def generate(self, question: Question) -> dict[str, Any]:
        raise NotImplementedError

    def stream(self, question: Question) -> Any:
        raise NotImplementedError

    def standings(self) -> dict[str, Standing]:
        return {"engine": Standing(fault=None)}

    def metrics(self) -> dict[str, str]:
        return {}


def exposed(tmp_path: Path) -> list[Metric]:
    """Every family of all sources; the registry's is away, which leaves its families without samples."""
    away = Registry(f"sqlite:///{tmp_path}/nowhere/registry.sqlite")
    context: Any = SimpleNamespace(registry=away, settings=SimpleNamespace(data_dir=tmp_path))
    sources: Iterable[Any] = (
        Meters().registry,
        ServiceCollector(context),
        EngineMeters(VersionStore()).registry,
        BackendCollector(OneBackend()),
        server_meters({}),
    )
    return [family for source in sources for family in source.collect()]


def title(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def documented() -> dict[str, tuple[str, str]]:
    return {
        name: (kind, labels) for names, kind, labels, _ in ROW.findall(PAGE) for name in re.findall(r"`(\w+)`", names)
    }


def test_every_metric_stands_in_the_reference_and_nothing_else(tmp_path: Path) -> None:
    assert set(documented()) == {title(family) for family in exposed(tmp_path)}


def test_every_metric_has_the_type_and_the_labels_that_stand_in_the_reference(tmp_path: Path) -> None:
    for family in exposed(tmp_path):
        kind, labels = documented()[title(family)]
        assert family.type in kind
        found = getattr(family, "_labelnames", None)
        if found is not None:
            assert tuple(re.findall(r"`(\w+)`", labels)) == tuple(found), family.name


def test_names_follow_the_conventions_of_prometheus(tmp_path: Path) -> None:
    for family in exposed(tmp_path):
        assert re.fullmatch(r"(strata|process)_[a-z_]+", family.name)
        assert family.documentation.endswith(".") or family.name.startswith("process_")


def test_alerts_ask_for_metrics_that_there_are() -> None:
    scrape, rules = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", HOW_TO, flags=re.DOTALL))
    assert scrape["scrape_configs"][0]["metrics_path"] == "/metrics"
    asked = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for rule in rules["groups"][0]["rules"]
        for name in re.findall(r"strata_\w+", rule["expr"])
    }
    assert asked - set(documented()) == set()
