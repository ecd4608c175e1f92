"""How old a stock update is when a consumer of `stock.updates` reads it, by load.

    python -m tests.benchmarks.latency [--rates 1000 10000 30000] [--seconds 30] [--trial-seconds 10]

Sales of one line come by a schedule that waits for nothing (`open_loop`), with the moment they were due as their log
timestamp. A consumer in a process of its own (`watch`) takes the age of each update: the time on the clock when it
has read it, less the log timestamp of the oldest sale that the update covers. So nothing flatters: neither
conflation, nor a sender that waits while the engine stands still.

A load counts as held if all was sent and taken, if the last update of every SKU says the truth, and if it was out
within a second of the last sale. Each configuration of the system is tried for a while at each rate; the best one is
then measured for longer, and counts.
"""

import argparse
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec

from tests.benchmarks.open_loop import Load, Sent, sku_name, sold
from tests.benchmarks.scene import (
    OPENING,
    PARTITIONS,
    READY_S,
    Servers,
    generate,
    make_topics,
    open_stock,
    servers,
    site_of,
    watching,
)  # fmt: skip
from tests.benchmarks.system import SALES, System, Work
from tests.benchmarks.systems.engine import Engine, Setting
from tests.benchmarks.watch import Ages
from tests.benchmarks.work import location_ids

RATES = (1_000, 10_000, 30_000)
DRAIN_S = 60.0
GENERATOR_PERCENT_MAX = 10
HELD_MS = 1_000
"""After the last sale, until the last update was read."""

SETTINGS = {
    "tick 1 ms": Setting(1, 1_000),
    "tick 5 ms": Setting(5, 1_000),
    "as installed: tick 20 ms": Setting(20, 1_000),
    "tick 50 ms": Setting(50, 1_000),
    "tick 200 ms, batches of 4,000": Setting(200, 4_000),
}
"""Configurations of the engine that are tried at each rate."""

ENGINE = Engine(SETTINGS)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Shape:
    """The shop, and for how long it sells."""

    skus: int = 5_000
    locations: int = 8
    channels: int = 5
    warm_s: int = 5
    seconds: int = 30
    linger_ms: int = 2


@dataclass(frozen=True, slots=True)
class Latency:
    """Ages of the updates whose cause came after the warm-up."""

    rate: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    generator_cpu_percent: float
    """Of all cores."""
    held: bool
    configuration: str
    event_p99_ms: float
    """The same with each update counted once for each sale that it covers: none is older than the oldest."""
    updates: int
    late_p99_ms: float
    """How far behind its schedule the generator was."""
    late_max_ms: float
    drained_ms: int
    """From the last sale to the last update, -1 if it did not come."""
    seconds: int
    why: str = ""
    """Why the rate was not held."""
    counted: bool = False
    histogram: tuple[tuple[float, int], ...] = ()
    """Upper end of a bucket (ms, two figures) and the updates in it."""


