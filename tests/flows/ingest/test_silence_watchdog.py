"""Locations that have to speak while they are open."""

from pathlib import Path
from typing import Any

import pytest

from connectors.redis.embedded import Embedded
from monitoring import metrics
from state.policy.overlay import SILENT_MAX
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

MORNING, NOON, EVENING, NIGHT = "08:00", "12:00", "20:30", "23:00"
CONFIG = """
version: 1
timezone: UTC
locations:
  - {id: s1, kind: store, silent_after_s: 3600, hours: "09:00-21:00"}
  - {id: s2, kind: store}
channels: [{id: shop}]
"""


@pytest.fixture
def config(config: Path) -> Path:
    config.write_text(CONFIG)
    return config


def receive(e: Engine, location: str, day: int, hour: str, units: int = 5) -> None:
    """Receive units of A at a time by the clocks of the shops."""
    when, reference = f"2026-05-{day:02d}T{hour}:00Z", f"{location}-{day}-{hour}"
    e.send_at(when, "wms.receipt", location=location, reference=reference, lines=lines(A=units))


def run(e: Engine) -> None:
    e.ingest(8)
    e.publish()


def shown(e: Engine) -> int:
    emitted: list[dict[str, Any]] = e.emitted("stock.updates")
    level: int = max(emitted, key=lambda each: each["version"])["levels"]["shop"]
    return level


def test_a_shop_is_left_out_after_an_hour_of_silence_and_counts_with_its_next_event(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, clock="event") as e:
        receive(e, "s1", 4, NOON)
        run(e)
        receive(e, "s2", 4, "12:59")
        run(e)
        assert (e.run.policy.silent, shown(e)) == ((), 10)
        receive(e, "s2", 4, "13:00")
        run(e)
        assert (e.run.policy.silent, shown(e)) == (("s1",), 10)
        receive(e, "s1", 4, "13:01", units=1)
        run(e)
        assert (e.run.policy.silent, shown(e)) == ((), 16)


def test_silence_while_it_is_closed_is_none(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, clock="event") as e:
        receive(e, "s1", 4, EVENING)
        run(e)
        for day, hour in ((4, NIGHT), (5, MORNING), (5, "09:29")):
            receive(e, "s2", day, hour)
            run(e)
            assert not e.run.policy.silent
        receive(e, "s2", 5, "09:30")
        run(e)
        assert e.run.policy.silent == ("s1",)


def test_a_shop_that_never_spoke_has_as_long_as_any_other(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, clock="event") as e:
        receive(e, "s2", 4, "10:00")
        run(e)
        assert not e.run.policy.silent
        receive(e, "s2", 4, "11:00")
        run(e)
        assert e.run.policy.silent == ("s1",)


def test_a_shop_that_is_watched_no_more_counts(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, clock="event") as e:
        for hour in ("10:00", "11:00"):
            receive(e, "s1" if hour == "10:00" else "s2", 4, hour)
            run(e)
        assert e.run.policy.silent == ("s1",)
    config.write_text(CONFIG.replace("silent_after_s: 3600, ", ""))
    with engine(valkey, config, clock="event") as e:
        run(e)
        assert (e.run.policy.silent, shown(e)) == ((), 10)


def test_nobody_is_silent_while_another_reader_has_not_heard_all(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, clock="event") as e, engine(valkey, config, clock="event") as other:
        receive(e, "s1", 4, "10:00")
        run(e)
        # The other one has heard nothing since, and says so.
        chains, watchdog = other.reader._session.chains, other.reader._upkeep._watchdog
        watchdog.look(other.now_s, chains, e.reader._business_ms)
        receive(e, "s2", 4, "11:00")
        run(e)
        assert not e.run.policy.silent
        watchdog.leave()
        run(e)
        assert e.run.policy.silent == ("s1",)


def test_when_too_many_are_silent_at_once_the_rest_goes_on_counting(
    valkey: Embedded, config: Path
) -> None:
    shops = [f"t{n:03d}" for n in range(SILENT_MAX + 8)]
    listed = "\n".join(f"  - {{id: {shop}, kind: store, silent_after_s: 3600}}" for shop in shops)
    config.write_text(CONFIG.replace("channels:", f"{listed}\nchannels:"))
    with engine(valkey, config, clock="event") as e:
        receive(e, "s2", 4, "10:00")
        run(e)
        receive(e, "s2", 4, "13:00")
        run(e)
        assert len(e.run.policy.silent) == SILENT_MAX
        (kept,) = metrics.LOCATIONS_KEPT.collect()
        assert kept.samples[0].value == len(shops) + 1 - SILENT_MAX


def test_a_silent_shop_is_taken_back_at_once_when_it_speaks(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, clock="event") as e:
        receive(e, "s1", 4, "10:00")
        run(e)
        receive(e, "s2", 4, "11:00")
        run(e)
        assert (e.run.policy.silent, shown(e)) == (("s1",), 5)
        receive(e, "s1", 4, "11:01", units=1)
        e.reader._ticked_s = e.now_s + 100  # No tick is due for long: what it spoke asks for one.
        e.ingest(2)
        assert not e.run.policy.silent
        e.publish()
        assert shown(e) == 11
