"""`/metrics` of the backends: how each is, and what it says of itself, told apart by its name."""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from core.domain.ports import Generator

_LABEL: Final = "engine"


class BackendCollector(Collector):
    """Asks every backend at each scrape."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def collect(self) -> Iterator[Metric]:
        """Yield how each backend is, then what they tell."""
        up = GaugeMetricFamily("strata_engine_up", "Whether the engine answered this scrape.", labels=(_LABEL,))
        held = GaugeMetricFamily(
            "strata_engine_requests_held", "Requests that this API process has there.", labels=(_LABEL,)
        )
        moved = CounterMetricFamily(
            "strata_engine_failovers", "Requests that it did not begin to answer and another got.", labels=(_LABEL,)
        )
        for name, standing in self._generator.standings().items():
            up.add_metric((name,), float(standing.fault is None))
            held.add_metric((name,), standing.requests)
            moved.add_metric((name,), standing.failovers)
        yield from (up, held, moved)
        yield from _told(self._generator.metrics())


def _told(texts: Mapping[str, str]) -> Iterator[Metric]:
    """Yield the families of all texts, each once, its samples under the name of who told them."""
    families: dict[str, Metric] = {}
    for name, text in texts.items():
        for told in text_string_to_metric_families(text):
            family = families.setdefault(told.name, Metric(told.name, told.documentation, told.type))
            family.samples.extend(Sample(each.name, {_LABEL: name, **each.labels}, each.value) for each in told.samples)
    yield from families.values()
