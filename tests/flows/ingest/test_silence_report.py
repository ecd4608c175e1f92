"""Locations that are silent for longer than is usual for them, from events to the metric."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.log.base import Partition
from connectors.redis.embedded import Embedded
from flows.ingest.arrivals import Heard
from flows.ingest.silence_report import LOOK_S, Hearing
from monitoring import metrics
from state.demand import arrival_rhythm as silence
from state.demand.arrival_rhythm import HOUR_MS, MINUTE_MS
from state.events.ops import MOVE, ORDER
from state.protocol.pack import NormalEvent
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

DAY_MS = 24 * HOUR_MS
BEGIN_MS = 1_767_225_600_000
"""A midnight, UTC."""
HERE, THERE = Partition("pos.sales", 0), Partition("pos.sales", 1)


@pytest.fixture
def e(valkey: Embedded, config: Path) -> Iterator[Engine]:
    with engine(valkey, config) as made:
        yield made


class Ear:
    """A reader that hears, and nothing else."""

    def __init__(self, e: Engine) -> None:
        self.run = e.run
        self.heard = Heard()
        self.hearing = Hearing(e.run, self.heard)
        self.now_s = 100.0

    def hear(self, location: str, *at_ms: int, partition: Partition = HERE) -> None:
        events = [NormalEvent(0, "", 0, ms, ms, ((MOVE, "A", location, -1, 0, 1),)) for ms in at_ms]
        self.heard.note({partition: events})

    def look(self, now_ms: int, *behind: Partition) -> dict[str, float]:
        self.now_s += LOOK_S
        self.hearing.look(self.now_s, behind, now_ms)
        return silent()


def silent() -> dict[str, float]:
    (*families,) = metrics.LOCATION_SILENT.collect()
    found = {s.labels["location"]: s.value for family in families for s in family.samples}
    number = metrics.REGISTRY.get_sample_value("penstock_locations_silent")
    assert number == len(found)
    return found


def each_quarter(begin_ms: int, end_ms: int) -> range:
    return range(begin_ms, end_ms, 15 * MINUTE_MS)


def taught(e: Engine, days: int = 3) -> Ear:
    """An ear that heard two locations for days, one each quarter of an hour, the other twice a day."""
    ear, end_ms = Ear(e), BEGIN_MS + days * DAY_MS
    ear.hear("s1", *each_quarter(BEGIN_MS, end_ms))
    ear.hear("wh", *range(BEGIN_MS, end_ms, 12 * HOUR_MS))
    assert ear.look(end_ms) == {}
    return ear


def test_the_one_that_is_usually_heard_is_missed_and_the_other_is_not(e: Engine) -> None:
    ear, end_ms = taught(e), BEGIN_MS + 3 * DAY_MS
    last_ms = end_ms - 15 * MINUTE_MS
    assert ear.look(last_ms + 150 * MINUTE_MS) == {}
    assert ear.look(last_ms + 152 * MINUTE_MS) == {"s1": 152 * 60}
    assert ear.look(last_ms + 200 * MINUTE_MS) == {"s1": 200 * 60}
    ear.hear("s1", last_ms + 210 * MINUTE_MS)
    assert ear.look(last_ms + 211 * MINUTE_MS) == {}


def test_on_the_first_day_nobody_is_missed(e: Engine) -> None:
    ear = Ear(e)
    ear.hear("s1", *each_quarter(BEGIN_MS, BEGIN_MS + 6 * HOUR_MS))
    assert ear.look(BEGIN_MS + DAY_MS - 1) == {}


def test_what_is_usual_outlives_the_process(e: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    taught(e)
    now_ms = e.run.clock.now_ms()
    monkeypatch.setattr(e.run.clock, "now_ms", lambda: now_ms + 61_000)
    assert "s1" in Ear(e).look(BEGIN_MS + 3 * DAY_MS + 4 * HOUR_MS)


def test_only_locations_of_the_policy_are_kept(e: Engine) -> None:
    ear = Ear(e)
    ear.hear("nowhere", BEGIN_MS)
    ear.hear("s1", BEGIN_MS)
    ear.look(BEGIN_MS)
    fields: Any = e.run.server.client.hkeys(e.run.keys.silence())
    assert {field for field in fields if not field.startswith(b"\x1f")} == {b"s1"}


def test_nobody_is_missed_for_what_is_not_read_yet(e: Engine) -> None:
    ear, end_ms = taught(e), BEGIN_MS + 3 * DAY_MS
    late_ms = end_ms + 9 * HOUR_MS
    assert ear.look(late_ms, HERE) == {}, "it may lie in what is behind"
    assert ear.look(late_ms, THERE) == {}, "nothing was read there yet"
    ear.hear("wh", end_ms + 5 * HOUR_MS, partition=THERE)
    assert ear.look(late_ms, THERE) == {"s1": 315 * 60}
    assert ear.look(late_ms) == {"s1": 555 * 60}


def test_nobody_is_missed_for_what_another_reader_has_not_read_yet(e: Engine) -> None:
    ear, other, end_ms = taught(e), Ear(e), BEGIN_MS + 3 * DAY_MS
    other.hear("wh", end_ms, partition=THERE)
    other.look(end_ms + HOUR_MS, THERE)
    assert ear.look(end_ms + 9 * HOUR_MS) == {}
    other.look(end_ms + 9 * HOUR_MS)
    assert "s1" in ear.look(end_ms + 9 * HOUR_MS)


def test_two_readers_that_write_at_the_same_time_lose_nothing_for_long(e: Engine) -> None:
    one, other = taught(e), Ear(e)
    at_ms = BEGIN_MS + 4 * DAY_MS
    one.hear("s1", at_ms)
    one.look(at_ms)
    stale: Any = e.run.server.client.hget(e.run.keys.silence(), "s1")
    other.hear("s1", at_ms + MINUTE_MS)
    other.look(at_ms + MINUTE_MS)
    e.run.server.client.hset(e.run.keys.silence(), "s1", stale)
    one.look(at_ms + 2 * MINUTE_MS)
    other.look(at_ms + 2 * MINUTE_MS)
    kept: Any = e.run.server.client.hget(e.run.keys.silence(), "s1")
    rhythm = silence.decode(kept)
    assert rhythm is not None
    assert rhythm.minutes == 0b11


def test_a_reader_that_is_gone_is_forgotten(e: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    ear, gone, end_ms = taught(e), Ear(e), BEGIN_MS + 3 * DAY_MS
    gone.look(end_ms, THERE)
    now_ms = e.run.clock.now_ms()
    monkeypatch.setattr(e.run.clock, "now_ms", lambda: now_ms + 120_000)
    assert "s1" in ear.look(end_ms + 9 * HOUR_MS), "it is not waited for"
    monkeypatch.setattr(e.run.clock, "now_ms", lambda: now_ms + 700_000)
    ear.look(end_ms + 9 * HOUR_MS)
    fields: Any = e.run.server.client.hkeys(e.run.keys.silence())
    assert sum(field.startswith(b"\x1f") for field in fields) == 1


def test_it_looks_no_more_often_than_it_should(e: Engine) -> None:
    ear = taught(e)
    ear.hearing.look(ear.now_s + LOOK_S - 0.1, (), BEGIN_MS + 9 * DAY_MS)
    assert silent() == {}


def test_orders_name_no_location_and_time_is_that_of_the_clock() -> None:
    event = NormalEvent(0, "", 0, HOUR_MS, 2 * HOUR_MS, ((MOVE, "A", "s1", 1, 0, 0),))
    order: Any = event._replace(ops=((ORDER, "A", "o1", "shop", 2),))
    for by_event, minute in ((True, 60), (False, 120)):
        heard = Heard(by_event=by_event)
        heard.note({HERE: [order, event, event._replace(ops=())], THERE: []})
        assert heard.take() == {"s1": {minute}}
        assert heard.take() == {}
        assert heard.newest_ms == {HERE: minute * MINUTE_MS}


def test_an_engine_by_event_time_misses_a_shop(valkey: Embedded, config: Path) -> None:
    address = "127.0.0.1:0"
    with engine(valkey, config, clock="event", batch_events=1_000) as e:
        e.run = type(e.run)(
            e.run.settings.model_copy(update={"metrics": address}),
            e.run.server, e.run.keys, e.run.store, e.run.log, e.run.policy,
        )  # fmt: skip
        made = Engine(e.run)
        for at in range(0, 3 * 24 * 60, 30):
            when = f"2026-01-{1 + at // 1440:02}T{at // 60 % 24:02}:{at % 60:02}:00Z"
            made.send_at(when, "pos.sale", location="s1", receipt=f"{at}", lines=lines(A1=1))
        made.send_at(
            "2026-01-04T08:00:00Z", "pos.sale", location="wh", receipt="x", lines=lines(A1=1)
        )
        made.now_s += LOOK_S
        made.ingest(2 * int(LOOK_S))
        assert silent() == {"s1": 8.5 * 3600}
