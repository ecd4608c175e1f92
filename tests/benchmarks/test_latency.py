"""What is said of latency, growth and memory holds; above all, that a system which stands still cannot hide it."""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer, TopicPartition

from state.events.timestamps import rfc3339_ms
from tests.benchmarks import latency, scaling, soak
from tests.benchmarks.open_loop import Load, Schedule, Sent, chosen, run, sold
from tests.benchmarks.scaling_steps import Row
from tests.benchmarks.scene import Servers
from tests.benchmarks.stock_store import store_of
from tests.benchmarks.system import Running, Site, Work
from tests.benchmarks.systems.engine import Engine, Setting
from tests.benchmarks.watch import Ages, Watch
from tests.patience import PATIENCE_S
from tests.servers.kafka import Kafka
from tests.servers.redis_servers import RedisServer

START_S = 1_000_000.0
LOAD = Load("", "", 1_000, 2, 50, ("s1", "s2"))


class VirtualClock:
    """Time that passes only by sleeping, and by being held up."""

    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def update(sku: str, version: int, available: int, cause_ms: int, channels: int = 2) -> bytes:
    """An update as the engine writes it, as far as it is read."""
    levels = {f"c{n}": max(0, available - n) for n in range(channels)}
    cause = datetime.fromtimestamp(cause_ms / 1000, UTC).isoformat(timespec="milliseconds")
    data = {
        "sku": sku,
        "version": version,
        "available": available,
        "levels": levels,
        "cause_time": cause,
    }
    return msgspec.json.encode({"id": "x", "data": data})


def sent(acknowledged: int = 2_000) -> Sent:
    return Sent(2_000, acknowledged, int(START_S * 1000), 2.0, 0.5, 1.0, 0.2)


def test_every_event_is_sent_once_in_order_and_not_before_its_moment() -> None:
    clock = VirtualClock()
    schedule = Schedule(START_S + 0.5, 700, 1_400)
    seen: list[int] = []

    def send(number: int, moment_s: float) -> None:
        assert clock() >= moment_s - 1e-6
        seen.append(number)

    late_s = run(schedule, send, clock, clock.sleep)

    assert seen == list(range(1_400))
    assert max(late_s) < 0.002
    assert schedule.moment_s(1_399) == pytest.approx(START_S + 0.5 + 1_399 / 700)


def test_a_system_that_holds_the_sender_up_is_charged_for_all_who_wait() -> None:
    clock = VirtualClock()
    schedule = Schedule(START_S, 1_000, 2_000)
    ages_us: list[int] = []
    answered_us: list[int] = []

    def send(number: int, moment_s: float) -> None:
        asked_s = clock()
        clock.sleep(0.5 if number == 1_000 else 0.0)
        ages_us.append(round(1_000_000 * (clock() - moment_s)))
        answered_us.append(round(1_000_000 * (clock() - asked_s)))

    run(schedule, send, clock, clock.sleep)

    # What a closed loop would tell, which asks next when it was answered: one slow answer in 2,000.
    assert latency.percentile(sorted(answered_us), 0.99) == 0
    # The events of half a second waited, on average half as long.
    assert latency.percentile(sorted(ages_us), 0.99) > 470_000
    assert sum(age > 100_000 for age in ages_us) == pytest.approx(400, abs=20)


def test_a_pause_of_the_consumer_shows() -> None:
    watch, start_ms = Watch(), int(START_S * 1000)
    waiting: list[bytes] = []
    for ms in range(2_000):
        waiting.append(update(f"s{ms % 100}", ms, 10_000 - ms, start_ms + ms))
        if not 1_000 <= ms < 1_500:
            watch.take(waiting, 1000 * (start_ms + ms + 1))
            waiting.clear()

    found = latency.judged(LOAD, sent(), f"reached {start_ms + 2_001}", watch.ages, SHAPE, "x")

    assert found.p50_ms == 1.0
    assert found.p99_ms > 470
    assert found.max_ms == 501
    assert sum(count for _, count in found.histogram) == found.updates == 2_000


