"""A histogram of latencies that takes in a batch at the price of a few observations."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

BUCKETS_MS: Final = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700),
    *(1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000),
)
"""Upper bounds, ms. Neighbours differ by at most a factor of two, from 1 ms to 10 s."""


class Latency(Collector):
    """Latencies in whole milliseconds, exported as a Prometheus histogram in seconds.

    The client library's own histogram takes one value a call. The messages of a batch share few
    distinct timestamps, so they are tallied first and each distinct value is placed once.
    Safe to use from several threads.
    """

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self.name = name
        self.documentation = documentation
        self._counts = [0] * (len(BUCKETS_MS) + 1)
        self._sum_ms = 0
        self._lock = Lock()
        registry.register(self)

    def observe_ages(self, now_ms: int, timestamps_ms: Iterable[int]) -> None:
        """Take in how old each timestamp is at `now_ms`; a timestamp in the future counts as 0."""
        tally = Counter(timestamps_ms)
        with self._lock:
            for timestamp_ms, times in tally.items():
                latency_ms = now_ms - timestamp_ms if timestamp_ms < now_ms else 0
                self._counts[bisect_left(BUCKETS_MS, latency_ms)] += times
                self._sum_ms += latency_ms * times

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram as it stands."""
        with self._lock:
            counts, sum_ms = list(self._counts), self._sum_ms
        bounds = [*(str(bound_ms / 1000) for bound_ms in BUCKETS_MS), "+Inf"]
        yield HistogramMetricFamily(
            self.name,
            self.documentation,
            buckets=list(zip(bounds, map(float, accumulate(counts)), strict=True)),
            sum_value=sum_ms / 1000,
        )
