"""A channel of which too much would go to zero at once freezes."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectors.config.policy_file import load
from connectors.redis.embedded import Embedded
from flows.services.policy import overlay as steering
from flows.services.scrub.scan import Findings, Scan
from monitoring import metrics
from state.policy import overlay
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

CONFIG = """
version: 1
locations: [{id: wh, kind: warehouse}, {id: s1, kind: store}]
policies: {zero_guard_pct: 20, zero_guard_min: 5}
channels: [{id: shop}, {id: market, zero_guard_pct: 100}, {id: side, mode: frozen}]
"""
SKUS = [f"A{n:02d}" for n in range(40)]


@pytest.fixture
def config(config: Path) -> Path:
    config.write_text(CONFIG)
    return config


def count(e: Engine, **units: int) -> None:
    stamp = e.run.clock.now_ms() % 60_000
    at = f"2026-01-01T00:00:{stamp / 1000:06.3f}Z"
    e.send("wms.receipt", location="wh", reference=at, lines=lines(**units))


def stocked(e: Engine) -> None:
    count(e, **dict.fromkeys(SKUS, 3))
    run(e)


def sell(e: Engine, skus: list[str]) -> None:
    e.send(
        "pos.sale",
        event_id=f"sold {skus[0]}",
        location="wh",
        receipt="r",
        lines=lines(**dict.fromkeys(skus, 3)),
    )
    run(e)


def run(e: Engine) -> None:
    e.ingest()
    e.publish()


def levels(e: Engine, channel: str) -> list[int]:
    newest: dict[str, Any] = {}
    for each in e.emitted("stock.updates"):
        if each["version"] > newest.get(each["sku"], {"version": 0})["version"]:
            newest[each["sku"]] = each
    return [newest[sku]["levels"][channel] for sku in SKUS]


def is_held(e: Engine, channel: str) -> bool:
    return e.run.policy.overlay.steered(channel).held == "frozen"


def test_a_wrong_policy_freezes_the_channel_before_it_shows_nothing(
    valkey: Embedded, config: Path
) -> None:
    trips = metrics.BREAKER_TRIPS.labels("shop")._value.get()
    with engine(valkey, config) as e:
        stocked(e)
        config.write_text(CONFIG.replace("{id: shop}", "{id: shop, locations: {kinds: [store]}}"))
        e.run.shared.policy.activate(load(config), e.run.clock.now_ms())
        run(e)
        assert levels(e, "shop") == [3] * len(SKUS)
        assert levels(e, "market") == [3] * len(SKUS)
        steered = e.run.policy.overlay.steered("shop")
        assert (steered.held, steered.by) == ("frozen", "breaker")
        assert steered.why == (
            "40 of 40 SKUs shown (100 %) that were looked at would go to zero by the new policy, "
            "more than zero_guard_pct 20"
        )
        (alert,) = e.emitted("stock.alerts")
        assert (alert["type"], alert["channel"], alert["why"]) == (
            "channel.frozen", "shop", steered.why,
        )  # fmt: skip
        assert metrics.BREAKER_TRIPS.labels("shop")._value.get() == trips + 1


def test_what_sells_out_within_the_share_goes_to_zero(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        stocked(e)
        sell(e, SKUS[:8])
        assert levels(e, "shop") == [0] * 8 + [3] * 32
        assert not is_held(e, "shop")
        sell(e, SKUS[8:9])
        assert is_held(e, "shop")
        assert levels(e, "shop") == [0] * 8 + [3] * 32
        # This one may lose everything, and the other shows what it showed.
        assert levels(e, "market") == [0] * 9 + [3] * 31


def test_a_policy_that_takes_no_more_than_the_share_is_followed(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.send(
            "wms.receipt", location="s1", reference="r", lines=lines(**dict.fromkeys(SKUS[8:], 3))
        )
        stocked(e)
        config.write_text(CONFIG.replace("{id: shop}", "{id: shop, locations: {kinds: [store]}}"))
        e.run.shared.policy.activate(load(config), e.run.clock.now_ms())
        run(e)
        assert levels(e, "shop") == [0] * 8 + [3] * 32
        assert not is_held(e, "shop")


def test_a_process_that_brings_a_wrong_policy_looks_at_it_before_it_tells_a_level(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        stocked(e)
    config.write_text(CONFIG.replace("min: 5", "min: 5, network_threshold: 50"))
    with engine(valkey, config) as e:
        run(e)
        assert is_held(e, "shop")
        assert levels(e, "shop") == [3] * 40
        assert levels(e, "market") == [0] * 40


def test_few_skus_are_no_reason_to_freeze(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        count(e, A00=3, A01=3)
        run(e)
        sell(e, ["A00", "A01"])
        assert not is_held(e, "shop")


def test_a_resumed_channel_shows_what_was_stopped_and_does_not_freeze_again(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        stocked(e)
        sell(e, SKUS[:20])
        assert is_held(e, "shop")
        resume = partial(overlay.hold, channel="shop", held="", by="ana", why="they did sell out")
        steering.change_overlay(e.run, partial(resume, now_ms=e.run.clock.now_ms()))
        run(e)
        assert levels(e, "shop") == [0] * 20 + [3] * 20
        assert not is_held(e, "shop")


def test_a_guard_that_begins_later_knows_what_is_shown(valkey: Embedded, config: Path) -> None:
    config.write_text(CONFIG.replace("policies: {zero_guard_pct: 20, zero_guard_min: 5}", ""))
    with engine(valkey, config) as e:
        stocked(e)
        assert not e.run.primaries.client.exists(e.run.store.keys.shown())
    config.write_text(CONFIG)
    with engine(valkey, config) as e:
        run(e)
        sell(e, SKUS[:6])
        assert levels(e, "shop") == [0] * 6 + [3] * 34
        assert not is_held(e, "shop")
        assert e.run.primaries.client.hget(e.run.store.keys.shown(), "shop") == b"34"


def test_the_walk_sets_the_count_right(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        stocked(e)
        client, shown = e.run.primaries.client, e.run.store.keys.shown()
        assert client.hget(shown, "shop") == b"40"
        client.hset(shown, "shop", 7)
        for _ in Scan(e.run, e.run, Findings(), 0).steps():
            pass
        assert client.hget(shown, "shop") == b"40"
