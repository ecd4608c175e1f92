"""A round over a real pool names whatever was broken by hand, and nothing else."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.redis.embedded import Embedded
from flows.runtime.session import beside
from flows.services.holds.service import HoldService
from flows.services.holds.values import Wanted
from flows.services.scrub.scan import Findings, Scan
from state.protocol.figures import _HEAD
from state.protocol.inspect import Violation
from state.protocol.keys import Keys
from state.protocol.sharding import shard_of
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

HEAD = (
    "version", "cause_ms", "token", "open", "generation", "available", "open_cause_ms", "alerts",
    "revision", "classes", "newest_ms", "unrouted", "held", "base", "day", "units",
)  # fmt: skip
HOUR_MS = 3_600_000


@pytest.fixture
def e(valkey: Embedded, config: Path) -> Iterator[Engine]:
    """An engine with stock of ten SKUs at two locations, some of it ordered, all of it published."""
    with engine(valkey, config, tick_ms=1) as made:
        skus = {f"A{n}": 10 + n for n in range(10)}
        for location in ("wh", "s1"):
            made.send("wms.receipt", location=location, reference="r", lines=lines(**skus))
        for n in range(10):
            made.send("order.placed", order=f"o{n}", channel="shop", lines=lines(A1=1, A2=2))
        made.send("wms.shipment", location="wh", order="o3", lines=lines(A1=1, A2=1))
        made.send("order.cancelled", order="o4")
        made.ingest()
        made.publish()
        yield made


def look(e: Engine, before: Findings | None = None, late_ms: int = 300_000) -> Findings:
    """Go through the pool once."""
    walked = Scan(e.run, e.run, before or Findings(), 0, late_ms)
    for _ in walked.steps():
        pass
    return walked.findings


def key(sku: str, kind: str = "pos") -> str:
    name = f"pos:{sku}" if kind == "pos" else kind
    return Keys().shard(shard_of(sku, 16), name)


def put(e: Engine, sku: str, **figures: int) -> None:
    """Write figures into the head of a SKU, behind the functions' back."""
    client: Any = e.run.primaries.client
    text = client.hget(key(sku), "=")
    head = dict(zip(HEAD, _HEAD.unpack_from(text), strict=True)) | figures
    client.hset(key(sku), "=", _HEAD.pack(*head.values()) + text[_HEAD.size :])


def figure(e: Engine, sku: str, name: str) -> int:
    client: Any = e.run.primaries.client
    head = _HEAD.unpack_from(client.hget(key(sku), "="))
    return int(head[HEAD.index(name)])


def due_at(e: Engine, sku: str, ms: int) -> None:
    e.run.primaries.client.zadd(key(sku, "due"), {sku: e.run.clock.now_ms() + ms})


def named(found: Findings) -> set[tuple[str, str]]:
    return {(fault.sku, fault.invariant) for fault in found.faults}


def test_a_sound_pool_has_no_faults_and_no_suspects(e: Engine) -> None:
    found = look(e)
    assert (found.skus, found.faults, found.suspects) == (10, [], frozenset())


def test_a_wrong_base_is_named_with_what_was_expected(e: Engine) -> None:
    right = figure(e, "A1", "base")
    put(e, "A1", base=right + 3)
    assert look(e).faults == [Violation("A1", "class_sums", f"base {right}", f"base {right + 3}")]


def test_a_wrong_sum_of_a_class_is_named(e: Engine) -> None:
    client: Any = e.run.primaries.client
    text = client.hget(key("A7"), "=")
    at = _HEAD.size
    more = (int.from_bytes(text[at : at + 8], "little") + 1).to_bytes(8, "little")
    client.hset(key("A7"), "=", text[:at] + more + text[at + 8 :])
    (fault,) = look(e).faults
    assert fault[:2] == ("A7", "class_sums")
    assert (fault.expected, fault.found) == ("class 0 17", "class 0 18")


def test_a_position_that_vanished_is_missed_in_the_sums(e: Engine) -> None:
    e.run.primaries.client.hdel(key("A5"), "l:s1")
    assert named(look(e)) == {("A5", "class_sums")}


def test_sums_of_another_policy_are_skipped(e: Engine) -> None:
    put(e, "A1", base=999, revision=figure(e, "A1", "revision") - 1)
    assert named(look(e)) == set()


@pytest.mark.parametrize("moved", [-2, 5])
def test_promises_that_no_order_holds_are_named(e: Engine, moved: int) -> None:
    right = figure(e, "A2", "unrouted")
    put(e, "A2", unrouted=right + moved)
    assert look(e).faults == [
        Violation("A2", "reserved", f"{right} units in orders and holds", f"{right + moved} units")
    ]


