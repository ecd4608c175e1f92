"""A hold is a short reservation with an expiry: a customer is at the checkout and has not paid yet.

Check and reserve are one atomic call to a shard of the store, so two customers can never both get the last
piece. While a hold lives, its pieces count in no level. It ends in one of four ways: an order confirms it, a
sale uses it up, somebody releases it, or it expires. Confirming is a small *two-phase commit*: the hold is
pinned for one order, then `order.placed` is appended to the log with the name of the hold, and ingest turns
reserved pieces into ordered ones in one step. They are never counted twice, and never free in between.
"""

from flows.services.holds.service import HoldService
from flows.services.holds.values import Confirmed, HoldCreated, HoldRejected, Wanted
from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import levels, run_flows


def test_of_two_customers_only_one_gets_the_last_pieces_until_they_are_released(
    penstock: Engine,
) -> None:
    penstock.send("wms.receipt", location="wh", reference="delivery-1", lines=lines(A=5))
    run_flows(penstock)
    checkout = HoldService(penstock.run)
    assert isinstance(checkout.create(Wanted("cart-1", (("A", 4),), channel="shop")), HoldCreated)
    refused = checkout.create(Wanted("cart-2", (("A", 2),), channel="shopee"))
    assert isinstance(refused, HoldRejected)
    assert refused.reason == "short"
    run_flows(penstock)
    assert levels(penstock, "A") == {"shop": 1, "shopee": 0}
    checkout.release("cart-1")
    run_flows(penstock)
    assert levels(penstock, "A") == {"shop": 5, "shopee": 4}


def test_a_confirmed_hold_becomes_an_order_and_the_level_stays(penstock: Engine) -> None:
    penstock.send("wms.receipt", location="wh", reference="delivery-1", lines=lines(A=5))
    run_flows(penstock)
    checkout = HoldService(penstock.run)
    checkout.create(Wanted("cart-1", (("A", 4),), channel="shop"))
    assert isinstance(checkout.confirm("cart-1", "o1"), Confirmed)
    run_flows(penstock)
    stock = penstock.run.store.read("A")
    assert stock is not None
    assert (stock.held, stock.unrouted) == (0, 4)
    assert levels(penstock, "A") == {"shop": 1, "shopee": 0}
