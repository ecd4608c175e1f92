"""The holes of section 5 of the protocol, as traces: named by the hole and by what must hold."""

from pathlib import Path

from connectors.redis.embedded import Embedded
from flows.services.holds.values import Confirmed, HoldRejected, Wanted
from state.events.order_key import order_key
from state.protocol.holds import Held, Hold, Keep, Kept, Release
from tests.holds.test_holding import held, selling
from tests.state.pools import WAREHOUSE, Bench, consume, move, place_order
from tests.state.random_holds import request

ORDER = order_key("shopee", "o1")
LATE_MS = 10**9


def test_h1_a_hold_never_goes_without_its_units(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    call = Hold(bench.now_us, 1, 1, (request("h", {"A": 5}, bench.now_ms, ttl_ms=1),))
    bench.shard.hold(call)
    # However late nobody but the sweep ends it, and then its units are back.
    bench.now_ms += LATE_MS
    assert bench.sku().held == 5
    assert len(bench.shard.listed()) == 1
    assert bench.shard.sweep(bench.now_us, 10) == 1
    assert bench.sku().held == 0


def test_h2_a_crash_between_two_pins_ends_with_the_pin_and_reserves_nothing_for_ever(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=5, B=5) as (e, holding):
        holding.create(Wanted("h", (("A", 2), ("B", 2)), channel="shop"))
        first, second = holding.show("h")
        now_us = e.run.clock.now_us()
        shard = first.shards[0]
        holding.holds.keep({shard: Keep(now_us, "h", order_key("shop", "o1"), now_us // 1000 + 50)})
        assert len({first.hold, second.hold}) == 1
        late_us = now_us + 1_000_000 * 3600
        assert holding.holds.sweep(range(16), late_us, 10) == 2
        assert (held(e, "A"), held(e, "B")) == ((0, 0), (0, 0))


def test_h2_a_hold_that_lapsed_on_one_shard_is_confirmed_on_none(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=5, B=5) as (e, holding):
        holding.create(Wanted("h", (("A", 2), ("B", 2)), channel="shop"))
        *_, last = holding.show("h")[0].shards
        late_us = e.run.clock.now_us() + 1_000_000 * 3600
        holding.holds.sweep([last], late_us, 10)
        found = holding.confirm("h", "o1")
        assert isinstance(found, HoldRejected)
        assert found.reason == "gone"
        assert (held(e, "A"), held(e, "B")) == ((0, 0), (0, 0))
        e.ingest()
        assert (held(e, "A"), held(e, "B")) == ((0, 0), (0, 0))


def test_h3_a_pin_outlives_the_expiry_so_nobody_else_gets_the_units_meanwhile(
    bench: Bench,
) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    bench.shard.hold(Hold(bench.now_us, 1, 1, (request("h", {"A": 5}, bench.now_ms, ttl_ms=10),)))
    assert isinstance(bench.shard.keep(Keep(bench.now_us, "h", ORDER, bench.now_ms + 60_000)), Kept)
    bench.now_ms += 50
    assert bench.shard.sweep(bench.now_us, 10) == 0
    answers = bench.shard.hold(Hold(bench.now_us, 1, 1, (request("g", {"A": 1}, bench.now_ms),)))
    assert not isinstance(answers[0], Held)
    bench.do(place_order("A", "o1", 5), consume("h", ORDER))
    assert (bench.sku().held, bench.sku().unrouted) == (0, 5)


def test_h4_a_confirmed_order_stands_though_the_shard_forgot_its_hold(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    saved = bench.shard.save()
    bench.shard.hold(Hold(bench.now_us, 1, 1, (request("h", {"A": 5}, bench.now_ms),)))
    bench.shard.keep(Keep(bench.now_us, "h", ORDER, bench.now_ms + 60_000))
    placed = bench.event(place_order("A", "o1", 5), consume("h", ORDER))
    bench.shard.roll_back(saved)
    bench.send(placed)
    assert (bench.sku().held, bench.sku().unrouted, bench.shard.listed()) == (0, 5, [])


def test_a_crash_between_two_shards_of_a_new_hold_leaks_until_it_lapses_and_no_longer(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=5, B=5) as (e, holding):
        holding.create(Wanted("h", (("A", 2), ("B", 2)), channel="shop", ttl_s=1))
        first, *_ = holding.show("h")[0].shards
        now_us = e.run.clock.now_us()
        # As if the second call had never been made.
        holding.holds.release(now_us, {first: [Release("h", how="")]})
        assert {held(e, "A"), held(e, "B")} == {(0, 0), (2, 0)}
        assert holding.holds.sweep(range(16), now_us + 2_000_000, 10) == 1
        assert (held(e, "A"), held(e, "B")) == ((0, 0), (0, 0))


def test_of_two_confirmations_of_one_hold_only_one_becomes_an_order(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=5, B=5) as (e, holding):
        holding.create(Wanted("h", (("A", 5), ("B", 5)), channel="shop"))
        found = [holding.confirm("h", f"o{n}") for n in range(3)]
        assert [isinstance(each, Confirmed) for each in found] == [True, False, False]
        e.ingest()
        assert (held(e, "A"), held(e, "B")) == ((0, 5), (0, 5))