def test_an_order_that_was_lost_is_missed_in_what_is_promised(e: Engine) -> None:
    orders: Any = e.run.primaries.client.keys("*:order:o5")
    e.run.primaries.client.delete(*orders)
    assert named(look(e)) == {("A1", "reserved"), ("A2", "reserved")}


def test_a_sku_that_was_lost_is_missed_by_its_orders(e: Engine) -> None:
    e.run.primaries.client.delete(key("A1"))
    assert ("A1", "reserved") in named(look(e))


def test_units_reserved_at_a_location_that_no_order_holds_are_named(e: Engine) -> None:
    client: Any = e.run.primaries.client
    text = client.hget(key("A3"), "l:wh")
    figures, rest = text[0], text[1 + 8 * text[0] :]
    assert figures == 1
    client.hset(key("A3"), "l:wh", b"\x02" + text[1:9] + (4).to_bytes(8, "little") + rest)
    put(e, "A3", base=figure(e, "A3", "base") - 4)
    assert ("A3", "reserved") in named(look(e))


def test_a_claim_that_ended_long_ago_is_named(e: Engine) -> None:
    put(e, "A4", open=1)
    due_at(e, "A4", -HOUR_MS)
    assert named(look(e)) == {("A4", "lease")}


def test_a_claim_that_nobody_will_close_is_named(e: Engine) -> None:
    put(e, "A4", open=1)
    due_at(e, "A4", HOUR_MS)
    assert named(look(e)) == {("A4", "out")}


def test_a_sku_that_is_due_for_too_long_is_named(e: Engine) -> None:
    due_at(e, "A4", -HOUR_MS)
    assert named(look(e)) == {("A4", "due")}


def test_a_change_that_is_not_due_is_named(e: Engine) -> None:
    put(e, "A4", cause_ms=1)
    due_at(e, "A4", HOUR_MS)
    assert named(look(e)) == {("A4", "due")}


def test_a_sku_in_no_queue_is_named(e: Engine) -> None:
    e.run.primaries.client.zrem(key("A4", "due"), "A4")
    assert named(look(e)) == {("A4", "due")}


def test_a_claim_under_way_is_sound(e: Engine) -> None:
    e.send("wms.adjustment", location="wh", reason="x", actor="y", lines=lines(A1=3))
    e.ingest()
    e.run.clock.wait(0.01)
    e.now_s += 1
    assert e.claimer.next_claims(e.now_s) is not None
    assert figure(e, "A1", "open")
    assert named(look(e)) == set()


def test_oversold_skus_negative_positions_and_paused_ads_are_counted(e: Engine) -> None:
    e.send("pos.sale", location="s1", receipt="b1", lines=lines(A1=500, A6=16))
    e.send("pos.sale", location="wh", receipt="b2", lines=lines(A1=500, A6=16))
    e.ingest()
    e.publish()
    found = look(e)
    assert (found.oversold, found.negative_positions) == (1, 2)
    assert found.paused == {"google": 2}


def test_business_time_in_which_ads_of_sold_out_skus_were_paused_is_summed(e: Engine) -> None:
    e.send("pos.sale", location="s1", receipt="b1", lines=lines(A6=16, A7=17))
    e.send("pos.sale", location="wh", receipt="b2", lines=lines(A6=16, A7=16))
    e.ingest()
    e.publish()
    walked = Scan(e.run, e.run, Findings(), 5)
    for _ in walked.steps():
        pass
    assert walked.findings.paused == {"google": 2}, "one has a unit left"
    assert walked.findings.paused_sold_out_ms == {"google": 5}


def test_a_fault_that_was_proven_stays_while_it_is_in_doubt(e: Engine) -> None:
    right = figure(e, "A2", "unrouted")
    put(e, "A2", unrouted=right + 5)
    first = look(e)
    assert named(first) == {("A2", "reserved")}
    walked = Scan(e.run, e.run, first, 0)
    for _ in walked.steps():
        put(e, "A2", version=figure(e, "A2", "version") + 1)
    assert named(walked.findings) == {("A2", "reserved")}
    alone = Scan(e.run, e.run, Findings(), 0)
    for _ in alone.steps():
        put(e, "A2", version=figure(e, "A2", "version") + 1)
    assert named(alone.findings) == set(), "it may have moved"
    assert alone.findings.suspects == {"A2"}


def test_less_promised_than_orders_hold_is_proven_while_the_sku_moves(e: Engine) -> None:
    put(e, "A2", unrouted=figure(e, "A2", "unrouted") - 5)
    walked = Scan(e.run, e.run, Findings(), 0)
    for _ in walked.steps():
        put(e, "A2", version=figure(e, "A2", "version") + 1)
    assert named(walked.findings) == {("A2", "reserved")}


