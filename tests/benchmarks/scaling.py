"""What happens when there is more of something: more shops, SKUs, channels, processes, primaries of Redis.

    python -m tests.benchmarks.scaling [--quick] [--only locations skus ...] [--json FILE]

Questions of cost are asked of the engine's steps in one process (`scaling_steps`); those of time and of processes of
whole engines on a broker. A row is one size; the result is `{"scaling": {question: [row, ...]}}`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.benchmarks.open_loop import Load, sku_name, sold
from tests.benchmarks.scaling_steps import (
    CHANNELS,
    HOT_PERCENT,
    LOCATIONS,
    SKUS,
    Row,
    Sizes,
    by_hot,
    by_publish,
    by_skus,
    bytes_of_redis,
    redis_server,
)  # fmt: skip
from tests.benchmarks.scene import (
    OPENING,
    PARTITIONS,
    generate,
    make_topics,
    open_stock,
    watching,
)
from tests.benchmarks.stock_store import store_of
from tests.benchmarks.system import SALES, Site, Work
from tests.benchmarks.systems.engine import Engine, Setting, environment, policy
from tests.benchmarks.usage import Watching
from tests.benchmarks.work import location_ids
from tests.servers.kafka import Kafka, running_kafka
from tests.servers.redis_servers import RedisCluster, RedisServer
from tests.servers.slowlog import longest_ms

FAST = Setting(200, 4_000)
FILL_RATE = 10_000_000
WARM_SHARE = 0.1
WITHIN_S = 600.0
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much whole engines are given."""

    events: int = 400_000
    positions: int = 1_000_000
    skus: int = 68_000


def site_on(kafka: Kafka, redis: str, folder: Path, servers: Sequence[RedisServer]) -> Site:
    """Return a site of its own, with topics; the servers of Redis are emptied."""
    name = f"scaling{time.time_ns():x}"
    (folder / name).mkdir()
    for server in servers:
        server.do("FLUSHALL")
        server.do("FUNCTION FLUSH")
    site = Site(kafka.bootstrap, redis, name, f"{name}.stock.updates", folder / name, name)
    make_topics(site)
    return site


def drain(
    site: Site,
    setting: Setting,
    events: int,
    hot_percent: int = 0,
    server: RedisServer | None = None,
) -> Row:
    """Return how fast an engine works off a topic: from a tenth of it to the last update.

    With the server given, also how long its longest call was meanwhile.
    """
    places = tuple(location_ids(8, PARTITIONS))
    work = Work("scaling", "structured", 1, 5_000, len(places), 5, events, PARTITIONS)
    engine, opened = (
        Engine({"one": setting}),
        dict.fromkeys(map(sku_name, range(work.skus)), 8 * OPENING),
    )
    open_stock(site, work.skus, places)
    load = Load(
        site.kafka, f"{site.namespace}.{SALES}", FILL_RATE, 1, work.skus, places, PARTITIONS
    )
    load = replace(load, events_max=events, hot_percent=hot_percent)
    with watching(site, work.channels) as watcher:
        with engine.running(site, work, "one"), store_of(site) as store:
            _reached(watcher.wait(opened, WITHIN_S))
            before = store.counters()["applied"]
        generate(load)
        if server is not None:
            longest_ms(server)
        after = {sku: opened[sku] - units for sku, units in sold(load).items()}
        with (
            engine.running(site, work, "one") as running,
            Watching(running.pids) as watching_cpu,
            store_of(site) as store,
        ):
            _until(lambda: store.counters()["applied"] >= before + WARM_SHARE * events)
            warm, began_ms = store.counters()["applied"] - before, time.time_ns() // 1_000_000
            ended_ms = _reached(watcher.wait(after, WITHIN_S))
        watcher.stop()
    measured = events - warm
    cpu = watching_cpu.usage.cpu_s(began_ms, ended_ms)
    found: Row = {
        "events_per_s": round(1000 * measured / (ended_ms - began_ms)),
        **{f"{role}_us": round(1e6 * used / measured, 2) for role, used in cpu.items()},
    }
    if server is not None:
        calls = longest_ms(server)
        ours = [ms for name, ms in calls.items() if name.startswith("penstock_")]
        found["longest_call_ms"] = round(max(ours, default=0.0), 2)
    return found


