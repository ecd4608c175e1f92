"""Holding as a checkout and a till see it, on a real store and log."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.log.base import AppendFailed, LogUnavailable
from connectors.redis.embedded import Embedded
from flows.services.holds.service import HoldService
from flows.services.holds.values import Confirmed, HoldCreated, HoldRejected, Released, Wanted
from state.protocol.holds import HeldLine
from state.protocol.sharding import shard_of
from tests.flows.harness import Engine, engine
from tests.flows.shop import CONFIG, lines

SHARDS = 16


@contextmanager
def selling(valkey: Embedded, config: Path, **units: int) -> Iterator[tuple[Engine, HoldService]]:
    """A shop with units in its warehouse."""
    with engine(valkey, config) as e:
        e.send("wms.receipt", location="wh", reference="r", lines=lines(**units))
        e.ingest()
        e.publish()
        yield e, HoldService(e.run)


def want(hold: str, channel: str = "shop", **units: int) -> Wanted:
    return Wanted(hold, tuple(units.items()), channel=channel)


def reason(found: Any) -> str:
    assert isinstance(found, HoldRejected), found
    return found.reason


def held(e: Engine, sku: str = "A") -> tuple[int, int]:
    """Units held, and units of orders not routed yet."""
    state = e.run.store.read(sku)
    assert state is not None
    return state.held, state.unrouted


def level(e: Engine, sku: str = "A") -> int:
    """The level of the shop as it was told last."""
    updates = [update for update in e.emitted("stock.updates") if update["sku"] == sku]
    found: int = max(updates, key=lambda update: update["version"])["levels"]["shop"]
    return found


def test_a_hold_takes_units_out_of_every_level_and_gives_them_back(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=10) as (e, holding):
        made = holding.create(want("h", A=4))
        assert isinstance(made, HoldCreated)
        assert made.lines == (HeldLine("A", "", 4),)
        e.publish()
        assert level(e) == 6
        assert holding.release("h") == Released("h")
        e.publish()
        assert level(e) == 10
        assert reason(holding.release("h")) == "gone"


def test_the_same_request_has_the_same_answer_and_another_under_its_name_is_refused(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=10) as (e, holding):
        made = holding.create(want("h", A=4))
        assert holding.create(want("h", A=4)) == made
        assert HoldService(e.run).create(want("h", A=4)) == made
        assert reason(holding.create(want("h", A=5))) == "conflict"
        assert reason(holding.create(want("h", channel="shopee", A=4))) == "conflict"
        assert held(e) == (4, 0)


def test_another_request_under_a_name_leaves_nothing_on_shards_that_the_first_did_not_touch(
    valkey: Embedded, config: Path
) -> None:
    assert shard_of("A", SHARDS) != shard_of("B", SHARDS)
    with selling(valkey, config, A=10, B=10) as (e, holding):
        holding.create(want("h", A=4))
        assert reason(holding.create(want("h", A=4, B=1))) == "conflict"
        assert (held(e, "A"), held(e, "B")) == ((4, 0), (0, 0))


def test_nothing_is_held_when_one_line_is_short_on_another_shard(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=10, B=1) as (e, holding):
        found = holding.create(want("h", A=4, B=2))
        assert isinstance(found, HoldRejected)
        assert (found.reason, found.short) == ("short", (("B", 2, 1),))
        assert (held(e, "A"), held(e, "B")) == ((0, 0), (0, 0))
        assert isinstance(holding.create(want("h", A=4, B=1)), HoldCreated)


def test_a_partial_hold_takes_what_there_is(valkey: Embedded, config: Path) -> None:
    with selling(valkey, config, A=3, B=1) as (e, holding):
        wanted = Wanted("h", (("A", 5), ("B", 1), ("C", 1)), channel="shop", partial=True)
        made = holding.create(wanted)
        assert isinstance(made, HoldCreated)
        assert made.lines == (HeldLine("A", "", 3), HeldLine("B", "", 1))
        e.send("wms.receipt", location="wh", reference="r", lines=lines(A=9, C=9))
        e.ingest()
        assert holding.create(wanted) == made
        empty = Wanted("g", (("D", 1),), channel="shop", partial=True)
        assert reason(holding.create(empty)) == "short"
        assert reason(holding.create(empty)) == "short"


def test_of_a_partial_hold_nothing_is_left_when_it_is_confirmed(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=3) as (e, holding):
        holding.create(Wanted("h", (("A", 5), ("C", 1)), channel="shop", partial=True))
        assert len(holding.show("h")) == 2
        assert isinstance(holding.confirm("h", "o1"), Confirmed)
        e.ingest()
        assert holding.show("h") == []
        again = holding.confirm("h", "o1")
        assert isinstance(again, Confirmed)
        assert again.before


def test_a_channel_holds_what_it_may_show(valkey: Embedded, config: Path) -> None:
    config.write_text(
        CONFIG.replace(
            "{id: shop}",
            "{id: shop, share_bp: 5000, cutoff: 1, cap: 1}\n  - {id: closed, mode: zero}",
        )
        + "campaigns:\n"
        '  - {id: c, channel: shopee, sku: A, lock: 4, start: "2020-01-01T00:00:00Z", end: "2090-01-01T00:00:00Z"}\n'
    )
    with selling(valkey, config, A=14) as (_, holding):
        # Half of what shopee's campaign leaves; the cap is about what is shown.
        assert reason(holding.create(want("h", A=6))) == "short"
        assert isinstance(holding.create(want("h", A=5)), HoldCreated)
        # Of 9 the campaign leaves 5, of which 2 are the shop's.
        assert reason(holding.create(want("g", A=3))) == "short"
        assert isinstance(holding.create(want("g", A=2)), HoldCreated)
        # Of 7 the campaign leaves 3, and the one unit that is left is at the cut-off.
        assert reason(holding.create(want("f", A=1))) == "short"
        assert isinstance(holding.create(want("s", "shopee", A=6)), HoldCreated)
        assert reason(holding.create(want("z", "closed", A=1))) == "unavailable"


def test_a_till_holds_what_its_shop_has_and_nobody_was_promised(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=2) as (e, holding):
        e.send("wms.receipt", location="s1", reference="r", lines=lines(A=5))
        e.ingest()
        holding.create(want("cart", A=4))
        # The shop has 5, but all but 3 of the 7 are promised.
        assert reason(holding.create(Wanted("t", (("A", 4),), location="s1"))) == "short"
        assert isinstance(holding.create(Wanted("t", (("A", 3),), location="s1")), HoldCreated)
        holding.release("cart")
        assert reason(holding.create(Wanted("u", (("A", 3),), location="s1"))) == "short"
        assert isinstance(holding.create(Wanted("u", (("A", 2),), location="s1")), HoldCreated)
        e.publish()
        assert level(e) == 2

        sale: dict[str, Any] = {"location": "s1", "receipt": "1", "lines": lines(A=3), "hold": "t"}
        e.send("pos.sale", event_id="sale", **sale)
        e.send("pos.sale", event_id="sale", **sale)
        e.ingest()
        state = e.run.store.read("A")
        assert state is not None
        (shop,) = [p for p in state.positions if p.location == "s1"]
        assert (shop.on_hand, shop.reserved) == (2, 2)
        assert sum(units for _, units in state.demand) == 3
        assert reason(holding.create(Wanted("t", (("A", 3),), location="s1"))) == "gone"


def test_a_confirmed_hold_is_an_order_and_counts_once(valkey: Embedded, config: Path) -> None:
    with selling(valkey, config, A=10, B=10) as (e, holding):
        holding.create(want("h", A=4, B=2))
        assert isinstance(holding.confirm("h", "o1"), Confirmed)
        assert isinstance(holding.confirm("h", "o1"), Confirmed)
        assert reason(holding.confirm("h", "o2")) == "pinned"
        assert reason(holding.release("h")) == "pinned"
        assert held(e) == (4, 0)
        e.ingest()
        assert (held(e), held(e, "B")) == ((0, 4), (0, 2))
        again = holding.confirm("h", "o1")
        assert isinstance(again, Confirmed)
        assert again.before
        assert reason(holding.confirm("h", "o2")) == "gone"
        assert reason(holding.release("h")) == "gone"


def test_an_order_that_is_placed_already_only_drops_the_hold(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=10) as (e, holding):
        holding.create(want("h", A=4))
        e.send("order.placed", order="o1", channel="shop", lines=lines(A=4))
        e.ingest()
        found = holding.confirm("h", "o1")
        assert isinstance(found, Confirmed)
        assert found.before
        assert held(e) == (0, 4)


def test_an_order_that_is_placed_while_the_hold_is_confirmed_counts_once(
    valkey: Embedded, config: Path
) -> None:
    with selling(valkey, config, A=10) as (e, holding):
        holding.create(want("h", A=4))
        e.send("order.placed", key="o1", order="o1", channel="shop", lines=lines(A=4))
        assert isinstance(holding.confirm("h", "o1"), Confirmed)
        e.ingest()
        assert held(e) == (0, 4)


def test_an_append_of_which_nothing_is_known_is_repeated_with_the_same_order(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with selling(valkey, config, A=10) as (e, holding):
        holding.create(want("h", A=4))
        append = e.run.log.append

        def written_and_not_answered(messages: Any) -> Any:
            append(messages)
            return [AppendFailed(LogUnavailable("no answer")) for _ in messages]

        with monkeypatch.context() as patched:
            patched.setattr(e.run.log, "append", written_and_not_answered)
            assert reason(holding.confirm("h", "o1")) == "unknown"
        assert reason(holding.confirm("h", "o2")) == "pinned"
        assert isinstance(holding.confirm("h", "o1"), Confirmed)
        e.ingest()
        assert held(e) == (0, 4)


def test_a_hold_that_lapses_is_back_in_the_levels_with_the_next_claim(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with selling(valkey, config, A=10) as (e, holding):
        clock, now_us = e.run.clock, e.run.clock.now_us()
        holding.create(Wanted("h", (("A", 4),), channel="shop", ttl_s=1))
        monkeypatch.setattr(clock, "now_us", lambda: now_us + 500_000)
        assert isinstance(holding.extend("h", 1), HoldCreated)
        monkeypatch.setattr(clock, "now_us", lambda: now_us + 1_400_000)
        e.publish()
        assert level(e) == 6
        monkeypatch.setattr(clock, "now_us", lambda: now_us + 1_600_000)
        e.publish()
        assert level(e) == 10
        assert "its time was over" in str(holding.confirm("h", "o1"))


def test_a_changed_policy_is_obeyed_by_the_next_hold(valkey: Embedded, config: Path) -> None:
    with selling(valkey, config, A=10) as (_, holding):
        config.write_text(
            CONFIG.replace(
                "{id: shop}", "{id: shop, buffer: {units: 8}}\npolicies: {floors: {warehouse: 1}}"
            )
        )
        with engine(valkey, config) as other:
            other.publish()
            # This process knows the old policy, and sums of the old floors.
            assert reason(holding.create(want("h", A=2))) == "short"
            assert isinstance(holding.create(want("h", A=1)), HoldCreated)


def test_who_holds_a_sku_is_told(valkey: Embedded, config: Path) -> None:
    with selling(valkey, config, A=10, B=10) as (_, holding):
        for number in range(3):
            holding.create(want(f"h{number}", A=1 + number, B=1))
        holding.create(want("other", B=1))
        found = {state.hold: state.lines for state in holding.holds_of("A")}
        assert found == {f"h{n}": (HeldLine("A", "", 1 + n),) for n in range(3)} or all(
            HeldLine("A", "", 1 + n) in found[f"h{n}"] for n in range(3)
        )
        (part, other) = sorted(holding.show("h1"))
        assert {*part.lines, *other.lines} == {HeldLine("A", "", 2), HeldLine("B", "", 1)}


def test_what_was_written_is_waited_for_as_the_server_can(valkey: Embedded, config: Path) -> None:
    with selling(valkey, config, A=10) as (e, holding):
        client: Any = e.run.primaries.client
        holding.create(want("h", A=1))
        assert client.info("persistence")["aof_enabled"] == 1
        assert holding.holds.copied(60_000)
        # A disk that cannot keep up is told.
        client.config_set("appendfsync", "no")
        try:
            holding.create(want("g", A=1))
            assert not holding.holds.copied(50)
        finally:
            client.config_set("appendfsync", "everysec")
