"""Channels that open when stock was counted, stock at silent locations, and channels that are held."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectors.redis.embedded import Embedded
from flows.services.policy import overlay as steering
from state.policy import overlay
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

CONFIG = """
version: 1
locations:
  - {id: s1, kind: store, silent_after_s: 60}
  - {id: s2, kind: store, silent_after_s: 60}
  - {id: s3, kind: store}
channels: [{id: shop}, {id: market, opening: counted, locations: {exclude: [s3]}}]
ads: [{rule: ads-market, channel: market}]
"""

LATER_MS = 1 << 50
"""After all that the shops of a test say."""


@pytest.fixture
def config(config: Path) -> Path:
    config.write_text(CONFIG)
    return config


def count(e: Engine, location: str, **units: int) -> None:
    e.send("wms.count", location=location, counted_at="2026-01-01T00:00:00Z", lines=lines(**units))


def levels(e: Engine, sku: str) -> dict[str, int]:
    emitted: list[dict[str, Any]] = [
        each for each in e.emitted("stock.updates") if each["sku"] == sku
    ]
    newest: dict[str, int] = max(emitted, key=lambda each: each["version"])["levels"]
    return newest


def run(e: Engine) -> None:
    e.ingest()
    e.publish()


def test_a_channel_opens_for_a_sku_once_all_its_locations_were_counted(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        count(e, "s1", A=5, B=5)
        run(e)
        assert levels(e, "A") == {"shop": 5}
        assert not e.emitted("ads.signals")
        count(e, "s2", A=2)
        run(e)
        assert levels(e, "A") == {"shop": 7, "market": 7}
        assert levels(e, "B") == {"shop": 5}


def test_a_channel_that_is_open_stays_open_when_a_location_is_added(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        for location in ("s1", "s2"):
            count(e, location, A=5)
        run(e)
    config.write_text(CONFIG.replace("channels:", "  - {id: s4, kind: store}\nchannels:"))
    with engine(valkey, config) as e:
        e.send("wms.receipt", event_id="r", location="s4", reference="r", lines=lines(A=3, B=3))
        run(e)
        assert levels(e, "A") == {"shop": 13, "market": 13}
        assert levels(e, "B") == {"shop": 3}


def test_a_location_that_is_declared_complete_need_not_be_counted(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        count(e, "s1", A=5)
        run(e)
        declare = partial(overlay.declare_complete, locations=["s2"], now_ms=1, by="ana", why="")
        assert steering.change_overlay(e.run, declare)
        run(e)
        assert levels(e, "A") == {"shop": 5, "market": 5}
        assert not steering.change_overlay(e.run, declare)


def test_stock_at_a_silent_location_counts_for_nobody_until_it_is_heard(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        for location in ("s1", "s2", "s3"):
            count(e, location, A=5)
        run(e)
        assert levels(e, "A") == {"shop": 15, "market": 10}
        sums = e.run.policy.sums_revision
        steering.change_overlay(
            e.run, partial(overlay.change_silent, fell={"s1": LATER_MS, "s3": LATER_MS}, spoke=())
        )
        run(e)
        # s3 is not watched, so whoever says that it is silent is wrong.
        assert levels(e, "A") == {"shop": 10, "market": 5}
        assert e.emitted("stock.updates")[-1]["available"] == 10
        assert e.run.policy.sums_revision == sums
        steering.change_overlay(e.run, partial(overlay.change_silent, fell={}, spoke=["s1"]))
        run(e)
        assert levels(e, "A") == {"shop": 15, "market": 10}


@pytest.mark.parametrize(("held", "shown"), [("frozen", 5), ("zero", 0)])
def test_a_held_channel_shows_what_it_was_told_to_until_it_is_resumed(
    valkey: Embedded, config: Path, held: overlay.Held, shown: int
) -> None:
    with engine(valkey, config) as e:
        hold = partial(overlay.hold, channel="shop", now_ms=1, by="ana", why="")
        count(e, "s1", A=5)
        run(e)
        steering.change_overlay(e.run, partial(hold, held=held))
        e.send("wms.receipt", location="s1", reference="r", lines=lines(A=3))
        run(e)
        assert levels(e, "A") == {"shop": shown}
        steering.change_overlay(e.run, partial(hold, held=""))
        run(e)
        assert levels(e, "A") == {"shop": 8}


def test_a_file_that_is_brought_in_force_leaves_decisions_as_they_are(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        hold = partial(overlay.hold, channel="shop", held="zero", now_ms=1, by="ana", why="")
        steering.change_overlay(e.run, hold)
        revision = e.run.policy.revision
    config.write_text(CONFIG + "timezone: Asia/Taipei\n")
    with engine(valkey, config) as e:
        assert e.run.policy.revision > revision
        assert e.run.policy.compiled.channels["shop"].mode == "zero"
        assert e.run.policy.of_file.channels[0].mode == "live"


def test_a_resync_emits_every_level_once_more_and_says_which_channel_asked(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        count(e, "s1", A=5, B=2)
        run(e)
        before = len(e.emitted("stock.updates"))
        steering.resync(e.run, "shop", "ana", "they restored a backup")
        run(e)
        again = e.emitted("stock.updates")[before:]
        assert sorted((each["sku"], each["levels"]["shop"]) for each in again) == [
            ("A", 5),
            ("B", 2),
        ]
        assert [each["changed"] for each in again] == [["shop"], ["shop"]]
        e.send("wms.receipt", location="s1", reference="r", lines=lines(A=3))
        run(e)
        assert len(e.emitted("stock.updates")) == before + 3