def by_processes(kafka: Kafka, redis: RedisServer, folder: Path, amounts: Amounts) -> list[Row]:
    """Return throughput by the number of ingests beside one publisher."""
    rows: list[Row] = []
    for ingests in (1, 2, 4):
        site = site_on(kafka, redis.url, folder, [redis])
        rows.append(
            {"ingests": ingests, **drain(site, FAST._replace(ingests=ingests), amounts.events)}
        )
    return rows


def by_hot_engine(kafka: Kafka, redis: RedisServer, folder: Path, amounts: Amounts) -> list[Row]:
    """Return throughput, and the longest call of Redis, with and without a SKU that has most of the sales."""
    rows: list[Row] = []
    for share in HOT_PERCENT:
        site = site_on(kafka, redis.url, folder, [redis])
        found = drain(site, FAST, amounts.events, share, redis)
        rows.append({"hot_percent": share, **found})
    return rows


def by_primaries(kafka: Kafka, redis: RedisServer, folder: Path, amounts: Amounts) -> list[Row]:
    """Return throughput on one server, and on a cluster of three primaries with a replica each."""
    site = site_on(kafka, redis.url, folder, [redis])
    rows: list[Row] = [{"primaries": 1, **drain(site, FAST, amounts.events)}]
    cluster = RedisCluster(folder / "cluster")
    try:
        cluster.start()
        site = site_on(kafka, cluster.url, folder, cluster.primaries)
        rows.append({"primaries": len(cluster.primaries), **drain(site, FAST, amounts.events)})
    finally:
        cluster.stop()
    return rows


def opening(kafka: Kafka, redis: RedisServer, folder: Path, amounts: Amounts) -> list[Row]:
    """Return how long it takes from the start of the engine until the opening stock of all is told."""
    places = tuple(location_ids(8, PARTITIONS))
    skus = amounts.positions // len(places)
    site = site_on(kafka, redis.url, folder, [redis])
    open_stock(site, skus, places)
    work = Work("opening", "structured", 1, skus, len(places), 5, 0, PARTITIONS)
    opened = dict.fromkeys(map(sku_name, range(skus)), len(places) * OPENING)
    with watching(site, work.channels) as watcher:
        began_ms = time.time_ns() // 1_000_000
        with Engine({"one": FAST}).running(site, work, "one"):
            ended_ms = _reached(watcher.wait(opened, WITHIN_S))
        watcher.stop()
    seconds = (ended_ms - began_ms) / 1000
    return [{"positions": skus * len(places), "skus": skus, "seconds": round(seconds, 1)}]


def resync(kafka: Kafka, redis: RedisServer, folder: Path, amounts: Amounts) -> list[Row]:
    """Return how long it takes from a new policy that changes every level until all are told."""
    places = tuple(location_ids(8, PARTITIONS))
    site = site_on(kafka, redis.url, folder, [redis])
    open_stock(site, amounts.skus, places)
    work = Work("resync", "structured", 1, amounts.skus, len(places), 5, 0, PARTITIONS)
    opened = dict.fromkeys(map(sku_name, range(work.skus)), len(places) * OPENING)
    rows: list[Row] = []
    with watching(site, work.channels) as watcher, Engine({"one": FAST}).running(site, work, "one"):
        _reached(watcher.wait(opened, WITHIN_S))
        env, usual = environment(site, work, FAST), policy(work)
        # There and back: what is told in the end is again what the consumer expects.
        for text in (usual.replace("units: ", "units: 1"), usual):
            before = updates(site)
            (site.folder / "penstock.yaml").write_text(text)
            began_s = time.monotonic()
            subprocess.run(
                [sys.executable, "-m", "flows.cli", "init"],
                env=env, cwd=site.folder, stdout=subprocess.DEVNULL, check=True,
            )  # fmt: skip
            _until(lambda told=before + work.skus: updates(site) >= told)  # type: ignore[misc]
            rows.append({"skus": work.skus, "seconds": round(time.monotonic() - began_s, 1)})
        _reached(watcher.wait(opened, WITHIN_S))
        watcher.stop()
    return rows