def percentile(ordered: Sequence[int], share: float) -> int:
    """Return the smallest value that so great a share of all does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def weighted_percentile(pairs: Sequence[tuple[int, int]], share: float) -> int:
    """Return the same of values in order, each counted so often as its weight says."""
    wanted = max(1, math.ceil(share * sum(weight for _, weight in pairs)))
    for value, weight in pairs:
        wanted -= weight
        if wanted <= 0:
            return value
    return pairs[-1][0]


def histogram(ages_us: Iterable[int]) -> tuple[tuple[float, int], ...]:
    """Return the ages in buckets of two figures: 1.1 ms, 1.2 ms, ..., 110 ms, 120 ms."""
    counts = Counter(_bucket_us(age) for age in ages_us)
    return tuple((top / 1000, counts[top]) for top in sorted(counts))


def _bucket_us(age_us: int) -> int:
    step: int = 10 ** max(0, len(str(max(1, age_us))) - 2)
    return -(-age_us // step) * step


def measure(
    system: System, on: Servers, rates: Sequence[int] = RATES, shape: Shape | None = None,
    trial_s: int = 10, tell: Tell = print, configurations: Sequence[str] = (),
) -> list[Latency]:  # fmt: skip
    """Try each configuration at each rate, then measure the best one for longer. Return all, the counted ones last."""
    shape = shape or Shape()
    configurations = configurations or system.configurations
    trials: list[Latency] = []
    if len(configurations) > 1:
        brief = replace(shape, seconds=trial_s)
        for rate in rates:
            for configuration in configurations:
                trials.append(once(system, on, rate, brief, configuration))
                tell(line(trials[-1]))
    counted = []
    for rate in rates:
        mine = [trial for trial in trials if trial.rate == rate]
        chosen = best(mine).configuration if mine else configurations[0]
        counted.append(replace(once(system, on, rate, shape, chosen), counted=True))
        tell(line(counted[-1]))
    return trials + counted


def best(trials: Sequence[Latency]) -> Latency:
    """Return the one that held its rate with the lowest p99, or if none did, the lowest p99."""
    return min(trials, key=lambda trial: (not trial.held, trial.p99_ms))


def line(found: Latency) -> str:
    """Return a row for people."""
    held = "held" if found.held else f"NOT HELD: {found.why}"
    much = " (MORE THAN 10 %)" if found.generator_cpu_percent > GENERATOR_PERCENT_MAX else ""
    return (
        f"latency: {found.rate:6d}/s  p50 {found.p50_ms:8.1f}  p99 {found.p99_ms:8.1f}  "
        f"p99.9 {found.p999_ms:8.1f}  max {found.max_ms:8.1f} ms  by event p99 {found.event_p99_ms:8.1f}  "
        f"generator {found.generator_cpu_percent:4.1f} %{much}, late p99 {found.late_p99_ms:.1f}  "
        f"{'*' if found.counted else ' '} {found.configuration}: {held}"
    )


def once(system: System, on: Servers, rate: int, shape: Shape, configuration: str) -> Latency:
    """Run one load through one configuration, on an emptied Redis and new topics."""
    site = site_of(on)
    places = tuple(location_ids(shape.locations, PARTITIONS))
    load = Load(
        site.kafka, f"{site.namespace}.{SALES}", rate, shape.warm_s + shape.seconds, shape.skus, places,
        PARTITIONS, seed=rate, linger_ms=shape.linger_ms,
    )  # fmt: skip
    work = Work(
        "latency", "structured", 1, shape.skus, shape.locations, shape.channels, load.events, PARTITIONS
    )  # fmt: skip
    make_topics(site)
    open_stock(site, shape.skus, places)
    with watching(site, shape.channels) as watcher, system.running(site, work, configuration):
        opened = dict.fromkeys(map(sku_name, range(shape.skus)), OPENING * shape.locations)
        answer = watcher.wait(opened, READY_S)
        if not answer.startswith("reached"):
            raise RuntimeError(f"{configuration}: the opening stock was not told: {answer}")
        sent = generate(load)
        after = {sku: opened[sku] - units for sku, units in sold(load).items()}
        answer = watcher.wait(after, DRAIN_S)
        ages = watcher.stop()
    return judged(load, sent, answer, ages, shape, configuration)


def judged(
    load: Load, sent: Sent, answer: str, ages: Ages, shape: Shape, configuration: str
) -> Latency:
    """Return what a run came to."""
    from_ms, end_ms = (sent.start_ms + 1000 * s for s in (shape.warm_s, load.seconds))
    pairs = sorted(ages.within(from_ms, end_ms))
    if not pairs:
        raise RuntimeError(f"{configuration}: no update at {load.rate}/s: {answer}")
    ordered = [age for age, _ in pairs]
    word, _, told = answer.partition(" ")
    drained_ms = int(told) - end_ms if word == "reached" else -1
    why = _why_not_held(sent, word, told, drained_ms)
    p50, p99, p999, most = (percentile(ordered, share) / 1000 for share in (0.5, 0.99, 0.999, 1.0))
    return Latency(
        rate=load.rate,
        p50_ms=p50,
        p99_ms=p99,
        p999_ms=p999,
        max_ms=most,
        generator_cpu_percent=round(100 * sent.cores / (os.cpu_count() or 1), 2),
        held=not why,
        configuration=configuration,
        event_p99_ms=weighted_percentile(pairs, 0.99) / 1000,
        updates=len(pairs),
        late_p99_ms=sent.late_p99_ms,
        late_max_ms=sent.late_max_ms,
        drained_ms=drained_ms,
        seconds=shape.seconds,
        why=why,
        histogram=histogram(ordered),
    )


def _why_not_held(sent: Sent, word: str, told: str, drained_ms: int) -> str:
    if sent.acknowledged != sent.scheduled:
        return f"{sent.acknowledged} of {sent.scheduled} sales were taken by the broker"
    if word != "reached":
        return f"{told} SKUs were told wrong, or not at all, {DRAIN_S:g} s after the end"
    if drained_ms > HELD_MS:
        return f"the last update came {drained_ms} ms after the last sale"
    return ""


def main() -> None:
    """Read the arguments, measure, print and keep."""
    parser = argparse.ArgumentParser(description="Measure the age of stock updates by load.")
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES))
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--trial-seconds", type=int, default=10)
    parser.add_argument("--warm-seconds", type=int, default=5)
    parser.add_argument("--configurations", nargs="+", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    shape = Shape(warm_s=arguments.warm_seconds, seconds=arguments.seconds)
    with servers() as found:
        rows = measure(
            ENGINE, found, arguments.rates, shape, arguments.trial_seconds,
            configurations=arguments.configurations,
        )  # fmt: skip
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.encode({"latency": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
