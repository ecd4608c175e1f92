"""What metrics and the walk cost: CPU of both flows and of Redis, with them and without.

    python -m tests.benchmarks.bench_metrics [--events 4000] [--pairs 7]

One process reads and applies sales of one line, then claims, emits and settles each SKU that they touched, on an
embedded server of its own. With and without metrics take turns, slice by slice and in random order, so that what
else happens on the machine falls on both; the median slices of a pair give a difference in percent. "Without" takes out
whatever counts, times or watches, down to the calls; "with" has the walk at its default. Told are the median of
the differences, with a bootstrap interval of 95 %; the difference in Python functions called, which no neighbour on
the machine changes; and the CPU time of a scrape, which comes every 15 s or so and is in no slice.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from connectors.config.settings import Settings
from connectors.log.base import Outgoing
from connectors.messages.cloudevents import structured
from flows.ingest import consumer_lag as lag
from flows.ingest.arrivals import Arrivals
from flows.ingest.reader import Reader
from flows.ingest.silence_report import SilenceReport
from flows.ingest.steps import decode, normalise, send, to_dead_letters
from flows.ingest.throttle import Throttle
from flows.publish import publish_lag as unsettled
from flows.publish import steps as publish_steps
from flows.publish.claimer import Claimer
from flows.publish.steps import decide, emit, settle
from flows.publish.steps import guard as guard_channels
from flows.runtime.clock import now_ms
from flows.runtime.context import Runtime
from flows.runtime.idle import lags, open_work
from flows.runtime.process import collect_rarely
from flows.runtime.session import runtime
from flows.services.scrub.scrubber import scrubbing
from monitoring import busy, metrics
from monitoring.gauges import Age, OptionalGauge
from monitoring.latency import Latency
from state.protocol.pack import Packer

CONFIG = """
version: 1
locations:
{locations}
channels:
  - {{id: shop}}
  - {{id: market, share_bp: 8000, buffer: {{units: 1}}}}
ads:
  - {{rule: search, channel: shop, pause_at: 2, resume_at: 6}}