SHAPE = latency.Shape(warm_s=0, seconds=2)


def test_percentiles_are_those_of_the_sorted_values() -> None:
    chance = Random(5)
    for size in (1, 2, 99, 100, 1_001):
        values = sorted(chance.randrange(1_000_000) for _ in range(size))
        for share in (0.5, 0.99, 0.999, 1.0):
            below = [v for v in values if sum(w <= v for w in values) >= share * size]
            assert latency.percentile(values, share) == below[0]


def test_weights_count_as_so_many_values() -> None:
    chance = Random(6)
    pairs = sorted((chance.randrange(1_000), chance.randrange(4)) for _ in range(500))
    spread = sorted(value for value, weight in pairs for _ in range(weight))
    for share in (0.01, 0.5, 0.99, 1.0):
        assert latency.weighted_percentile(pairs, share) == latency.percentile(spread, share)


def test_buckets_have_two_figures_and_hold_their_values() -> None:
    ages_us = [0, 7, 99, 100, 1_049, 1_050, 1_100, 123_456]
    buckets = latency.histogram(ages_us)
    assert [top for top, _ in buckets] == [0.0, 0.007, 0.099, 0.1, 1.1, 130.0]
    assert sum(count for _, count in buckets) == len(ages_us)
    assert math.isclose(dict(buckets)[1.1], 3)


def test_the_watch_takes_no_version_twice_and_finds_a_wrong_level() -> None:
    watch = Watch()
    values = [update("a", 1, 9, 1_000), update("a", 3, 7, 1_001), update("a", 2, 8, 1_002)]
    watch.take([*values, values[0], update("b", 1, 5, 1_000, channels=1)], 2_000_000)

    assert watch.available == {"a": 7, "b": 5}
    assert list(watch.ages.events) == [0, 2, 0]
    assert watch.wrong({"a": 7}, 2) == []
    assert watch.wrong({"a": 6, "b": 5, "never told": 1}, 2) == ["a", "b", "never told"]


def test_what_was_taken_down_is_read_again(tmp_path: Path) -> None:
    watch = Watch()
    watch.take([update(f"s{n}", 1, 3, 1_000 + n) for n in range(5)], 3_000_000)
    watch.ages.save(tmp_path / "ages")
    ages = Ages.load(tmp_path / "ages")
    assert ages == watch.ages
    assert list(ages.within(1_001, 1_003)) == [(1_999_000, 0), (1_998_000, 0)]


@pytest.mark.parametrize(
    ("of", "answer", "why"),
    [
        (sent(), "reached 1000002100", ""),
        (sent(1_999), "reached 1000002100", "1999 of 2000 sales"),
        (sent(), "missing 3", "3 SKUs were told wrong"),
        (sent(), "reached 1000003500", "1500 ms after the last sale"),
    ],
)
def test_a_rate_is_held_only_if_all_was_sent_and_told_in_time(
    of: Sent, answer: str, why: str
) -> None:
    watch = Watch()
    watch.take([update("a", 1, 3, 1_000_000_500)], 1_000_000_510_000)
    found = latency.judged(LOAD, of, answer, watch.ages, SHAPE, "x")
    assert found.held == (why == "")
    assert why in found.why


def test_one_that_held_is_better_than_a_faster_one_that_did_not() -> None:
    watch = Watch()
    watch.take([update("a", 1, 3, 1_000_000_500)], 1_000_000_510_000)
    slow = latency.judged(LOAD, sent(), "reached 1000002100", watch.ages, SHAPE, "held")
    fast = latency.judged(LOAD, sent(), "missing 1", watch.ages, SHAPE, "not held")
    assert latency.best([fast, slow]).configuration == "held"


