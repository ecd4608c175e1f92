"""The count after the fight finds what is wrong, and nothing where all is right."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.redis.embedded import Embedded
from flows.services.holds.service import HoldService
from flows.services.holds.values import HoldCreated, Wanted
from state.protocol.sharding import shard_of
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines
from tests.holds.verify import Verdict, judge
from tests.oracle.policy import read_policy


@pytest.fixture
def opened(valkey: Embedded, config: Path) -> Iterator[Engine]:
    """A shop with five units in its warehouse, all applied and emitted."""
    with engine(valkey, config) as e:
        e.send("wms.receipt", location="wh", reference="r", lines=lines(A=5))
        settle(e)
        yield e


def settle(e: Engine) -> None:
    e.ingest()
    e.publish()


def order(e: Engine, units: int, name: str = "o", event_id: str = "") -> None:
    e.send("order.placed", event_id=event_id, order=name, channel="shop", lines=lines(A=units))


def judged(e: Engine, config: Path) -> Verdict:
    return judge(e.run, read_policy(config))


def test_a_shop_that_is_sold_out_to_the_unit_is_right(opened: Engine, config: Path) -> None:
    order(opened, 3)
    opened.send("pos.sale", location="wh", receipt="b", lines=lines(A=2))
    settle(opened)
    assert judged(opened, config) == Verdict(units=5, sold=5)


def test_an_order_that_is_sent_twice_counts_once(opened: Engine, config: Path) -> None:
    order(opened, 5, event_id="again")
    order(opened, 5, event_id="again")
    order(opened, 5, event_id="another event of it")
    settle(opened)
    assert judged(opened, config) == Verdict(units=5, sold=5)


def test_units_that_nobody_got_are_stranded(opened: Engine, config: Path) -> None:
    order(opened, 3)
    settle(opened)
    assert judged(opened, config) == Verdict(units=5, sold=3, stranded=2)


def test_units_that_two_were_promised_are_oversold(opened: Engine, config: Path) -> None:
    order(opened, 3, "o1")
    order(opened, 4, "o2")
    settle(opened)
    found = judged(opened, config)
    assert (found.sold, found.oversold, found.stranded) == (7, 2, 0)
    assert found.faults == ["sold: A: oversold by 2"]


def test_units_that_were_sold_where_they_were_not_are_found(opened: Engine, config: Path) -> None:
    opened.send("pos.sale", location="s1", receipt="b", lines=lines(A=5))
    settle(opened)
    found = judged(opened, config)
    assert (found.oversold, found.stranded) == (0, 0)
    assert found.faults == ["sold: A at s1: oversold by 5"]


def test_a_hold_that_is_left_is_found(opened: Engine, config: Path) -> None:
    assert isinstance(
        HoldService(opened.run).create(Wanted("h", (("A", 2),), channel="shop")), HoldCreated
    )
    opened.publish()
    found = judged(opened, config)
    assert found.stranded == 5
    assert any("held expected 0, got 2" in fault for fault in found.faults)


def test_units_that_a_till_reserved_are_found(opened: Engine, config: Path) -> None:
    assert isinstance(
        HoldService(opened.run).create(Wanted("h", (("A", 2),), location="wh")), HoldCreated
    )
    opened.publish()
    found = judged(opened, config)
    assert any("reserved expected 0, got 2" in fault for fault in found.faults)


def test_a_sale_that_the_store_does_not_have_is_found(opened: Engine, config: Path) -> None:
    opened.send("pos.sale", location="wh", receipt="b", lines=lines(A=5))
    found = judged(opened, config)
    assert (found.sold, found.stranded) == (5, 0)
    assert any("on_hand expected 0, got 5" in fault for fault in found.faults)


def test_a_sku_that_the_store_does_not_have_is_found(opened: Engine, config: Path) -> None:
    opened.send("wms.receipt", location="wh", reference="r", lines=lines(B=1))
    assert "skus: B: expected a SKU, got none" in judged(opened, config).faults


def test_what_the_store_says_against_itself_is_found(opened: Engine, config: Path) -> None:
    order(opened, 5)
    settle(opened)
    run = opened.run
    run.primaries.client.zrem(run.store.keys.shard(shard_of("A", run.store.shards), "due"), "A")
    assert any(fault.startswith("due of A: ") for fault in judged(opened, config).faults)
