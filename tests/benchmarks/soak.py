"""Millions of events through a running engine, while the memory of every process is watched.

    python -m tests.benchmarks.soak [--events 10000000] [--rate 20000] [--json FILE]

Memory is flat when no process, after the warm-up, has more than 5 % above what it had when the warm-up ended. That
is judged on medians of looks: of the first tenth after the warm-up, and of each tenth that follows.
The engine's processes are held to it. Redis is shown beside them, with the bytes that it grows by an event: it keeps
the duplicate guard of the last days, by design. So is the broker, whose heap grows up to its bound as it sees fit.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from tests.benchmarks.latency import Tell
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
from tests.benchmarks.usage import Look, Watching
from tests.benchmarks.work import location_ids

EVENTS = 10_000_000
RATE = 20_000
WARM_SHARE = 0.2
PARTS = 10
GROWTH_MAX = 0.05
EVERY_S = 0.25
DRAIN_S = 900.0
SERVERS = ("redis", "kafka")
MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Growth:
    """The memory of one role, in MB."""

    role: str
    after_warm_up_mb: float
    greatest_mb: float
    """The greatest median of a later tenth."""
    growth_percent: float
    bytes_per_event: float
    """By which it grew after the warm-up."""
    judged: bool
    flat: bool


@dataclass(frozen=True, slots=True)
class Soak:
    """What became of a soak."""

    events: int
    seconds: float
    right: bool
    """Whether the last update of every SKU says the truth."""
    flat: bool
    roles: tuple[Growth, ...]
    memory_mb: Mapping[str, Sequence[float]]
    """Medians of the tenths, from the start on, for a plot."""


def growth(role: str, resident: Sequence[int], events: int) -> Growth:
    """Judge the looks at one role, in order."""
    settled = resident[int(WARM_SHARE * len(resident)) :]
    parts = medians(settled)
    first, greatest = parts[0], max(parts)
    grown = greatest / first - 1
    # Between the middles of the first and of the last part.
    between = events * (1 - WARM_SHARE) * (PARTS - 1) / PARTS
    return Growth(
        role=role,
        after_warm_up_mb=round(first / MB, 1),
        greatest_mb=round(greatest / MB, 1),
        growth_percent=round(100 * grown, 2),
        bytes_per_event=round((parts[-1] - first) / between, 1),
        judged=role not in SERVERS,
        flat=grown <= GROWTH_MAX,
    )


def medians(resident: Sequence[int]) -> list[float]:
    """Return the median of each tenth of the looks."""
    if len(resident) < PARTS:
        raise ValueError(f"expected {PARTS} looks or more, got {len(resident)}")
    bounds = [len(resident) * n // PARTS for n in range(PARTS + 1)]
    return [statistics.median(resident[a:b]) for a, b in pairwise(bounds)]


def judged(sent: Sent, *, right: bool, looks: Sequence[Look]) -> Soak:
    """Return what the looks say."""
    during = [look for look in looks if look.at_ms >= sent.start_ms]
    roles = sorted(set().union(*(look.memory for look in during)))
    resident = {role: [look.memory.get(role, 0) for look in during] for role in roles}
    found = tuple(growth(role, of, sent.scheduled) for role, of in resident.items())
    return Soak(
        sent.scheduled, sent.seconds, right, all(each.flat for each in found if each.judged), found,
        {role: [round(part / MB, 1) for part in medians(of)] for role, of in resident.items()},
    )  # fmt: skip


def measure(events: int = EVENTS, rate: int = RATE, tick_ms: int = 200, tell: Tell = print) -> Soak:
    """Soak the engine on servers of its own, and tell what became of it."""
    with servers() as on:
        found = soak(Engine({"soak": Setting(tick_ms, 4_000)}), on, "soak", events, rate)
    for line in lines(found):
        tell(line)
    return found


def soak(
    system: System, on: Servers, configuration: str, events: int, rate: int, skus: int = 5_000
) -> Soak:
    """Send events at a rate, and watch until the last update is out."""
    site = site_of(on)
    places = tuple(location_ids(8, PARTITIONS))
    work = Work("soak", "structured", 1, skus, len(places), 5, events, PARTITIONS)
    make_topics(site)
    open_stock(site, skus, places)
    load = Load(
        site.kafka, f"{site.namespace}.{SALES}", rate, -(-events // rate), skus, places, PARTITIONS,
        events_max=events,
    )  # fmt: skip
    opened = dict.fromkeys(map(sku_name, range(skus)), OPENING * len(places))
    redis_pid = int(on.redis.client.info("server")["process_id"])
    with (
        watching(site, work.channels) as watcher,
        system.running(site, work, configuration) as running,
    ):
        answer = watcher.wait(opened, READY_S)
        if not answer.startswith("reached"):
            raise RuntimeError(f"the opening stock was not told: {answer}")

        def roles() -> dict[str, Sequence[int]]:
            return {**running.pids(), "redis": [redis_pid], "kafka": [on.kafka.pid]}

        with Watching(roles, EVERY_S) as looking:
            sent = generate(load)
            after = {sku: opened[sku] - units for sku, units in sold(load).items()}
            answer = watcher.wait(after, DRAIN_S)
    return judged(sent, right=answer.startswith("reached"), looks=looking.usage.looks)


def lines(found: Soak) -> list[str]:
    """Return the result for people."""
    told = []
    for each in found.roles:
        shown = f", {each.bytes_per_event:g} bytes an event (shown, not judged)"
        told.append(
            f"soak: {each.role:8s} {each.after_warm_up_mb:8.1f} MB after warm-up, {each.greatest_mb:8.1f} MB "
            f"at most, {each.growth_percent:+.2f} %{'' if each.judged else shown}"
        )
    flat = "flat to within" if found.flat else "NOT flat to within"
    truth = "every last update says the truth" if found.right else "updates are WRONG or missing"
    told.append(
        f"soak: {found.events} events in {found.seconds:.0f} s: {flat} {100 * GROWTH_MAX:g} %; {truth}"
    )
    return told


def main() -> None:
    """Read the arguments, measure, print and keep; exit with 1 when it is not flat, or wrong."""
    parser = argparse.ArgumentParser(description="Watch memory while millions of events pass.")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--tick-ms", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.events, arguments.rate, arguments.tick_ms)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.encode({"soak": asdict(found)}))
    sys.exit(0 if found.flat and found.right else 1)


if __name__ == "__main__":
    main()