def test_the_truth_is_what_the_generator_sells() -> None:
    places = chosen(LOAD)
    assert len(places) == LOAD.events == 2_000
    assert sum(sold(LOAD).values()) == 2_000
    assert sold(LOAD)["s000007"] == sum(place // 2 == 7 for place in places)


def test_a_hot_sku_has_its_share_and_no_location_more_than_before() -> None:
    even = Load("", "", 20_000, 1, 50, ("s1", "s2"))
    hot = replace(even, hot_percent=80)
    assert sold(hot)["s000000"] == pytest.approx(0.8 * 20_000 + 0.2 * 400, rel=0.02)
    assert [place % 2 for place in chosen(hot)] == [place % 2 for place in chosen(even)]


def test_memory_that_grows_after_the_warm_up_is_not_flat() -> None:
    warm = [50 + n for n in range(20)]
    flat = soak.growth("ingest", [*warm, *([70, 71, 70, 72] * 20)], 1_000)
    leak = soak.growth("ingest", [*warm, *(70 + n // 8 for n in range(80))], 1_000)
    assert (flat.flat, leak.flat) == (True, False)
    assert not soak.growth("redis", warm, 1_000).judged


def test_a_figure_that_grows_beyond_the_wish_is_told() -> None:
    rows: list[Row] = [
        {"locations": 1, "update_us": 20.0},
        {"locations": 500, "update_us": 21.9},
    ]
    assert "within 1.1" in scaling.verdict("locations", rows)
    rows.append({"locations": 900, "update_us": 22.1})
    assert "NOT within 1.1" in scaling.verdict("locations", rows)
    assert scaling.verdict("bytes", rows) == ""


SMALL = latency.Shape(skus=300, locations=4, channels=3, warm_s=1, seconds=3)
QUICK = {"tick 5 ms": Setting(5, 1_000)}


@pytest.mark.kafka
def test_the_engine_holds_a_small_load(
    kafka: Kafka, redis_debian: RedisServer, tmp_path: Path
) -> None:
    told: list[str] = []
    on = Servers(kafka, redis_debian, tmp_path)

    (found,) = latency.measure(Engine(QUICK), on, [500], SMALL, tell=told.append)

    assert found.held, found.why
    assert 0 < found.p50_ms <= found.p99_ms <= found.p999_ms <= found.max_ms
    assert found.updates > 500
    assert found.counted
    assert told == [latency.line(found)]
    first, second = (sale_of(kafka, tmp_path, at) for at in (0, 1))
    assert first[0] == second[0] == TIMESTAMP_CREATE_TIME
    assert first[1] == first[2], "the log keeps the moment of the schedule"


def sale_of(kafka: Kafka, folder: Path, offset: int) -> tuple[int, int, int]:
    """Kind and value of a sale's log timestamp, and the time that the event itself tells."""
    (namespace,) = (path.name for path in folder.iterdir() if path.name.startswith("bench"))
    consumer: Any = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": namespace})
    try:
        consumer.assign([TopicPartition(f"{namespace}.pos.sales", 0, offset)])
        message = consumer.poll(PATIENCE_S)
        event = msgspec.json.decode(message.value())
        return (*message.timestamp(), rfc3339_ms(event["time"]))
    finally:
        consumer.close()


class Interrupted(Engine):
    """An engine whose publisher stands still for a second, once it is under load."""

    @contextmanager
    def running(self, site: Site, work: Work, configuration: str) -> Iterator[Running]:
        with super().running(site, work, configuration) as made, store_of(site) as store:
            (publisher,) = made.pids()["publish"]

            def interrupt() -> None:
                while store.counters()["applied"] < work.events // 2:
                    time.sleep(0.01)
                os.kill(publisher, signal.SIGSTOP)
                time.sleep(1)
                os.kill(publisher, signal.SIGCONT)

            thread = threading.Thread(target=interrupt)
            thread.start()
            yield made
            thread.join()


@pytest.mark.kafka
def test_a_second_in_which_the_engine_stood_still_is_in_the_percentiles(
    kafka: Kafka, redis_debian: RedisServer, tmp_path: Path
) -> None:
    on = Servers(kafka, redis_debian, tmp_path)
    (found,) = latency.measure(Interrupted(QUICK), on, [500], SMALL)
    assert found.p99_ms > 800
    assert found.event_p99_ms > 800
