"""Gauges of which the client library has no like: one that may be unknown, one that grows by itself."""

import time
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Labels = tuple[str, ...]

_ALONE: Final = ""


class OptionalGauge(Collector):
    """A gauge that is exported only while the process knows its value; all its series are set at once.

    A process that does not know says nothing, so that a rule may take the maximum over all processes.
    """

    def __init__(
        self, name: str, documentation: str, labels: Labels = (), *, registry: CollectorRegistry
    ) -> None:
        self.name = name
        self.labels = labels
        self.documentation = documentation
        self._values: Mapping[Labels, float] = {}
        registry.register(self)

    def put(self, values: Mapping[Labels, float]) -> None:
        """Export these values, by the values of the labels, and no others."""
        self._values = dict(values)

    def set(self, value: float) -> None:
        """Export the value of a gauge without labels."""
        self._values = {(): value}

    def clear(self) -> None:
        """Export nothing any more."""
        self._values = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what is known."""
        values = self._values
        if values:
            family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


class Age(Collector):
    """How old something is, in seconds, as of the moment of the scrape; 0 while there is nothing.

    Also a process that hangs exports an age that grows. Several parts of a process may each know of something
    (`by`); the oldest is exported. Safe to use from several threads.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Labels = (),
        *,
        registry: CollectorRegistry,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.name = name
        self.labels = labels
        self.documentation = documentation
        self._now_ms = now_ms
        self._since: dict[Labels, dict[object, int]] = {}
        self._lock = Lock()
        registry.register(self)

    def since(self, ms: int, *labels: str, by: object = _ALONE) -> None:
        """Say since when there is something, as a system time; 0 = there is nothing."""
        with self._lock:
            self._since.setdefault(labels, {})[by] = ms

    def forget(self, *labels: str, by: object = _ALONE) -> None:
        """Say nothing of these labels any more."""
        with self._lock:
            parts = self._since.get(labels, {})
            parts.pop(by, None)
            if not parts:
                self._since.pop(labels, None)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the ages."""
        with self._lock:
            oldest = {
                labels: min(filter(None, parts.values()), default=0)
                for labels, parts in self._since.items()
            }
        now_ms = self._now_ms()
        family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
        for labels, ms in oldest.items():
            family.add_metric(labels, max(0, now_ms - ms) / 1000 if ms else 0.0)
        if oldest:
            yield family