def updates(site: Site) -> int:
    """Return how many updates are in the log."""
    admin = AdminClient({"bootstrap.servers": site.kafka, "log_level": 0})
    asked = {TopicPartition(site.updates, n): OffsetSpec.latest() for n in range(PARTITIONS)}
    return sum(future.result(10).offset for future in admin.list_offsets(asked).values())


def _reached(answer: str) -> int:
    word, _, told = answer.partition(" ")
    if word != "reached":
        raise RuntimeError(f"expected updates that say the truth, got {answer}")
    return int(told)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected the engine to be done within {WITHIN_S:g} s")
        time.sleep(LOOK_S)


ON_STEPS: dict[str, Callable[[RedisServer, Path, Sizes], list[Row]]] = {
    "locations": lambda server, folder, of: by_publish(server, folder, "locations", LOCATIONS, of),
    "channels": lambda server, folder, of: by_publish(server, folder, "channels", CHANNELS, of),
    "skus": lambda server, folder, of: by_skus(server, folder, SKUS, of),
    "hot": by_hot,
    "bytes": bytes_of_redis,
}
ON_ENGINES: dict[str, Callable[[Kafka, RedisServer, Path, Amounts], list[Row]]] = {
    "hot_engine": by_hot_engine,
    "processes": by_processes,
    "primaries": by_primaries,
    "opening": opening,
    "resync": resync,
}
QUESTIONS = (*ON_STEPS, *ON_ENGINES)
WISHES = {
    "locations": ("update_us", 1.10),
    "skus": ("event_us", 1.15),
}
"""How much greater the greatest figure may be than the smallest one."""


def verdict(question: str, rows: Sequence[Row]) -> str:
    """Return what the rows say of the wish, "" where there is none."""
    if question not in WISHES:
        return ""
    name, most = WISHES[question]
    figures = [float(row[name]) for row in rows]
    ratio = max(figures) / min(figures)
    word = "within" if ratio <= most else "NOT within"
    return f"{question}: greatest / smallest {name} = {ratio:.3f}, {word} {most:g}"


def measure(
    questions: Sequence[str] = QUESTIONS,
    sizes: Sizes | None = None,
    amounts: Amounts | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, list[Row]]:
    """Return the rows of each question."""
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for question, ask in _asked(
            Path(folder), questions, sizes or Sizes(), amounts or Amounts()
        ):
            found[question] = ask()
            for row in found[question]:
                tell(f"{question}: " + "  ".join(f"{name}={at}" for name, at in row.items()))
            if said := verdict(question, found[question]):
                tell(said)
    return found


def _asked(
    folder: Path, questions: Sequence[str], sizes: Sizes, amounts: Amounts
) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    for question in (q for q in questions if q in ON_STEPS):
        with redis_server(folder / question, steady=True) as server:
            yield question, partial(ON_STEPS[question], server, folder / question, sizes)
    if any(question in ON_ENGINES for question in questions):
        with _engines(folder) as (kafka, redis):
            for question in (q for q in questions if q in ON_ENGINES):
                yield question, partial(ON_ENGINES[question], kafka, redis, folder, amounts)


@contextmanager
def _engines(folder: Path) -> Iterator[tuple[Kafka, RedisServer]]:
    for kafka in running_kafka(folder / "kafka"):
        with redis_server(folder) as redis:
            yield kafka, redis


def main() -> None:
    """Read the arguments, measure, print and keep."""
    parser = argparse.ArgumentParser(
        description="Measure what happens when there is more of something."
    )
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sizes, amounts = (
        (Sizes(300, 2_000, 3, 10_000), Amounts(20_000, 20_000, 2_000))
        if arguments.quick
        else (Sizes(), Amounts())
    )
    found = measure(arguments.only, sizes, amounts)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.encode({"scaling": found}))


if __name__ == "__main__":
    main()