def trade(e: Engine, turns: int) -> None:
    """Place, cancel and sell while others look."""
    for n in range(0, turns * 30, 3):
        sku = f"A{n % 7}"
        e.send("order.placed", order=f"x{n}", channel="shop", lines=lines(**{sku: 1}))
        e.send("pos.sale", location="wh", receipt=f"y{n}", lines=lines(**{sku: 1}))
        if n % 2:
            e.send("order.cancelled", order=f"x{n}")
        if n % 30 == 0:
            e.ingest(1)
            e.publish(1)


def test_a_pool_under_load_has_no_faults(e: Engine) -> None:
    before = figure(e, "A1", "version")
    trader = threading.Thread(target=trade, args=(e, 40))
    found, rounds, suspects = Findings(), 0, 0
    with beside(e.run) as side:
        trader.start()
        while trader.is_alive():
            walked = Scan(e.run, side, found, 0)
            for _ in walked.steps():
                assert walked.findings.faults == []
            found = walked.findings
            rounds, suspects = rounds + 1, suspects + len(found.suspects)
    trader.join()
    assert figure(e, "A1", "version") > before
    assert rounds > 5
    assert suspects, "nothing moved while it was added up"
    assert look(e).faults == []


def test_stock_where_the_policy_knows_no_location_is_looked_at_too(
    valkey: Embedded, config: Path
) -> None:
    config.write_text(config.read_text() + "unknown: {location: create}\n")
    with engine(valkey, config) as e:
        e.send("wms.receipt", location="corner", reference="r", lines=lines(A1=5, A2=6))
        e.send("wms.receipt", location="kiosk", reference="r", lines=lines(A1=5))
        e.ingest()
        assert (look(e).skus, named(look(e))) == (2, set())
        put(e, "A2", base=7)
        assert named(look(e)) == {("A2", "class_sums")}


def test_floors_of_single_skus_are_minded(valkey: Embedded, config: Path) -> None:
    config.write_text(
        config.read_text()
        + "policies: {floors: {store: 1}, overrides: [{sku: 'B*', floor: 4}, "
        + "{sku: B2, location: s1, floor: 9}]}\n"
    )
    with engine(valkey, config) as e:
        for location in ("wh", "s1"):
            of = lines(A1=5, B1=6, B2=20, B3=7)
            e.send("wms.receipt", location=location, reference="r", lines=of)
        e.ingest()
        assert (look(e).skus, named(look(e))) == (4, set())


def test_a_namespace_is_walked_by_itself(valkey: Embedded, config: Path, e: Engine) -> None:
    with engine(valkey, config, namespace="other") as other:
        other.send("wms.receipt", location="wh", reference="r", lines=lines(Z9=1))
        other.ingest()
        assert (look(other).skus, look(e).skus) == (1, 10)


def test_a_sku_at_five_hundred_locations_is_looked_at_alone(
    valkey: Embedded, config: Path, tmp_path: Path
) -> None:
    places = "".join(f"  - {{id: w{n}, kind: store}}\n" for n in range(500))
    config.write_text(f"version: 1\nlocations:\n{places}")
    with engine(valkey, config) as e:
        for n in range(500):
            e.send("wms.receipt", location=f"w{n}", reference="r", lines=lines(A1=1, A2=2, A3=3))
        e.ingest()
        client: Any = e.run.primaries.client
        client.config_resetstat()
        assert (look(e).skus, named(look(e))) == (3, set())
        assert client.info("commandstats")["cmdstat_fcall"]["calls"] == 2 * 3


def test_units_that_holds_keep_are_added_up_and_a_hold_that_nobody_swept_away_is_named(
    e: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding = HoldService(e.run)
    holding.create(Wanted("cart", (("A5", 2),), channel="shop", ttl_s=1))
    holding.create(Wanted("till", (("A5", 3), ("A6", 1)), location="s1"))
    e.publish()
    assert figure(e, "A5", "held") == 2
    assert (look(e).holds, look(e).faults, look(e).suspects) == (3, [], frozenset())
    late_ms = e.run.clock.now_ms() + 60_000
    monkeypatch.setattr(e.run.clock, "now_ms", lambda: late_ms)
    assert ("cart", "held") in named(look(e))


def test_units_held_that_no_hold_keeps_are_named(e: Engine) -> None:
    HoldService(e.run).create(Wanted("cart", (("A5", 2),), channel="shop"))
    e.publish()
    put(e, "A5", held=3)
    assert ("A5", "reserved") in named(look(e, look(e)))