"""
SKUS, LOCATIONS = 5_000, 8
SLICES = 16
SCRAPES = 20
WARM_S = 0.05
RESAMPLES = 10_000
SEED = 6

SILENT: Sequence[tuple[Any, str]] = (
    (Counter, "inc"),
    (Gauge, "set"),
    (Histogram, "observe"),
    (Latency, "observe_ages"),
    (Age, "since"),
    (OptionalGauge, "put"),
    (OptionalGauge, "set"),
    (metrics, "count_events"),
    (metrics, "count_dead_letters"),
    (lag.ConsumerLag, "handed_on"),
    (lag.ConsumerLag, "applied"),
    (lag.ConsumerLag, "look"),
    (Arrivals, "note"),
    (SilenceReport, "look"),
    (unsettled.PublishLag, "claimed"),
    (unsettled.PublishLag, "settled"),
    (unsettled.PublishLag, "due"),
    (publish_steps, "_count"),
)
"""What is taken out of a run without metrics."""


@contextmanager
def without_metrics() -> Iterator[None]:
    """Let nothing count, time or watch."""
    with ExitStack() as stack:
        for owner, name in SILENT:
            stack.enter_context(patch.object(owner, name, lambda *_args, **_more: None))
        stack.enter_context(patch.object(MetricWrapperBase, "labels", lambda self, *_: self))
        stack.enter_context(patch.object(busy, "timed", lambda _flow, _step, work: work))
        stack.enter_context(patch.object(busy, "timed_source", lambda _flow, _step, ask, *_: ask))
        yield


class Bench:
    """Runs of both flows on one store."""

    def __init__(self, run: Runtime, events: int) -> None:
        self._run = run
        self._events = events
        self._sent = 0
        self._packer = Packer(run.store.shards, run.guard_ms)
        self._reader, self._claimer = Reader(run), Claimer(run)

    def fill(self) -> None:
        """Bring in the opening stock."""
        for location in range(LOCATIONS):
            for first in range(0, SKUS, 500):
                goods = [
                    {"sku": f"{sku:07d}", "quantity": 1_000} for sku in range(first, first + 500)
                ]
                data = {"location": f"s{location}", "reference": "open", "lines": goods}
                self._append("wms.receipts", "wms.receipt", data)
        self._work()

    def spent_s(self, *, measured: bool) -> float:
        """Return the CPU time that one run takes, with metrics or without."""
        self._sell()
        with self._with() if measured else self._without():
            self._run.clock.wait(WARM_S)
            began_s = self._cpu_s()
            self._work()
            return self._cpu_s() - began_s

    def called(self, *, measured: bool) -> int:
        """Return how many Python functions one run calls in this thread."""
        self._sell()
        calls = 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event in {"call", "c_call"}

        with self._with() if measured else self._without():
            sys.setprofile(count)
            try:
                self._work()
            finally:
                sys.setprofile(None)
        return calls

    def scrape_ms(self) -> float:
        """Return the CPU time of one scrape."""
        began_s = time.process_time()
        for _ in range(SCRAPES):
            generate_latest(metrics.REGISTRY)
        return 1000 * (time.process_time() - began_s) / SCRAPES

    def walk_share(self, seconds: float) -> float:
        """Return what share of a core the walk takes while nothing else is done."""
        with scrubbing(self._run):
            began_s, busy_s = time.monotonic(), _busy_s()
            self._run.clock.wait(seconds)
            return (_busy_s() - busy_s) / (time.monotonic() - began_s)

    @contextmanager
    def _with(self) -> Iterator[None]:
        with scrubbing(self._run):
            yield

    @contextmanager
    def _without(self) -> Iterator[None]:
        observe, self._run.store._observe = self._run.store._observe, lambda _verb, _seconds: None
        try:
            with without_metrics():
                yield
        finally:
            self._run.store._observe = observe

    def _work(self) -> None:
        """Do all there is to do, as the engine would."""
        run = self._run
        reader, claimer = self._reader, self._claimer

        def wired(flow: str, name: str, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
            return run.failure.step(busy.timed(flow, name, work))

        read = busy.timed_source(
            "ingest", "read", lambda: reader.next_batch(time.monotonic()), time.thread_time
        )
        ingest = [
            wired("ingest", "decode", decode),
            wired("ingest", "normalise", partial(normalise, run)),
            wired("ingest", "dead_letters", partial(to_dead_letters, run)),
            wired("ingest", "apply", partial(send, run, self._packer)),
        ]
        claim = busy.timed_source("publish", "claim", lambda: claimer.next_claims(time.monotonic()))
        publish = [
            wired("publish", "decide", partial(decide, run)),
            wired("publish", "guard", partial(guard_channels, run)),
            wired("publish", "emit", partial(emit, run)),
            wired("publish", "settle", partial(settle, run)),
        ]
        while lags(run):
            _through(ingest, read())
            # Waiting for more would be time in which only the walk is at work.
            reader._session.wait_in_flight()
        while open_work(run):
            run.clock.wait(run.settings.tick_ms / 1000)
            while _through(publish, claim()):
                continue

    def _sell(self) -> None:
        chance = random.Random(self._sent)
        for _ in range(self._events):
            goods = [{"sku": f"{chance.randrange(SKUS):07d}", "quantity": 1}]
            location = f"s{chance.randrange(LOCATIONS)}"
            data = {"location": location, "receipt": f"r{self._sent}", "lines": goods}
            self._append("pos.sales", "pos.sale", data)

    def _append(self, topic: str, kind: str, data: dict[str, Any]) -> None:
        self._sent += 1
        value = structured(f"e{self._sent}", "/pos/s1", kind, now_ms(), data)
        self._run.log.append([Outgoing(topic, data["location"].encode(), value)])

    def _cpu_s(self) -> float:
        cpu = self._run.primaries.client.info("cpu")
        return time.process_time() + float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


def _through(steps: Sequence[Callable[[Any], Any]], item: Any) -> bool:
    """Bring an item through the steps; say whether there was one."""
    if item is None:
        return False
    for step in steps:
        item = step(item)
    return True


def _busy_s() -> float:
    return metrics.REGISTRY.get_sample_value("penstock_walk_busy_seconds_total") or 0.0


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return the bootstrap interval of 95 % of the median."""
    chance = random.Random(SEED)
    medians = sorted(
        statistics.median(chance.choices(differences, k=len(differences))) for _ in range(RESAMPLES)
    )
    return medians[RESAMPLES * 25 // 1000], medians[RESAMPLES * 975 // 1000]


def measure(bench: Bench, pairs: int) -> dict[str, Any]:
    """Return the differences of all pairs, in percent, and what follows from them."""
    chance, spent = random.Random(SEED), []
    for _ in range(pairs + 1):
        slices: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(SLICES):
            for measured in chance.sample((True, False), 2):
                slices[measured].append(bench.spent_s(measured=measured))
        spent.append({measured: statistics.median(each) for measured, each in slices.items()})
    del spent[0]  # the first warms up
    differences = [100 * (pair[True] / pair[False] - 1) for pair in spent]
    called = {measured: bench.called(measured=measured) for measured in (False, True)}
    low, high = interval(differences)
    return {
        "cpu_us_per_event": {
            name: round(1e6 * statistics.median(pair[kind] for pair in spent) / bench._events, 2)
            for name, kind in (("with", True), ("without", False))
        },
        "difference_percent": [round(each, 2) for each in differences],
        "median_percent": round(statistics.median(differences), 2),
        "interval_percent": [round(low, 2), round(high, 2)],
        "calls_percent": round(100 * (called[True] / called[False] - 1), 2),
        "scrape_ms": round(bench.scrape_ms(), 2),
        "walk_percent": round(100 * bench.walk_share(20.0), 2),
    }


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Measure what metrics and the walk cost.")
    parser.add_argument("--events", type=int, default=4_000, help="events of each slice")
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    collect_rarely()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "penstock.yaml"
        shops = "\n".join(f"  - {{id: s{n}, kind: store}}" for n in range(LOCATIONS))
        config.write_text(CONFIG.format(locations=shops))
        settings = Settings(config=config, data=Path(folder) / "data", metrics="127.0.0.1:0")
        # Nobody publishes while a slice is read: that is no reason to hold back.
        never = patch.object(Throttle, "holds", lambda *_: False)
        with never, runtime(settings) as run:
            bench = Bench(run, given.events)
            bench.fill()
            found = measure(bench, given.pairs)
    sys.stdout.write(json.dumps(found) + "\n")
    low, high = found["interval_percent"]
    sys.stdout.write(
        f"metrics cost: median={found['median_percent']}% interval=[{low}%,{high}%] "
        f"calls={found['calls_percent']}% walk={found['walk_percent']}%\n"
    )


if __name__ == "__main__":
    main()
