"""Publishing: levels, ad signals and alerts as the outside hears them."""

import time
from pathlib import Path
from typing import Any

import pytest

from connectors.log.base import AppendFailed, LogUnavailable
from connectors.redis.embedded import Embedded
from flows.publish.claimer import Claimer
from flows.publish.steps import decide, emit, guard, settle
from monitoring import metrics
from tests.flows.harness import engine
from tests.flows.shop import CONFIG, lines


def test_a_sale_becomes_a_level_of_every_channel(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        e.send("wms.receipt", location="wh", reference="r1", lines=lines(A=10))
        e.send("pos.sale", location="wh", receipt="1", lines=lines(A=3))
        e.ingest()
        e.publish()
        (update,) = e.emitted("stock.updates")
        assert update["available"] == 7
        assert update["levels"] == {"shopee": 6, "shop": 7}
        assert sorted(update["changed"]) == ["shop", "shopee"]


def test_what_changes_nothing_is_not_told(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        e.send("wms.receipt", location="wh", reference="r1", lines=lines(A=10))
        e.ingest()
        e.publish()
        e.send("wms.adjustment", location="wh", reason="found", actor="kim", lines=lines(A=2))
        e.send("wms.adjustment", location="wh", reason="lost", actor="kim", lines=lines(A=-2))
        e.ingest()
        assert e.publish() > 0
        assert len(e.emitted("stock.updates")) == 1


def test_ads_pause_at_the_low_mark_and_resume_at_the_high_one_only(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        states = []
        for quantity in (10, -8, 3, 1, -3):
            e.send(
                "wms.adjustment", location="wh", reason="x", actor="kim", lines=lines(A=quantity)
            )
            e.ingest()
            e.publish()
            states.append([signal["type"] for signal in e.emitted("ads.signals")])
        # levels of the shop: 10, 2, 5, 6, 3
        assert states == [
            [],
            ["ad.pause"],
            ["ad.pause"],
            ["ad.pause", "ad.resume"],
            ["ad.pause", "ad.resume"],
        ]
        pause = e.emitted("ads.signals")[0]
        assert (pause["rule"], pause["sku"], pause["channel"]) == ("google", "A", "shop")
        assert (pause["reason"], pause["level"], pause["threshold"]) == ("low_level", 2, 2)


def test_an_unconfirmed_update_is_told_again_after_the_lease(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(valkey, config, lease_ms=100) as e:
        e.send("wms.receipt", location="wh", reference="r1", lines=lines(A=10))
        e.ingest()
        with monkeypatch.context() as away:
            failed = AppendFailed(LogUnavailable("away"))
            away.setattr(e.run.log, "append", lambda messages: [failed] * len(messages))
            assert e.publish(rounds=1) == 0
        assert e.emitted("stock.updates") == []
        time.sleep(0.15)
        assert e.publish() == 1
        assert [update["available"] for update in e.emitted("stock.updates")] == [10]


def test_a_policy_with_other_floors_is_derived_anew_for_every_sku(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.send("wms.receipt", location="s1", reference="r1", lines=lines(A=10, B=4))
        e.ingest()
        e.publish()
    config.write_text(CONFIG + "policies: {floors: {store: 3}}\n")
    with engine(valkey, config) as e:
        e.ingest()
        e.publish()
        newest = {update["sku"]: update for update in e.emitted("stock.updates")}
        assert {sku: update["levels"]["shop"] for sku, update in newest.items()} == {"A": 7, "B": 1}
        assert newest["A"]["available"] == 10


def test_selling_what_is_not_there_raises_both_alerts_once_with_their_cause(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.send("order.placed", order="o1", channel="shop", lines=lines(A=2))
        e.send("pos.sale", location="s1", receipt="1", lines=lines(A=1))
        e.ingest()
        e.publish()
        e.publish()
        alerts = e.emitted("stock.alerts")
        assert sorted(alert["type"] for alert in alerts) == ["stock.negative", "stock.oversold"]
        assert {alert["cause"]["offset"] for alert in alerts} == {1}
        assert next(a for a in alerts if a["type"] == "stock.negative")["on_hand"] == -1


def test_an_order_lowers_the_pool_at_once_and_its_shipment_takes_it_from_the_shelf(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.send("wms.receipt", location="wh", reference="r1", lines=lines(A=10))
        e.send("order.placed", order="o1", channel="shop", lines=lines(A=4))
        e.ingest()
        e.publish()
        e.send("wms.shipment", location="wh", order="o1", lines=lines(A=3))
        e.ingest()
        e.publish()
        e.send("order.cancelled", order="o1")
        e.ingest()
        e.publish()
        assert [update["available"] for update in e.emitted("stock.updates")] == [6, 7]
        state = e.run.store.read("A")
        assert state is not None
        assert (e.on_hand("A"), state.unrouted) == ({"wh": 7}, 0)


def test_a_campaign_lock_ends_in_business_time_though_no_stock_moves(
    valkey: Embedded, tmp_path: Path, config: Path
) -> None:
    assert tmp_path in config.parents
    config.write_text(
        CONFIG + "campaigns:\n"
        '  - {id: c1, channel: shopee, sku: A, lock: 4, start: "2017-01-01T00:00:00Z", end: "2017-01-02T00:00:00Z"}\n'
    )
    with engine(valkey, config, clock="event") as e:
        at = "2017-01-01T12:00:00Z"
        e.send_at(at, "wms.receipt", location="wh", reference="r1", lines=lines(A=10))
        e.ingest()
        e.publish()
        assert [u["levels"]["shop"] for u in e.emitted("stock.updates")] == [6]
        e.send_at(
            "2017-01-03T12:00:00Z",
            "wms.receipt",
            location="wh",
            reference="r2",
            lines=lines(Z=1),
        )
        e.ingest()
        e.publish(rounds=6)
        shop = [u["levels"]["shop"] for u in e.emitted("stock.updates") if u["sku"] == "A"]
        assert shop == [6, 10]


def test_a_claim_that_another_publisher_has_taken_over_is_not_settled_but_counted(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, lease_ms=100) as e:
        e.send("wms.receipt", location="wh", reference="r1", lines=lines(A=10))
        e.ingest()
        time.sleep(0.05)
        claims = e.claimer.next_claims(time.monotonic())
        assert claims is not None
        emitted = emit(e.run, guard(e.run, decide(e.run, claims)))
        before = metrics.REFUSED_SETTLES._value.get()
        other = Claimer(e.run)
        time.sleep(0.15)
        taken = other.next_claims(time.monotonic())
        assert taken is not None
        assert settle(e.run, emitted) == 0
        assert metrics.REFUSED_SETTLES._value.get() - before == 1
        assert settle(e.run, emit(e.run, guard(e.run, decide(e.run, taken)))) == 1
        assert metrics.REFUSED_SETTLES._value.get() - before == 1


@pytest.mark.parametrize("server", ["another", "the same"])
def test_what_is_claimed_over_a_new_connection_is_told_only_if_the_server_is_the_one_of_the_last_tick(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    with engine(valkey, config) as e:
        e.publish()
        ticked_s, here, is_other = e.now_s, e.run.primaries, server == "another"
        e.send("wms.receipt", location="wh", reference="r1", lines=lines(A=5))
        e.ingest()
        time.sleep(e.run.settings.tick_ms / 1000 + 0.002)
        identities = here.identities(e.run.store.shards)
        found = [server] * e.run.store.shards if is_other else identities
        monkeypatch.setattr(type(here), "identities", lambda _self, _shards: found)
        client: Any = here.client
        client.connection_pool.disconnect()
        claims = e.claimer.next_claims(ticked_s)
        assert (claims is None) == is_other
        if is_other:
            e.publish()
            (update,) = e.emitted("stock.updates")
            assert update["available"] == 5
