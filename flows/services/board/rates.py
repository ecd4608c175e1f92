"""Arithmetic over the readings of many processes: increases, percentiles, the worst of a gauge.

A counter that a restart set back counts from 0. A process that was not there at the first reading says
nothing of rates yet. None = no process serves it.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from flows.services.board.scrape import Labels, Reading

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of what was measured in the interval; None = nothing was."""

    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class Verb:
    """Calls to the store by one verb."""

    calls_per_s: float
    p99_s: float | None


class Rates:
    """Increases a second, of all processes together, between two readings."""

    def __init__(self, before: Sequence[Reading], now: Sequence[Reading]) -> None:
        earlier = {reading.address: reading for reading in before}
        self._pairs = [(earlier[r.address], r) for r in now if r.address in earlier]

    def sums(self, name: str, key: Callable[[str, Mapping[str, str]], Key]) -> dict[Key, float]:
        """Return the sums by what `key` makes of an address and labels."""
        sums: dict[Key, float] = defaultdict(float)
        for earlier, later in self._pairs:
            took_s = later.at_s - earlier.at_s
            restarted = earlier.began_s() != later.began_s()
            known = {} if restarted else earlier.samples.get(name, {})
            for labels, value in later.samples.get(name, {}).items():
                more = value - known.get(labels, 0.0)
                sums[key(later.address, dict(labels))] += (value if more < 0 else more) / took_s
        return dict(sums)

    def total(self, name: str) -> float | None:
        """Return the sum over processes and labels."""
        return self.sums(name, lambda _, __: "").get("")

    def by(self, name: str, label: str) -> dict[str, float]:
        """Return the sums by one label."""
        return self.sums(name, lambda _, labels: labels[label])

    def latency(self, name: str) -> Percentiles:
        """Return the percentiles of a histogram."""
        buckets = self.by(f"{name}_bucket", "le")
        return Percentiles(quantile(buckets, 0.5), quantile(buckets, 0.99))

    def busiest(self, flow: str) -> float | None:
        """Return the share of time in which the busiest process of a flow does not wait."""
        shares = self.sums("penstock_busy_seconds_total", lambda at, labels: (labels["flow"], at))
        return max((share for (of, _), share in shares.items() if of == flow), default=None)

    def verbs(self) -> dict[str, Verb]:
        """Return the calls to the store, of the verbs that were called."""
        buckets: dict[str, dict[str, float]] = defaultdict(dict)
        name = "penstock_redis_seconds"
        both = self.sums(f"{name}_bucket", lambda _, labels: (labels["verb"], labels["le"]))
        for (verb, bound), rate in both.items():
            buckets[verb][bound] = rate
        calls = self.by(f"{name}_count", "verb")
        return {
            verb: Verb(calls[verb], quantile(buckets[verb], 0.99))
            for verb in sorted(calls)
            if calls[verb]
        }

    def cpu(self, address: str) -> float | None:
        """Return how many cores a process uses."""
        return self.sums("process_cpu_seconds_total", lambda at, _: at).get(address)


class Worst:
    """The highest value of a gauge over all processes, for each set of labels."""

    def __init__(self, now: Sequence[Reading]) -> None:
        self._now = now

    def value(self, name: str) -> float | None:
        """Return the highest of all."""
        return max(self._highest(name).values(), default=None)

    def total(self, name: str) -> float | None:
        """Return the sum over the sets of labels."""
        found = self._highest(name)
        return sum(found.values()) if found else None

    def by(self, name: str, label: str) -> dict[str, float]:
        """Return the highest by one label."""
        return {dict(labels)[label]: value for labels, value in self._highest(name).items()}

    def labels_of(self, name: str) -> list[dict[str, str]]:
        """Return the sets of labels whose value is above 0."""
        return [dict(labels) for labels, value in self._highest(name).items() if value > 0]

    def _highest(self, name: str) -> dict[Labels, float]:
        highest: dict[Labels, float] = {}
        for reading in self._now:
            for labels, value in reading.samples.get(name, {}).items():
                highest[labels] = max(value, highest.get(labels, value))
        return highest


def quantile(buckets: Mapping[str, float], part: float) -> float | None:
    """Return a quantile of a histogram as Prometheus does: even within a bucket; None = it is empty.

    Args:
        buckets: upper bound as text -> how many were at most that; "+Inf" among them.
        part: 0 to 1.
    """
    rising = sorted((float(bound), many) for bound, many in buckets.items())
    if not rising or rising[-1][1] <= 0:
        return None
    rank = part * rising[-1][1]
    for (low, below), (high, upto) in pairwise([(0.0, 0.0), *rising]):
        if upto >= rank and upto > below:
            if math.isinf(high):
                return low  # beyond the last bound nothing is known but that bound
            return low + (high - low) * (rank - below) / (upto - below)
    return None
