"""The page of metrics."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram, Info
from prometheus_client.metrics import MetricWrapperBase

from monitoring import metrics
from monitoring.gauges import Age, OptionalGauge
from monitoring.labels import INVARIANTS, LABELS, Values, listed
from monitoring.latency import Latency
from monitoring.reasons import REASONS
from tools.pages.markdown import code, codes, filled, named, table

_TEMPLATE = Path(__file__).with_name("metrics.md")
_KINDS: dict[type, str] = {
    Counter: "counter",
    Gauge: "gauge",
    Histogram: "histogram",
    Info: "info",
    Latency: "histogram",
    OptionalGauge: "gauge",
    Age: "gauge",
}
_SUFFIXES = {"counter": "_total", "info": "_info"}
_SECTIONS = {
    "penstock_location_silent_seconds": "[silence](#silence)",
    "penstock_locations_silent": "[silence](#silence)",
    "penstock_dead_letters_total": "[classes of reasons](#classes-of-reasons)",
    "penstock_invariant_violations": "[the walk](#the-walk)",
}
"""Metrics of which a section says more."""
_TABLES: tuple[Values, ...] = (INVARIANTS, REASONS)
"""Values that have a table of their own there."""


class Metric(NamedTuple):
    """A metric as it is declared."""

    name: str
    kind: str
    text: str


def declared() -> Iterator[Metric]:
    """Yield every metric of ours, in the order of the declarations."""
    for collector in vars(metrics).values():
        kind = _KINDS.get(type(collector), "")
        if isinstance(collector, Latency | OptionalGauge | Age):
            name, text = collector.name, collector.documentation
        elif isinstance(collector, MetricWrapperBase):
            family = next(iter(collector.describe()))
            name, text = family.name + _SUFFIXES.get(kind, ""), family.documentation
        else:
            continue
        yield Metric(name, kind, text.removesuffix(listed(name)) if name in LABELS else text)


def page() -> str:
    """Return the page in Markdown."""
    rows = [
        (code(each.name), each.kind, codes(LABELS.get(each.name, ())), _says(each))
        for each in declared()
    ]
    return filled(
        _TEMPLATE,
        metrics=table(("metric", "kind", "labels", "what it says"), rows),
        invariants=table(("invariant", "violated when"), _rows(INVARIANTS)),
        reasons=table(("class", "the message"), _rows(REASONS)),
    )


def _says(metric: Metric) -> str:
    parts = [named(metric.text)]
    for label, values in LABELS.get(metric.name, {}).items():
        if values and values not in _TABLES:
            parts.append(
                f"{code(label)}: {values if isinstance(values, str) else _values(values)}."
            )
    if metric.name in _SECTIONS:
        parts.append(f"See {_SECTIONS[metric.name]}.")
    return " ".join(parts)


def _values(values: Values) -> str:
    return ", ".join(
        f"{code(name)} ({meaning})" if meaning else code(name) for name, meaning in values.items()
    )


def _rows(values: Values) -> list[tuple[str, str]]:
    return [(code(name), meaning) for name, meaning in values.items()]
